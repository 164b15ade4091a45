"""The page stands alone, is well formed, and says nothing that the user's own names could break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support.html_page import ESCAPED, NASTY, check_escaped, check_page
from support.synthetic_session import write_info

from rt_pose.reports.session_page import page
from rt_pose.reports.session_report import figures
from rt_pose.reports.summary import format_summary
from rt_pose.session.log_file import LogWriter
from rt_pose.session.read import Session


@pytest.fixture(scope="module")
def text(synthetic_session: Path) -> str:
    session = Session.read(synthetic_session)
    return page(session, figures(session))


def test_it_is_whole(text: str) -> None:
    check_page(text)
    assert text.count("<section>") == 10
    assert "data:image/jpeg;base64," in text


def test_it_holds_plots_and_strips(text: str) -> None:
    assert text.count('class="plot"') == 7
    assert text.count('class="strip"') == 3
    assert text.count('class="frame"') >= 3 * 2 + 1
    assert "corner" in text


def test_names_are_escaped(synthetic_session: Path, tmp_path: Path) -> None:
    copy = tmp_path / NASTY
    shutil.copytree(synthetic_session, copy)
    session = Session.read(copy)
    session.info.config["rules"][0]["name"] = NASTY
    session.info.package.keypoints[0] = NASTY
    session.info.package.skeleton[0] = (NASTY, "neck")
    session.info.machine["cpu"] = NASTY
    for record in session.events:
        record.event = msgspec.structs.replace(record.event, rule=NASTY, reason=NASTY)
    text = page(session, figures(session))
    check_escaped(text)
    assert f"<code>rt-pose replay {tmp_path}/{ESCAPED}</code>" in text
    assert f"<title>{ESCAPED}</title>" in text, "a keypoint's, under the pointer"


def test_without_film_only_the_pictures_are_missing(synthetic_session: Path, tmp_path: Path) -> None:
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    (copy / "top.mkv").unlink()
    (copy / "top.times.csv").unlink()
    session = Session.read(copy)
    text = page(session, figures(session))
    assert 'class="frame"' not in text
    assert text.count('class="plot"') == 7


def test_a_session_of_nothing_has_every_section(tmp_path: Path) -> None:
    write_info(tmp_path)
    LogWriter(tmp_path / "log.mcap").close()
    session = Session.read(tmp_path)
    found = figures(session) | {"events": {}}
    session.info.cameras.clear()
    session.info.config.clear()
    session.info.package.keypoints.clear()
    text = page(session, found)
    check_page(text)
    for words in ("No frame got through", "Nothing was dropped", "no rules", "not measured"):
        assert words in text


def test_what_an_audit_found_is_shown(synthetic_session: Path) -> None:
    session = Session.read(synthetic_session)
    found = figures(session)
    replay = {"identical": False, "differing": 3, "same_environment": False, "events": 10, "tracks": 2000}
    counts = {"onsets": 4, "hits": 1, "misses": 3, "false_alarms": 0, "repeats": 0}
    right = {**counts, "delay_ms": {"p50": 12.34, "p90": 50.0}, "hits_became": {"fired": 1, "capped": 2}}
    never = {**counts, "delay_ms": None, "hits_became": {}}
    found["replay"] = {"replay": replay}
    found["hindsight"] = {"scores": [{"truth": NASTY, "rules": {"right": right, "never": never}}]}
    text = page(session, found)
    check_page(text, links=("hindsight.html",))
    assert "NOT identical: 3 differences" in text
    assert f"Against {ESCAPED}" in text
    assert "<td>12.3</td><td>50.0</td><td>2 capped, 1 fired</td>" in text
    assert "<td>–</td><td>–</td><td>–</td>" in text


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda film, table: film.unlink(), "no film top.mkv"),
        (lambda film, table: film.write_bytes(b"no film at all"), "top.mkv cannot be read"),
        (lambda film, table: film.write_bytes(film.read_bytes()[: film.stat().st_size // 2]), ""),
        (lambda film, table: table.write_text("frame\n1,2\n3\n"), "top.times.csv is damaged"),
        (lambda film, table: table.write_bytes(b"\xff\xfe\n\xff\n"), "top.times.csv is damaged"),
    ],
)
def test_beside_a_damaged_film_the_figures_are_whole(
    synthetic_session: Path, tmp_path: Path, damage: Callable[[Path, Path], object], said: str
) -> None:
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    damage(copy / "top.mkv", copy / "top.times.csv")
    session = Session.read(copy)
    text = page(session, figures(session))
    check_page(text)
    assert text.count('class="plot"') == 7
    assert said in text
    assert ("Not in this session" in text) == bool(said)


def test_what_a_session_lacks_is_said(synthetic_session: Path) -> None:
    session = Session.read(synthetic_session)
    session.info.missing, session.info.status = ["183 of 309 observations"], "incomplete: 183 of 309"
    session.skipped.append("20 damaged bytes")
    found = figures(session)
    assert found["session"]["missing"] == ["183 of 309 observations"]
    text = page(session, found)
    for words in ("Not in this session: 183 of 309", "Not in this session: 20 damaged", "incomplete: 183"):
        assert words in text


def test_processors_are_counted_apart(synthetic_session: Path) -> None:
    session = Session.read(synthetic_session)
    counts = {"calls": 1200, "skipped": 3, "exceptions": 2, "slowest_ms": 12.3}
    session.info.processors = {
        "lamp": {"source": "lamp.py:Lamp", **counts, "first_exception": f"ValueError: {NASTY}"},
        "killed": {"source": "lamp.py:Lamp"},
    }
    found = figures(session)
    text = page(session, found)
    check_escaped(text)
    assert "<td>lamp</td><td>1,200</td><td>3</td><td>2</td><td>12.3</td>" in text
    assert "<td>killed</td><td>–</td>" in text
    assert "lamp first raised ValueError" in text
    assert "Processor lamp raised in 2 of 1200 calls: <code>processors/lamp.txt</code>" in text
    said = format_summary(found)
    assert "processor lamp: 1200 calls, 3 poses skipped, 2 raised" in said
    assert "killed" not in said
