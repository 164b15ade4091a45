from __future__ import annotations

from pathlib import Path

import pytest
from support.random_session import write_random_session

from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.audit.what_if import Trial, align, compare, what_if
from rt_pose.audit.what_if_format import as_json, format_comparison
from rt_pose.session.read import Session
from rt_pose.types import Command, Event

MS = 1_000_000


def trial(seq: int, outcome: str = "fired", reason: str = "condition", rule: str = "reach") -> Trial:
    event = Event(seq, rule, 0, outcome, reason, None, 1.0, "top", seq, 0, 0, 0, True)  # type: ignore[arg-type]
    command = Command(seq, seq, "laser", 0, "pulse", 5000) if outcome == "fired" else None
    return Trial(seq, seq * 10 * MS, event, command)


def kinds(before: list[Trial], after: list[Trial]) -> list[tuple[str, bool]]:
    return [(d.kind, d.changes_stimulus) for d in align(before, after)]


def test_equal_runs_do_not_differ() -> None:
    assert not align([trial(3), trial(900)], [trial(3), trial(900)])


def test_the_four_kinds_of_difference() -> None:
    assert kinds([trial(3)], []) == [("only before", True)]
    assert kinds([], [trial(3)]) == [("only after", True)]
    assert kinds([trial(3)], [trial(5)]) == [("other time", True)]
    assert kinds([trial(3)], [trial(3, "withheld", "control")]) == [("other outcome", True)]


def test_what_did_not_fire_changes_no_stimulus() -> None:
    assert kinds([trial(3, "suppressed", "late")], []) == [("only before", False)]
    assert kinds([trial(3, "suppressed", "late")], [trial(3, "suppressed", "lost")]) == [
        ("other outcome", False)
    ]
    assert kinds([trial(3, "withheld", "control")], [trial(4, "withheld", "control")]) == [
        ("other time", False)
    ]


def test_another_pulse_is_another_stimulus() -> None:
    longer = trial(3)
    assert longer.command is not None
    longer.command.duration_us = 6000
    assert kinds([trial(3)], [longer]) == [("other command", True)]


def test_a_trial_is_paired_with_the_nearest_and_not_with_one_far_away() -> None:
    found = align([trial(100), trial(110)], [trial(111), trial(104)])
    assert [(d.before and d.before.seq, d.after and d.after.seq) for d in found] == [(100, 104), (110, 111)]
    assert [d.kind for d in align([trial(100)], [trial(151)])] == ["only before", "only after"]


def test_rules_are_not_mixed_up() -> None:
    assert [d.kind for d in align([trial(3)], [trial(3, rule="run")])] == ["only before", "only after"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    path = tmp_path_factory.mktemp("random") / "session"
    write_random_session(path, seed=4, frames=400)
    return Session.read(path)


def test_nothing_changed_changes_nothing(session: Session) -> None:
    setup = ReplaySetup.of(session)
    found = compare(session, DecisionReplay(setup), DecisionReplay(setup))
    assert not found.differences
    assert len(found.before) == len(found.after) == len(session.events)


def test_a_session_run_with_the_changed_value_is_what_would_have_been(tmp_path: Path) -> None:
    """Truly run with another share of controls: the very events of the answer, as far as it claims."""
    from support import random_session

    path, other = tmp_path / "a", tmp_path / "b"
    config = write_random_session(path, seed=4)
    name = config.rules[0].name
    original = random_session.random_config

    def changed(random: object) -> object:
        made = original(random)  # type: ignore[arg-type]
        made.rules[0].withhold = 1.0
        return made

    random_session.random_config = changed  # type: ignore[assignment]
    try:
        write_random_session(other, seed=4)
    finally:
        random_session.random_config = original
    found, expected = what_if(Session.read(path), [f"rules.{name}.withhold=1.0"])
    first = found.first_changed_stimulus
    assert first is not None
    end = found.differences[first].first.seq
    truly = [(e.seq, e.event["rule"], e.event["outcome"]) for e in Session.read(other).events]
    claimed = [(t.seq, t.event.rule, t.event.outcome) for t in found.after if t.seq <= end]
    assert claimed == [event for event in truly if event[0] <= end]
    assert "withheld" in {outcome for seq, _, outcome in claimed if seq == end}
    assert expected[0].startswith(f"rules.{name}.withhold: ")


def test_it_says_where_belief_ends(session: Session) -> None:
    rule = next(e.event["rule"] for e in session.events if e.event["outcome"] == "fired")
    found, _ = what_if(session, [f"rules.{rule}.withhold=1.0"])
    first = found.first_changed_stimulus
    assert first is not None
    text = "\n".join(format_comparison(found, "changed"))
    assert "What follows is open-loop and not to be believed" in text
    plain = as_json(found)
    assert len(plain["believed"]) == first + 1
    assert plain["believed"][-1]["after"] == "withheld (control)"


def test_without_a_changed_stimulus_all_may_be_believed(session: Session) -> None:
    found, _ = what_if(session, ["delays_ms.laser=2"])
    assert "all of this may be believed" in "\n".join(format_comparison(found, "changed"))
