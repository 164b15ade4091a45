"""Replay: the session's decisions computed again from its log, and compared.

Tracking and rules are run over the logged observations, controls and judging times, in the loop's order. With
equal libraries and processor features every track, event and command must come out bit for bit, whatever the
version of rt-pose; elsewhere every event and command must. Acknowledgements come from outside and cannot be
computed; that they belong to the commands is checked.

What a session is known to lack is no difference: it is counted, and replay judges what is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rt_pose.audit.logged_outputs import LoggedOutputs, ack_differences
from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.errors import ExitCode, NotComparableError
from rt_pose.records import ControlRecord, EdgeRecord, GroupRecord, Observation
from rt_pose.session.describe import machine, versions
from rt_pose.session.read import InputRecord, Session

COMPUTED_WITH = ("python", "numpy", "numba")
"""What tracks and events are computed with; another version may round differently."""
SHOWN_DIFFERENCES = 10


@dataclass
class ReplayResult:
    """What a replay found."""

    observations: int
    tracks: int
    events: int
    """Events in the log that were compared."""
    same_environment: bool
    """Whether libraries and processor features are equal, so that results must be equal bit for bit."""
    largest_track_difference_px: float
    differences: list[str] = field(default_factory=list)
    missing_inputs: int = 0
    """Inputs that never reached the log, so that nothing after them can be reproduced."""
    cut: str = ""
    bit_for_bit: bool = True
    """Whether every track and event that was compared came out equal bit for bit, here or elsewhere."""
    commands: int = 0
    """Commands in the log that were compared."""
    acks: int = 0
    """Acknowledgements in the log."""
    unread: list[str] = field(default_factory=list)
    """What of the session could not be read or was never recorded."""
    drift_alarms: int = 0
    """Alarms of the drift detector in the log that were compared."""
    tracks_in_space: int = 0
    """Tracks of groups of views in the log that were compared."""
    largest_track_difference_mm: float = 0.0
    """Of these."""

    @property
    def identical(self) -> bool:
        """Whether nothing differs and no input is missing."""
        return not self.differences and not self.missing_inputs

    @property
    def exit_code(self) -> ExitCode:
        """DONE where all was read and is identical; otherwise what kept it from that."""
        if self.differences:
            return ExitCode.FAILED
        if self.missing_inputs:
            return ExitCode.NOT_COMPARABLE
        return ExitCode.INCOMPLETE if self.unread else ExitCode.DONE

    @property
    def conclusion(self) -> str:
        """The result in words."""
        return {
            ExitCode.DONE: "identical",
            ExitCode.FAILED: "NOT identical",
            ExitCode.NOT_COMPARABLE: "NOT comparable from the first missing input on; identical before it",
            ExitCode.INCOMPLETE: "identical as far as the session goes; it is incomplete",
        }[self.exit_code]


def replay(path: Path | str) -> ReplayResult:
    """Compute a session's decisions again.

    Parameters
    ----------
    path
        The session's folder.

    Returns
    -------
    ReplayResult
        What differs from the log.

    Raises
    ------
    UserError
        Where there is no session to read; `NotComparableError` where nothing was observed.
    """
    return replay_session(Session.read(path))


def replay_session(session: Session) -> ReplayResult:
    """Compute the decisions of a session that has been read again.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    ReplayResult
        What differs from the log, up to the first input that is missing in it.

    Raises
    ------
    NotComparableError
        Where it holds no observation, or its rules mean what this program does not know.
    """
    usable = list(usable_inputs(session))
    if not any(isinstance(item, Observation) for item in usable):
        raise _nothing_observed(session)
    inputs = before_gap(usable)
    outputs = LoggedOutputs(session, exact=same_environment(session))
    decisions = DecisionReplay(ReplaySetup.of(session))
    observations = 0
    for item in inputs:
        if isinstance(item, ControlRecord):
            problem = decisions.order(item)
            if problem:
                outputs.differences.append(f"input {item.seq}: {problem}")
            continue
        if isinstance(item, EdgeRecord):
            decisions.take(item.edge)
            continue
        if isinstance(item, GroupRecord):
            outputs.compare_group(decisions.observe_group(item), item)
            continue
        observations += 1
        outputs.compare(decisions.observe(item), item.seq)
    outputs.compare_rest(inputs[-1].seq if inputs else 0)
    missing_inputs = session.inputs[-1].seq - first_seq(session.inputs) + 1 - len(session.inputs)
    alarms = {} if missing_inputs else _logged_drift(session)
    found = {name: monitor.summary() for name, monitor in decisions.drift.items()}
    lost = [f"{outputs.lost} tracks, events or commands are not in the log"] if outputs.lost else []
    return ReplayResult(
        observations,
        *(outputs.tracks, outputs.events, same_environment(session), outputs.largest_px),
        differences=[*outputs.differences, *ack_differences(session), *_drift_differences(alarms, found)],
        missing_inputs=missing_inputs,
        cut=session.cut,
        bit_for_bit=outputs.bit_for_bit,
        commands=outputs.commands,
        acks=len(session.acks),
        unread=[*unread(session), *lost],
        tracks_in_space=outputs.tracks3d,
        largest_track_difference_mm=outputs.largest_mm,
        drift_alarms=sum(decisions.drift[name].alarms for name in alarms.keys() & decisions.drift.keys()),
    )


def _logged_drift(session: Session) -> dict[str, dict[str, Any]]:
    """What the loop summed up of the drift detector, by camera; nothing where that cannot be compared."""
    if session.end is None or unread(session) or not same_environment(session):
        return {}
    logged = session.end.counts.get("drift")
    cameras = logged.items() if isinstance(logged, dict) else ()
    return {camera: before for camera, before in cameras if isinstance(before, dict)}


def _drift_differences(logged: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]) -> Iterator[str]:
    for camera, before in logged.items():
        now = found.get(camera)
        if now is None:
            yield f"camera '{camera}': it was compared with a calibration that session.json lacks"
            continue
        for key in sorted(before.keys() & now.keys()):  # a key of another version is not compared
            if before[key] != now[key]:
                yield f"camera '{camera}': drift, {key} was {before[key]}, is {now[key]}"


def usable_inputs(session: Session) -> Iterator[InputRecord]:
    """Iterate over the inputs whose outputs can be in the log.

    Where the log was cut, or the loop was killed, the last turn is left out: what came of it may be missing.

    Parameters
    ----------
    session
        The session.

    Yields
    ------
    Observation, ControlRecord, EdgeRecord or GroupRecord
        In the order in which the loop took them.

    Raises
    ------
    NotComparableError
        Where there is none.
    """
    inputs = session.inputs
    if not inputs:
        raise _nothing_observed(session)
    yield from inputs[: len(inputs) - _unfinished(session)]


def before_gap(inputs: list[InputRecord]) -> list[InputRecord]:
    """Get the inputs before the first one that is missing: what follows it cannot be computed again.

    Parameters
    ----------
    inputs
        In the order in which the loop took them, at least one.

    Returns
    -------
    list[Observation or ControlRecord]
        All of them where none is missing.
    """
    first = first_seq(inputs)
    return [item for at, item in enumerate(inputs, first) if item.seq == at]


def first_seq(inputs: list[InputRecord]) -> int:
    """Get the number of a session's first input.

    Parameters
    ----------
    inputs
        The session's, at least one.

    Returns
    -------
    int
        1, also where that input is missing; 0 where there is one of that number.
    """
    return min(1, inputs[0].seq)


def unread(session: Session) -> list[str]:
    """List what of a session could not be read, or was never recorded.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[str]
        A clause each; empty where everything is there.
    """
    found = list(session.skipped)
    cameras = session.end.counts.get("cameras", {}) if session.end else {}
    processed = sum(counts.get("processed", 0) for counts in cameras.values())
    if processed > len(session.observations):
        lost = processed - len(session.observations)
        found.append(f"{lost} of {processed} observations are not in the log")
    if session.cut:
        found.append(f"the log ends early: {session.cut}")
    found += session.info.missing
    refused = session.info.summary.get("records_refused", 0)
    if refused and not session.info.missing:
        found.append(f"{refused} records did not reach the recorder")
    answered = {record.ack.command_id for record in session.acks}
    unanswered = sum(r.accepted and r.command.id not in answered for r in session.commands)
    if unanswered:
        found.append(f"{unanswered} commands have no acknowledgement")
    return found


def _nothing_observed(session: Session) -> NotComparableError:
    return NotComparableError(
        f"session {session.path}: its log holds no observation whose decision was logged; there is "
        "nothing to replay"
    )


def _unfinished(session: Session) -> int:
    """How many of the last inputs may lack outputs: those of the turn in which the log or the loop ended."""
    if not session.cut and session.end is not None:
        return 0
    inputs = session.inputs
    count = 0
    while count < len(inputs) and isinstance(inputs[-1 - count], GroupRecord):
        count += 1
    last = inputs[-1 - count] if count < len(inputs) else None
    if not isinstance(last, Observation):
        return max(count, 1)
    for item in reversed(inputs[: len(inputs) - count]):
        if not isinstance(item, Observation) or item.stages.t_taken_ns != last.stages.t_taken_ns:
            break
        count += 1
    return count


def same_environment(session: Session) -> bool:
    """Tell whether results must be equal bit for bit.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    bool
        Whether libraries and processor features here are those of the session.
    """
    info, here = session.info, versions()
    same_libraries = all(info.versions.get(name) == here[name] for name in COMPUTED_WITH)
    return same_libraries and info.machine.get("features") == machine()["features"]


def format_replay(result: ReplayResult) -> list[str]:
    """Format the result in lines for people.

    Parameters
    ----------
    result
        What replay found.

    Returns
    -------
    list[str]
        The lines.
    """
    exactly = "bit for bit" if result.bit_for_bit else "within tolerance: other versions or processor"
    lines = [
        f"{result.observations} observations, {result.events} events, {result.tracks} tracks ({exactly})",
        f"{result.commands} commands, {result.acks} acknowledgements",
        *([f"{result.tracks_in_space} tracks in space"] if result.tracks_in_space else []),
        *([f"{result.drift_alarms} drift alarms"] if result.drift_alarms else []),
    ]
    if not result.bit_for_bit:
        in_space = f", {result.largest_track_difference_mm:.3g} mm" if result.tracks_in_space else ""
        lines.append(f"largest difference of a track: {result.largest_track_difference_px:.3g} px{in_space}")
    lines += [f"not read: {what}" for what in result.unread]
    if result.missing_inputs:
        lines.append(
            f"{result.missing_inputs} inputs never reached the log; what follows cannot be reproduced"
        )
    lines += [f"differs: {line}" for line in result.differences[:SHOWN_DIFFERENCES]]
    if len(result.differences) > SHOWN_DIFFERENCES:
        lines.append(f"... and {len(result.differences) - SHOWN_DIFFERENCES} more differences")
    return [*lines, result.conclusion]


def as_json(result: ReplayResult) -> dict[str, Any]:
    """Convert the result to plain values.

    Parameters
    ----------
    result
        What replay found.

    Returns
    -------
    dict[str, Any]
        The entry of `replay.json`; only the first differences are listed.
    """
    plain = dataclasses.asdict(result)
    plain["differences"] = result.differences[:SHOWN_DIFFERENCES]
    if not result.tracks_in_space:
        del plain["tracks_in_space"], plain["largest_track_difference_mm"]
    return {
        "identical": result.identical,
        "conclusion": result.conclusion,
        "differing": len(result.differences),
        **plain,
    }
