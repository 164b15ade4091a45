"""What a session's log says came of its inputs, compared with what comes of them again.

Tracks and events may differ in their last bits where libraries or processor are others; commands may not.
Acknowledgements come from outside and cannot be computed: that they belong to the commands is checked.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from rt_pose.audit.recompute import RecomputedFrame, RecomputedGroup
from rt_pose.loop.publish import plain_probabilities
from rt_pose.records import GroupRecord, Track3DRecord, TrackRecord
from rt_pose.session.read import Session
from rt_pose.types import Command, Event, Individuals, Track, Track3D

VALUE_TOLERANCE = 1e-6
"""Relative tolerance of an event's value on another machine or with other versions."""
COMPUTED = ("x", "y")
"""Fields of a command that follow from the track, and may differ like it on another machine."""


class LoggedOutputs:
    """The outputs in a log, taken out as they are compared."""

    def __init__(self, session: Session, exact: bool) -> None:
        """Sort the outputs by the input that they came of.

        Parameters
        ----------
        session
            The session.
        exact
            Whether tracks and events must be equal bit for bit.
        """
        self.differences: list[str] = []
        self.tracks = self.tracks3d = self.events = self.commands = 0
        """Numbers of what was compared."""
        self.lost = 0
        """Outputs that are not in the log of a session that is known to lack records."""
        self.largest_px = 0.0
        """The largest difference of a track's coordinate."""
        self.largest_mm = 0.0
        """The same of tracks in space."""
        self.bit_for_bit = True
        self._exact, self._lossy = exact, session.info.lacks_records or bool(session.skipped)
        self._tracks = {record.seq: record for record in session.tracks}
        self._tracks3d = {record.seq: record for record in session.tracks3d}
        self._events: dict[int, list[Event]] = defaultdict(list)
        for event in session.events:
            self._events[event.seq].append(event.event)
        self._commands: dict[int, list[Command]] = defaultdict(list)
        for command in session.commands:
            self._commands[command.seq].append(command.command)

    def compare(self, again: RecomputedFrame, seq: int) -> None:
        """Compare what came of an observation.

        Parameters
        ----------
        again
            What comes of it now.
        seq
            Its number among the inputs.
        """
        track = self._tracks.get(seq)
        if track is not None:
            self._compare_track(track, again.track, seq)
            self._compare_individuals(track, again.track, seq)
        elif not self._is_lost(1):
            self.differences.append(f"input {seq}: the log holds no track")
        self._compare_decisions(again, seq)

    def compare_group(self, again: RecomputedGroup, taken: GroupRecord) -> None:
        """Compare what came of a turn of a group of views.

        Parameters
        ----------
        again
            What comes of it now.
        taken
            The record of the turn.
        """
        seq = taken.seq
        if (again.turn.used, again.turn.late) != (taken.used, taken.late):
            self.differences.append(f"input {seq}: other observations are used than the log says")
        track = self._tracks3d.get(seq)
        if track is not None and again.track is not None:
            self._compare_track3d(track, again.track, seq)
            self._compare_individuals_in_space(track, again, seq)
            errors = tuple(track.error_px), tuple(again.turn.error_px)
            if not _equal(*errors, exact=self._exact):
                self.differences.append(f"input {seq}: error_px was {errors[0]}, is {errors[1]}")
        elif again.track is not None and not self._is_lost(1):
            self.differences.append(f"input {seq}: the log holds no track in space")
        self._compare_decisions(again, seq)

    def _compare_decisions(self, again: RecomputedFrame | RecomputedGroup, seq: int) -> None:
        events, commands = self._events.pop(seq, []), self._commands.pop(seq, [])
        self.events += len(events)
        self.commands += len(commands)
        if not self._is_lost(len(again.events) - len(events)):
            self._compare_events(events, again.events, seq)
        if not self._is_lost(len(again.commands) - len(commands)):
            self.differences += _command_differences(commands, again.commands, seq, self._exact)

    def compare_rest(self, last: int) -> None:
        """Find outputs of inputs that are no observation.

        Parameters
        ----------
        last
            Number of the last input that was compared; what came later is left alone.
        """
        for what, left in (("an event", self._events), ("a command", self._commands)):
            for seq in sorted(seq for seq in left if seq <= last):
                self.differences.append(f"input {seq}: the log holds {what} but no observation")

    def _is_lost(self, fewer: int) -> bool:
        """Whether outputs that the log lacks are explained by the session's known losses."""
        lost = fewer > 0 and self._lossy
        self.lost += fewer if lost else 0
        return lost

    def _compare_track(self, logged: TrackRecord, track: Track, seq: int) -> None:
        self.tracks += 1
        pairs = (
            (logged.xy.array(), track.xy),
            (logged.velocity.array(), track.velocity),
            (logged.cov.array(), track.cov),
        )
        apart = np.abs(pairs[0][0] - pairs[0][1])
        finite = apart[np.isfinite(apart)]
        furthest = float(finite.max()) if finite.size else 0.0
        self.largest_px = max(self.largest_px, furthest)
        equal = all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
        self.bit_for_bit &= equal
        if self._exact and not equal:
            self.differences.append(f"input {seq}: the track differs by up to {furthest:.3g} px")
        if logged.lost != track.lost.ravel().tolist():
            self.differences.append(f"input {seq}: other keypoints are lost than the log says")

    def _compare_track3d(self, logged: Track3DRecord, track: Track3D, seq: int) -> None:
        assert track.views is not None
        assert track.confidence is not None
        self.tracks3d += 1
        pairs = (
            (logged.xyz.array(), track.xyz),
            (logged.velocity.array(), track.velocity),
            (logged.cov.array(), track.cov),
            (logged.p.array(), track.confidence),
        )
        apart = np.abs(pairs[0][0] - pairs[0][1])
        finite = apart[np.isfinite(apart)]
        furthest = float(finite.max()) if finite.size else 0.0
        self.largest_mm = max(self.largest_mm, furthest)
        equal = all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
        self.bit_for_bit &= equal
        if self._exact and not equal:
            self.differences.append(f"input {seq}: the track in space differs by up to {furthest:.3g} mm")
        if (logged.lost, logged.views) != (track.lost.ravel().tolist(), track.views.ravel().tolist()):
            self.differences.append(f"input {seq}: in space other keypoints are seen or lost than logged")

    def _compare_individuals(self, logged: TrackRecord, track: Track, seq: int) -> None:
        who = track.individuals
        if who is None:
            return
        if (logged.alive, logged.detection) != (who.alive.tolist(), who.detection.tolist()):
            self.differences.append(f"input {seq}: other individuals are in the slots than the log says")
        self._compare_identities(logged.identity_p, who, seq)

    def _compare_individuals_in_space(self, logged: Track3DRecord, again: RecomputedGroup, seq: int) -> None:
        who = None if again.track is None else again.track.individuals
        if who is None:
            return
        if (logged.alive, logged.detection) != (who.alive.tolist(), again.turn.detection):
            self.differences.append(f"input {seq}: other animals are in the slots in space than the log says")
        self._compare_identities(logged.identity_p, who, seq)

    def _compare_identities(self, logged: list[float | None], who: Individuals, seq: int) -> None:
        was, is_now = tuple(logged), tuple(plain_probabilities(who))
        self.bit_for_bit &= was == is_now
        if not _equal(was, is_now, exact=self._exact):
            self.differences.append(f"input {seq}: identity_p was {was}, is {is_now}")

    def _compare_events(self, logged: list[Event], again: list[Event], seq: int) -> None:
        if len(logged) != len(again):
            self.differences.append(f"input {seq}: {len(logged)} events in the log, {len(again)} in replay")
            return
        for before, after in zip(logged, again, strict=True):
            for key in Event.__struct_fields__:
                was, is_now = getattr(before, key), getattr(after, key)
                if _equal(was, is_now, exact=True):
                    continue
                self.bit_for_bit = False
                if self._exact or not _equal(was, is_now, exact=False):
                    self.differences.append(
                        f"input {seq}, rule '{after.rule}': {key} was {was!r}, is {is_now!r}"
                    )


def _command_differences(logged: list[Command], again: list[Command], seq: int, exact: bool) -> Iterator[str]:
    if len(logged) != len(again):
        yield f"input {seq}: {len(logged)} commands in the log, {len(again)} in replay"
        return
    for before, after in zip(logged, again, strict=True):
        was, is_now = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
        for key in was:
            if not _equal(was[key], is_now[key], exact=exact or key not in COMPUTED):
                yield f"input {seq}, command {after.id}: {key} was {was[key]!r}, is {is_now[key]!r}"


def ack_differences(session: Session) -> Iterator[str]:
    """Find acknowledgements that do not belong to the commands, or not to what the loop counted of them.

    Parameters
    ----------
    session
        The session.

    Yields
    ------
    str
        A difference.
    """
    commands = {record.command.id: record for record in session.commands}
    lossy = session.info.lacks_records or bool(session.skipped or session.cut)
    for ack in (record.ack for record in session.acks):
        record = commands.get(ack.command_id)
        if record is None:
            if not lossy:
                yield f"command {ack.command_id} was acknowledged, but the log does not hold it"
        elif record.command.output != ack.output:
            yield (
                f"command {ack.command_id} went to output '{record.command.output}', its acknowledgement "
                f"came from '{ack.output}'"
            )
        elif not record.accepted:
            yield f"command {ack.command_id} was refused, and acknowledged all the same"
    for command, times in Counter(record.ack.command_id for record in session.acks).items():
        if times > 1:
            yield f"command {command} was acknowledged {times} times"
    if session.end is None or lossy:
        return
    for key, held in (
        ("commands_failed", sum(not record.ack.ok for record in session.acks)),
        ("commands_refused", sum(not record.accepted for record in session.commands)),
    ):
        counted = session.end.counts.get(key, held)
        if counted != held:
            yield f"the loop counted {key} {counted}, the log holds {held}"


def _equal(before: Any, after: Any, *, exact: bool) -> bool:
    if isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        return all(_equal(a, b, exact=exact) for a, b in zip(before, after, strict=True))
    if not isinstance(before, float) or not isinstance(after, float):
        return bool(before == after)
    if math.isnan(before) or math.isnan(after):
        return math.isnan(before) and math.isnan(after)
    if exact:
        return before == after
    return bool(np.isclose(before, after, rtol=VALUE_TOLERANCE, atol=VALUE_TOLERANCE))
