"""Replay: every decision once more from the log, bit for bit; and what a log that was changed gives away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support.random_session import write_random_session

from rt_pose.audit.replay import format_replay, replay, replay_session
from rt_pose.cli.main import main
from rt_pose.errors import ExitCode, NotComparableError, UserError
from rt_pose.package import DriftLimits, DriftSpec
from rt_pose.records import ControlRecord, End
from rt_pose.reports.drift import drift_advice, drift_figures, drift_rows
from rt_pose.session.log_file import LogWriter
from rt_pose.session.read import Session

Written = Callable[[int], Path]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The folder of a seed's random session, which is written once. Read only."""
    folder = tmp_path_factory.mktemp("random")

    def write(seed: int) -> Path:
        if not (folder / f"{seed}").exists():
            write_random_session(folder / f"{seed}", seed)
        return folder / f"{seed}"

    return write


@pytest.mark.parametrize("seed", range(12))
def test_random_sessions_replay_bit_for_bit(seed: int, written: Written) -> None:
    result = replay(written(seed))
    assert result.same_environment
    assert result.identical, result.differences[:5]
    assert result.observations == result.tracks == 300


def test_random_sessions_have_something_to_replay(written: Written) -> None:
    """Every outcome and many reasons occur: else the test above would show little."""
    found: set[tuple[str, str]] = set()
    blocks: set[str] = set()
    probabilities = 0
    for seed in range(12):
        session = Session.read(written(seed))
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
def test_a_changed_log_is_found_out(changed: str, written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session.read(written(2))
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
    assert not replay(Path("session")).identical


def test_drift_is_computed_again_too(tmp_path: Path) -> None:
    """Alarms come and go with the seconds, of each camera; the report shows what the loop summed up."""
    restless = DriftLimits(0.5, 1.0, 0.0, 0.02)
    spec = DriftSpec({"confidence": restless, "innovation": restless}, 0.1, 20.0, 60.0)
    write_random_session(tmp_path / "session", 3, drift=spec)
    session = Session.read(tmp_path / "session")
    result = replay_session(session)
    assert (result.identical, result.drift_alarms > 1) == (True, True), result.differences
    assert f"{result.drift_alarms} drift alarms" in format_replay(result)
    found = drift_figures(session)
    assert found["not_compared"] == ""
    assert sum(one["alarms"] for one in found["cameras"].values()) == result.drift_alarms
    assert len(list(drift_rows(found))) == result.drift_alarms
    (advice,) = drift_advice(session, found)
    assert f"rt-pose improve {session.path} --out FOLDER" in advice
    assert session.end is not None
    logged = session.end.counts["drift"]
    camera = next(name for name, one in logged.items() if one["episodes"])
    logged[camera]["episodes"][0]["start_s"] += 0.1
    (difference,) = replay_session(session).differences
    assert difference.startswith(f"camera '{camera}': drift, episodes was")
    assert session.info.package.drift is not None
    session.info.package.drift.block_s = 0.0
    with pytest.raises(UserError, match=r"drift\.block_s: expected a number above 0"):
        replay_session(session)


def test_an_unknown_order_is_told(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session.read(written(1))
    seq = session.inputs[-1].seq + 1
    session.controls.append(ControlRecord(t_ns=0, seq=seq, do="levitate"))
    monkeypatch.setattr(Session, "read", lambda path: session)
    result = replay(Path("session"))
    assert not result.identical
    assert any("the order 'levitate' is not known to this program" in line for line in format_replay(result))


@pytest.mark.parametrize(
    ("changed", "same"), [("numpy", False), ("numba", False), ("rt-pose", True), ("openvino", True)]
)
def test_only_what_computes_tracks_makes_another_environment(
    changed: str, same: bool, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.read(written(2))
    session.info.versions[changed] = "0.0"
    monkeypatch.setattr(Session, "read", lambda path: session)
    result = replay(Path("session"))
    assert (result.same_environment, result.bit_for_bit) == (same, True)
    cause = session.observations[40]
    cause.xy = type(cause.xy).of(cause.xy.array() * (1 + 1e-13))
    moved = replay(Path("session"))
    assert not moved.bit_for_bit
    assert moved.identical is not same, "elsewhere the last bits may differ"
    assert ("bit for bit" in format_replay(moved)[0]) is False


def test_the_turn_in_which_the_loop_was_killed_is_no_difference(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between an observation and its track: nothing is known of that turn, and nothing differs."""
    session = Session.read(written(4))
    last = session.observations[-1]
    session.tracks = [track for track in session.tracks if track.seq != last.seq]
    session.events = [record for record in session.events if record.seq != last.seq]
    monkeypatch.setattr(Session, "read", lambda path: session)
    session.end = None
    result = replay(Path("session"))
    assert result.identical, result.differences
    assert result.observations == 299
    session.end = End(t_ns=0, reason="time is up")
    assert not replay(Path("session")).identical, "a loop that ended in order leaves no turn half done"


def changed_command(session: Session, **fields: object) -> None:
    record = session.commands[len(session.commands) // 2]
    record.command = msgspec.structs.replace(record.command, **fields)


def changed_ack(session: Session, **fields: object) -> None:
    for field, value in fields.items():
        setattr(session.acks[-1].ack, field, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: changed_command(s, duration_us=5_000_000), "duration_us was 5000000, is"),
        (lambda s: changed_command(s, output="other"), "output was 'other', is"),
        (lambda s: changed_command(s, line=7), "line was 7, is"),
        (lambda s: s.commands.clear(), "0 commands in the log, 1 in replay"),
        (lambda s: s.commands.pop(3), "0 commands in the log, 1 in replay"),
        (lambda s: s.commands.append(s.commands[2]), "2 commands in the log, 1 in replay"),
        (lambda s: changed_ack(s, output="other"), "its acknowledgement came from 'other'"),
        (lambda s: changed_ack(s, command_id=10**6), "command 1000000 was acknowledged, but the"),
        (lambda s: changed_ack(s, ok=True), "the loop counted commands_failed"),
        (lambda s: s.acks.append(s.acks[-1]), "was acknowledged 2 times"),
    ],
)
def test_a_changed_command_or_acknowledgement_is_found_out(
    change: Callable[[Session], object], said: str, written: Written
) -> None:
    session = Session.read(written(2))
    assert len(session.commands) > 5
    change(session)
    result = replay_session(session)
    assert any(said in line for line in result.differences), result.differences
    assert result.exit_code == ExitCode.FAILED


def test_commands_without_an_acknowledgement_are_told(written: Written) -> None:
    session = Session.read(written(2))
    assert len(session.acks) == len(session.commands) > 5
    for record in session.acks:
        record.ack.ok = True
    assert session.end is not None
    session.end.counts["commands_failed"] = 0
    assert replay_session(session).exit_code == ExitCode.DONE
    del session.acks[-2:]
    result = replay_session(session)
    assert (result.exit_code, result.unread) == (
        ExitCode.INCOMPLETE,
        ["2 commands have no acknowledgement"],
    )


@pytest.mark.parametrize("left", ["nothing", "orders", "one unfinished turn"])
def test_nothing_observed_is_not_identical(left: str, written: Written) -> None:
    session = Session.read(written(2))
    if left == "one unfinished turn":
        session.end, session.observations = None, session.observations[:1]
    else:
        session.observations.clear()
    if left != "orders":
        session.controls.clear()
    with pytest.raises(NotComparableError, match="its log holds no observation") as raised:
        replay_session(session)
    assert raised.value.exit_code == ExitCode.NOT_COMPARABLE


def test_what_follows_a_missing_input_is_not_judged(written: Written) -> None:
    session = Session.read(written(2))
    lost = session.observations.pop(100)
    result = replay_session(session)
    assert (result.missing_inputs, result.differences) == (1, [])
    assert result.observations == 100
    assert result.exit_code == ExitCode.NOT_COMPARABLE
    assert "NOT comparable" in format_replay(result)[-1]
    session.tracks = [track for track in session.tracks if track.seq != lost.seq - 1]
    assert replay_session(session).exit_code == ExitCode.FAILED, "what came before it is judged"


def test_what_a_session_is_known_to_lack_is_no_difference(written: Written) -> None:
    session = Session.read(written(2))
    seq = session.commands[2].seq
    session.tracks = [track for track in session.tracks if track.seq != seq]
    session.events = [event for event in session.events if event.seq != seq]
    session.commands.pop(2)
    assert replay_session(session).exit_code == ExitCode.FAILED
    session.info.missing.append("3 of 900 records are not in the log")
    result = replay_session(session)
    assert result.exit_code == ExitCode.INCOMPLETE, result.differences
    assert any("tracks, events or commands are not in the log" in line for line in result.unread)
    session.tracks[5].lost[0] ^= True
    assert replay_session(session).exit_code == ExitCode.FAILED


def test_exit_codes_of_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut log is identical as far as it goes, and not the whole; rules of tomorrow cannot be judged."""
    write_random_session(tmp_path / "session", 2)
    log, info = tmp_path / "session" / "log.mcap", tmp_path / "session" / "session.json"
    log.write_bytes(log.read_bytes()[: log.stat().st_size * 3 // 4])
    assert main(["replay", str(tmp_path / "session")]) == ExitCode.INCOMPLETE
    assert "the log ends early" in capsys.readouterr().out
    plain = json.loads(info.read_text())
    info.write_text(json.dumps(plain | {"semantics": 99}))
    assert main(["replay", str(tmp_path / "session")]) == ExitCode.NOT_COMPARABLE
    info.write_text(json.dumps(plain))
    log.unlink()
    LogWriter(log).close()
    assert main(["replay", str(tmp_path / "session")]) == ExitCode.NOT_COMPARABLE
