"""Every kind of page in a real browser: nothing in the console, nothing beyond the width, nothing cut off on
paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import PROGRAM, Browser
from support.sample_pages import sample_pages

PHONE, DESK, PAPER = 400, 1200, 703
"""px; an A4 page between its margins is 186 mm wide."""
WIDTH = "document.documentElement.scrollWidth"
OVERFLOWING = """
[...document.querySelectorAll("body *")]
    .filter(e => e instanceof HTMLElement && getComputedStyle(e).display !== "inline"
            && e.scrollWidth > e.clientWidth + 1)
    .map(e => `${e.tagName} ${e.className}, ${e.scrollWidth} px: ${e.textContent.trim().slice(0, 80)}`)
"""
SMALLEST_TEXT = """
Math.min(...[...document.querySelectorAll("body *")]
    .filter(e => e instanceof HTMLElement && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => parseFloat(getComputedStyle(e).fontSize)))
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("no Chromium here: `apt install chromium`")
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(synthetic_session: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, text in sample_pages(synthetic_session).items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(text, encoding="utf-8")
    return found


def test_every_page_reads_on_a_phone_and_on_a_desk_and_on_paper(
    browser: Browser, pages: dict[str, Path]
) -> None:
    faults: dict[str, object] = {}
    for name, page in pages.items():
        browser.open(page)
        for width in (DESK, PHONE):
            browser.show_as(width)
            found = browser.evaluate(WIDTH)
            if found > width:
                faults[f"{name} at {width} px"] = [found, browser.evaluate(OVERFLOWING)]
            if (size := browser.evaluate(SMALLEST_TEXT)) < 11:
                faults[f"{name} at {width} px: text"] = size
        browser.show_as(PAPER, "print")
        if cut := browser.evaluate(OVERFLOWING):
            faults[f"{name} on paper"] = cut
        if problems := browser.problems():
            faults[f"{name}: console"] = problems
    assert faults == {}
    assert len(pages) == 8


def test_the_check_sees_what_it_looks_for(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    table = (
        "<div style='overflow-x: auto'><table><td style='white-space: nowrap'>"
        + "wide " * 300
        + "</table></div>"
    )
    bad.write_text(f"<!doctype html><p style='width: 900px'>x</p>{table}<script>console.error('no')</script>")
    browser.open(bad)
    browser.show_as(PHONE)
    assert browser.evaluate(WIDTH) == 908
    assert any(text.startswith("DIV ") for text in browser.evaluate(OVERFLOWING))
    assert len(browser.problems()) == 1


def test_the_session_s_page_prints(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["session"])
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 2
