"""Replay: every decision once more from the log, bit for bit; and what a log that was changed gives away."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.random_session import write_random_session

from rt_pose.audit.replay import format_replay, replay
from rt_pose.records import ControlRecord, End
from rt_pose.session.read import Session


@pytest.mark.parametrize("seed", range(20))
def test_random_sessions_replay_bit_for_bit(seed: int, tmp_path: Path) -> None:
    write_random_session(tmp_path / "session", seed)
    result = replay(tmp_path / "session")
    assert result.same_environment
    assert result.identical, result.differences[:5]
    assert result.observations == result.tracks == 300


def test_random_sessions_have_something_to_replay(tmp_path: Path) -> None:
    """Every outcome and many reasons occur: else the test above would show little."""
    found: set[tuple[str, str]] = set()
    blocks: set[str] = set()
    probabilities = 0
    for seed in range(12):
        write_random_session(tmp_path / f"{seed}", seed)
        session = Session.read(tmp_path / f"{seed}")
        blocks |= {e.event.block for e in session.events}
        probabilities += sum(e.event.probability is not None for e in session.events)
        found |= {(e.event.outcome, e.event.reason) for e in session.events}
    assert {o for o, _ in found} == {"fired", "withheld", "suppressed"}
    assert blocks >= {"baseline", "stimulation"}
    assert probabilities
    assert {r for _, r in found} >= {
        "block",
        "disabled",
        "condition",
        "late",
        "control",
        "refractory",
        "disarmed",
        "lost",
        "cap",
    }


@pytest.mark.parametrize(
    "changed", ["observation", "judging time", "control", "event", "extra event", "lost"]
)
def test_a_changed_log_is_found_out(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_random_session(tmp_path / "session", 2)
    session = Session.read(tmp_path / "session")
    middle = session.events[len(session.events) // 2]
    cause = next(o for o in session.observations if o.seq == middle.seq)
    if changed == "observation":
        xy = cause.xy.array().copy()
        xy[0, 0, 0] = 5.0 if not xy[0, 0, 0] > 0 else xy[0, 0, 0] * (1 + 1e-15)
        cause.xy = type(cause.xy).of(xy)
    elif changed == "judging time":
        cause.t_judged_ns += 1
    elif changed == "control":
        session.controls.clear()
    elif changed == "event":
        session.events.remove(middle)
    elif changed == "lost":
        session.tracks[-1].lost[0] ^= True
    else:
        middle.seq = session.controls[0].seq
    monkeypatch.setattr(Session, "read", lambda path: session)
    assert not replay(tmp_path / "session").identical


def test_an_unknown_order_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_random_session(tmp_path / "session", 1)
    session = Session.read(tmp_path / "session")
    seq = session.inputs[-1].seq + 1
    session.controls.append(ControlRecord(t_ns=0, seq=seq, do="levitate"))
    monkeypatch.setattr(Session, "read", lambda path: session)
    result = replay(tmp_path / "session")
    assert not result.identical
    assert any("the order 'levitate' is not known to this program" in line for line in format_replay(result))


@pytest.mark.parametrize(
    ("changed", "same"), [("numpy", False), ("numba", False), ("rt-pose", True), ("openvino", True)]
)
def test_only_what_computes_tracks_makes_another_environment(
    changed: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_random_session(tmp_path / "session", 2)
    session = Session.read(tmp_path / "session")
    session.info.versions[changed] = "0.0"
    monkeypatch.setattr(Session, "read", lambda path: session)
    result = replay(tmp_path / "session")
    assert (result.same_environment, result.bit_for_bit) == (same, True)
    cause = session.observations[40]
    cause.xy = type(cause.xy).of(cause.xy.array() * (1 + 1e-13))
    moved = replay(tmp_path / "session")
    assert not moved.bit_for_bit
    assert moved.identical is not same, "elsewhere the last bits may differ"
    assert ("bit for bit" in format_replay(moved)[0]) is False


def test_the_turn_in_which_the_loop_was_killed_is_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between an observation and its track: nothing is known of that turn, and nothing differs."""
    write_random_session(tmp_path / "session", 4)
    session = Session.read(tmp_path / "session")
    last = session.observations[-1]
    session.tracks = [track for track in session.tracks if track.seq != last.seq]
    session.events = [record for record in session.events if record.seq != last.seq]
    monkeypatch.setattr(Session, "read", lambda path: session)
    session.end = None
    result = replay(tmp_path / "session")
    assert result.identical, result.differences
    assert result.observations == 299
    session.end = End(t_ns=0, reason="time is up")
    assert not replay(tmp_path / "session").identical, "a loop that ended in order leaves no turn half done"
