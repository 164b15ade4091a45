"""What a rule that never came true was missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.live_run import config, run
from support.tiny_package import make_tiny_package

from rt_pose.audit.untriggered_rules import as_json, format_untriggered, split
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.records import ArrayData
from rt_pose.reports.session_report import make_report
from rt_pose.reports.summary import format_summary
from rt_pose.session.read import Session


@pytest.mark.parametrize(
    ("when", "parts"),
    [
        ("speed(a) > 3", ["speed(a) > 3"]),
        ("inside(a, z) and speed(a) > 3", ["inside(a, z)", "speed(a) > 3"]),
        ("(x(a) > 1 and y(a) > 2) and not speed(a) > 3", ["(x(a) > 1 and y(a) > 2)", "not speed(a) > 3"]),
        ("speed(a) > 3 and x(a) > 1 or y(a) > 2", ["speed(a) > 3 and x(a) > 1 or y(a) > 2"]),
        (
            "1 < max(x(a), y(a)) < 30 px and unseen(a) < 5 ms",
            ["1 < max(x(a), y(a)) < 30 px", "unseen(a) < 5 ms"],
        ),
    ],
)
def test_the_parts_of_a_condition(when: str, parts: list[str]) -> None:
    assert split(when) == parts


def test_the_report_says_what_was_missing(tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package", keypoints=3)
    do = ActionConfig("stimulus", "5 ms")
    rules = [
        RuleConfig("never", "speed(k0) >= 0 and x(k0) > 5000", do, hold="40 ms", probability=0.9),
        RuleConfig("too_short", "speed(k1) >= 0", do, hold="1 min"),
        RuleConfig("now_and_then", "speed(k0) >= 0", do, refractory="300 ms"),
    ]
    run(config(tmp_path / "package", rules=rules, seconds=1.5), tmp_path / "session")
    figures = make_report(tmp_path / "session")
    found = figures["silent_rules"]
    assert list(found) == ["never", "too_short"], "the third one has events"
    never, short = found["never"], found["too_short"]
    moves, away = never["parts"].values()
    assert moves == never["frames"] > 5
    assert (away, never["whole"], never["longest_ms"]) == (0, 0, 0)
    assert never["likeliest"] < 0.01
    assert short["whole"] == short["frames"]
    assert 200 < short["longest_ms"] < short["hold_ms"] == 60_000
    messages = format_summary(figures)
    assert (
        f"rule never never came true; rarest: the x of k0 is above 5000 px, in 0 of {away + moves}"
        in messages
    )
    assert "rule too_short never came true; it held for " in messages
    page = (tmp_path / "session" / "report.html").read_text()
    assert "Rules that never came true, and what was missing" in page
    assert "the x of k0 is above 5000 px" in page


def test_rules_that_this_program_cannot_read_are_left_out(synthetic_session: Path) -> None:
    session = Session.read(synthetic_session)
    session.info = replace(
        session.info, config=session.info.config | {"rules": [{"name": "of another time"}]}
    )
    assert as_json(session) is None


def test_a_keypoint_that_was_never_seen_is_told(tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package", keypoints=3)
    rules = [RuleConfig("never", "speed(k0) > 1 and x(k1) > 5000", ActionConfig("stimulus", "5 ms"))]
    run(config(tmp_path / "package", rules=rules, seconds=1.5), tmp_path / "session")
    session = Session.read(tmp_path / "session")
    for record in session.observations:
        confidence = record.confidence.array().copy()
        confidence[:, 0] = 0.0
        record.confidence = ArrayData.of(confidence)
    found = as_json(session)
    assert found is not None
    never = found["never"]
    assert never["observed"] == never["lost"]["k0"] == len(session.observations) > 5
    assert (never["frames"], set(never["lost"])) == (0, {"k0", "k1"})
    assert format_untriggered(never).startswith("its keypoints were never all in view: k0 was lost in ")
