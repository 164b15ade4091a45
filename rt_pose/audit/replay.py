"""Replay: the session's decisions computed again from its log, and compared.

Tracking and rules are run over the logged observations, controls and judging times, in the loop's order. With
equal libraries and processor features every track and event must come out bit for bit, whatever the
version of rt-pose; elsewhere every event must.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.errors import UserError
from rt_pose.records import ControlRecord, Observation, TrackRecord
from rt_pose.session.describe import machine, versions
from rt_pose.session.read import Session
from rt_pose.types import Event, Track

COMPUTED_WITH = ("python", "numpy", "numba")
"""What tracks and events are computed with; another version may round differently."""
VALUE_TOLERANCE = 1e-6
"""Relative tolerance of an event's value on another machine or with other versions."""
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

    @property
    def identical(self) -> bool:
        """Whether nothing differs and no input is missing."""
        return not self.differences and not self.missing_inputs


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
        Where there is no session to read, or it holds no observation.
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
        What differs from the log.

    Raises
    ------
    UserError
        Where it holds no observation.
    """
    inputs = list(usable_inputs(session))
    logged_events: dict[int, list[Event]] = defaultdict(list)
    for record in session.events:
        logged_events[record.seq].append(record.event)
    logged_tracks = {record.seq: record for record in session.tracks}

    missing = session.inputs[-1].seq - len(session.inputs)
    result = ReplayResult(0, 0, 0, same_environment(session), 0.0, missing_inputs=missing, cut=session.cut)
    decisions = DecisionReplay(ReplaySetup.of(session))
    for item in inputs:
        if isinstance(item, ControlRecord):
            problem = decisions.order(item)
            if problem:
                result.differences.append(f"input {item.seq}: {problem}")
            continue
        again = decisions.observe(item)
        result.observations += 1
        _compare_track(result, logged_tracks.get(item.seq), again.track, item.seq)
        _compare_events(result, logged_events.pop(item.seq, []), again.events, item.seq)
    last = inputs[-1].seq if inputs else 0
    for seq in sorted(s for s in logged_events if s <= last):
        result.differences.append(f"input {seq}: the log holds an event but no observation")
    return result


def usable_inputs(session: Session) -> Iterator[Observation | ControlRecord]:
    """Iterate over the inputs whose outputs can be in the log.

    Where the log was cut, or the loop was killed, the last turn is left out: what came of it may be missing.

    Parameters
    ----------
    session
        The session.

    Yields
    ------
    Observation or ControlRecord
        In the order in which the loop took them.

    Raises
    ------
    UserError
        Where there is none.
    """
    inputs = session.inputs
    if not inputs:
        raise UserError(f"session {session.path}: its log holds no observation; there is nothing to replay")
    yield from inputs[: len(inputs) - _unfinished(session)]


def _unfinished(session: Session) -> int:
    """How many of the last inputs may lack outputs: those of the turn in which the log or the loop ended."""
    if not session.cut and session.end is not None:
        return 0
    last = session.inputs[-1]
    if not isinstance(last, Observation):
        return 1
    count = 0
    for item in reversed(session.inputs):
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
        f"{result.observations} observations, {result.events} events, {result.tracks} tracks ({exactly})"
    ]
    if not result.bit_for_bit:
        lines.append(f"largest difference of a track: {result.largest_track_difference_px:.3g} px")
    if result.cut:
        lines.append(f"the log ends early: {result.cut}")
    if result.missing_inputs:
        lines.append(
            f"{result.missing_inputs} inputs never reached the log; what follows cannot be reproduced"
        )
    lines += [f"differs: {line}" for line in result.differences[:SHOWN_DIFFERENCES]]
    if len(result.differences) > SHOWN_DIFFERENCES:
        lines.append(f"... and {len(result.differences) - SHOWN_DIFFERENCES} more differences")
    lines.append("identical" if result.identical else "NOT identical")
    return lines


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
    return {"identical": result.identical, "differing": len(result.differences), **plain}


def _compare_track(result: ReplayResult, logged: TrackRecord | None, track: Track, seq: int) -> None:
    if logged is None:
        result.differences.append(f"input {seq}: the log holds no track")
        return
    result.tracks += 1
    pairs = (
        (logged.xy.array(), track.xy),
        (logged.velocity.array(), track.velocity),
        (logged.cov.array(), track.cov),
    )
    apart = np.abs(pairs[0][0] - pairs[0][1])
    finite = apart[np.isfinite(apart)]
    furthest = float(finite.max()) if finite.size else 0.0
    result.largest_track_difference_px = max(result.largest_track_difference_px, furthest)
    equal = all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    result.bit_for_bit &= equal
    if result.same_environment and not equal:
        result.differences.append(f"input {seq}: the track differs by up to {furthest:.3g} px")
    if logged.lost != track.lost.ravel().tolist():
        result.differences.append(f"input {seq}: other keypoints are lost than the log says")


def _compare_events(result: ReplayResult, logged: list[Event], again: list[Event], seq: int) -> None:
    result.events += len(logged)
    if len(logged) != len(again):
        result.differences.append(f"input {seq}: {len(logged)} events in the log, {len(again)} in replay")
        return
    for before, after in zip(logged, again, strict=True):
        for key in Event.__struct_fields__:
            was, is_now = getattr(before, key), getattr(after, key)
            if _equal(was, is_now, exact=True):
                continue
            result.bit_for_bit = False
            if result.same_environment or not _equal(was, is_now, exact=False):
                result.differences.append(
                    f"input {seq}, rule '{after.rule}': {key} was {was!r}, is {is_now!r}"
                )


def _equal(before: Any, after: Any, *, exact: bool) -> bool:
    if not isinstance(before, float) or not isinstance(after, float):
        return bool(before == after)
    if math.isnan(before) or math.isnan(after):
        return math.isnan(before) and math.isnan(after)
    if exact:
        return before == after
    return bool(np.isclose(before, after, rtol=VALUE_TOLERANCE, atol=VALUE_TOLERANCE))
