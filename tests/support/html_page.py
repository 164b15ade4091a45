"""What every page must be: well formed, in need of nothing outside itself, and proof against users' names."""

from __future__ import annotations

import re
from html.parser import HTMLParser

NASTY = '<b>&"'
"""A name that breaks a page which does not escape it, in text as well as in an attribute."""
ESCAPED = "&lt;b&gt;&amp;&#34;"
VOID = {"meta"}
NAMESPACE = "http://www.w3.org/2000/svg"


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "iframe", "img"}
        self.references += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def check_page(text: str, links: tuple[str, ...] = ()) -> None:
    """Assert that a page is whole and loads nothing; `links` are those that lead to files beside it."""
    checker = _Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(r.startswith("data:image/") or r in links for r in checker.references)
    assert "://" not in text.replace(NAMESPACE, "")
    assert "url(" not in text
    assert not re.search(r"\bnan\b", " ".join(checker.text).lower())


def check_escaped(text: str) -> None:
    """Assert that a page with NASTY in its names is whole and shows it as text."""
    check_page(text)
    assert NASTY not in text
    assert ESCAPED in text
