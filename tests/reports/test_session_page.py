"""The page stands alone, is well formed, and says nothing that the user's own names could break."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from rt_pose.reports.session_page import page
from rt_pose.reports.session_report import figures
from rt_pose.session.read import Session

VOID = {"meta", "br", "img", "image", "line", "rect", "circle", "path"}


class Checker(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(synthetic_session: Path) -> str:
    session = Session.read(synthetic_session)
    return page(session, figures(session))


def test_it_is_well_formed(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert checker.seen.count("section") == 9


def test_it_needs_nothing_from_outside(text: str) -> None:
    references = re.findall(r'(?:href|src|url)\s*[=(]\s*["\']?([^"\')>\s]+)', text)
    assert references
    assert all(r.startswith("data:image/jpeg;base64,") for r in references)
    assert "<script" not in text


def test_it_holds_plots_and_strips(text: str) -> None:
    assert text.count('class="plot"') == 7
    assert text.count('class="strip"') == 4
    assert text.count('class="frame"') >= 4 * 3 + 1
    assert "corner" in text
    assert "nan" not in re.sub(r'"data:[^"]*"', "", text).lower().replace("nano", "")


def test_names_are_escaped(synthetic_session: Path, tmp_path: Path) -> None:
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    session = Session.read(copy)
    session.info.config["rules"][0]["name"] = "<b>&bold"
    session.info.package.keypoints[0] = "no<se"
    for record in session.events:
        record.event = msgspec.structs.replace(record.event, rule="<b>&bold", reason="<i>")
    session.info.package.skeleton[0] = ("no<se", "neck")
    text = page(session, figures(session))
    assert "<b>&bold" not in text
    assert "no<se" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;&amp;bold" in text


def test_without_film_only_the_pictures_are_missing(synthetic_session: Path, tmp_path: Path) -> None:
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    (copy / "top.mkv").unlink()
    (copy / "top.times.csv").unlink()
    session = Session.read(copy)
    text = page(session, figures(session))
    assert 'class="frame"' not in text
    assert text.count('class="plot"') == 7
