"""Replay: the session's decisions computed again from its log, and compared.

Tracking and rules are run over the logged observations, controls and judging times, in the loop's order. With
equal versions and processor features every track and event must come out bit for bit; elsewhere every event.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rt_pose.config import RunConfig, build
from rt_pose.errors import UserError
from rt_pose.loop.decide import Decider, make_rules
from rt_pose.loop.track import CausalFilter
from rt_pose.package import TrackingSpec
from rt_pose.records import ControlRecord, Observation, TrackRecord
from rt_pose.session.describe import machine, versions
from rt_pose.session.read import Session
from rt_pose.types import FrameStamps, Pose, Track

VALUE_TOLERANCE = 1e-6
"""Relative, of an event's value on another machine or with other versions."""
SHOWN_DIFFERENCES = 10


@dataclass
class ReplayResult:
    """What a replay found."""

    observations: int
    tracks: int
    events: int
    """Events in the log that were compared."""
    same_environment: bool
    """Equal versions and processor features: the comparison was bit for bit."""
    largest_track_difference_px: float
    differences: list[str] = field(default_factory=list)
    missing_inputs: int = 0
    """Inputs that never reached the log, so that nothing after them can be reproduced."""
    cut: str = ""

    @property
    def identical(self) -> bool:
        return not self.differences and not self.missing_inputs


def replay(path: Path | str) -> ReplayResult:
    """Run a session's decisions again. UserError where there is no session to read."""
    session = Session.read(path)
    inputs = session.inputs
    if not inputs:
        raise UserError(f"session {path}: its log holds no observation; there is nothing to replay")
    same = _same_environment(session)
    missing = inputs[-1].seq - len(inputs)
    last = inputs[-1].seq if not session.cut else inputs[-1].seq - 1
    logged_events: dict[int, list[dict[str, Any]]] = {}
    for record in session.events:
        logged_events.setdefault(record.seq, []).append(record.event)
    logged_tracks = {record.seq: record for record in session.tracks}

    result = ReplayResult(0, 0, 0, same, 0.0, missing_inputs=missing, cut=session.cut)
    machine_again = _Decisions(session)
    for item in inputs:
        if item.seq > last:
            break
        if isinstance(item, ControlRecord):
            machine_again.order(item)
            continue
        track, events = machine_again.observe(item)
        result.observations += 1
        _compare_track(result, logged_tracks.get(item.seq), track, item.seq)
        _compare_events(result, logged_events.get(item.seq, []), events, item.seq)
    return result


class _Decisions:
    """The deciding half of the loop, rebuilt from what the session says of it."""

    def __init__(self, session: Session) -> None:
        info = session.info
        config = build(RunConfig, info.config, f"session {session.path}")
        spec = msgspec.convert(info.package.tracking, TrackingSpec)
        keypoints = info.package.keypoints
        delays_ms = {name: output.delay_ms for name, output in info.outputs.items()}
        rules = make_rules(config, keypoints, delays_ms)
        self._armed = False
        self._trackers = {name: CausalFilter(spec, 1, len(keypoints)) for name in info.cameras}
        self._deciders = {
            name: Decider(rules, config.seed, first_event_id=i + 1, id_step=len(info.cameras))
            for i, name in enumerate(info.cameras)
        }

    def order(self, control: ControlRecord) -> None:
        if control.do in ("arm", "disarm"):
            self._armed = control.do == "arm"

    def observe(self, seen: Observation) -> tuple[Track, list[dict[str, Any]]]:
        stamps = FrameStamps(**msgspec.structs.asdict(seen.stamps))
        pose = Pose(seen.camera, stamps, seen.xy.array(), seen.cov.array(), seen.confidence.array())
        tracker = self._trackers[seen.camera]
        track = tracker.step(pose)
        decided = self._deciders[seen.camera].decide(
            tracker, seen.camera, stamps, seen.t_judged_ns, self._armed
        )
        return track, [dataclasses.asdict(event) for event, _ in decided]


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
    if np.isfinite(apart).any():
        result.largest_track_difference_px = max(result.largest_track_difference_px, float(np.nanmax(apart)))
    equal = all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    if result.same_environment and not equal:
        result.differences.append(f"input {seq}: the track differs by up to {np.nanmax(apart):.3g} px")


def _compare_events(
    result: ReplayResult, logged: list[dict[str, Any]], again: list[dict[str, Any]], seq: int
) -> None:
    result.events += len(logged)
    if len(logged) != len(again):
        result.differences.append(f"input {seq}: {len(logged)} events in the log, {len(again)} in replay")
        return
    for before, after in zip(logged, again, strict=True):
        for key, value in after.items():
            if not _equal(before.get(key), value, exact=result.same_environment):
                result.differences.append(
                    f"input {seq}, rule '{after['rule']}': {key} was {before.get(key)!r}, is {value!r}"
                )


def _equal(before: Any, after: Any, *, exact: bool) -> bool:
    if not isinstance(before, float) or not isinstance(after, float):
        return bool(before == after)
    if math.isnan(before) or math.isnan(after):
        return math.isnan(before) and math.isnan(after)
    if exact:
        return before == after
    return bool(np.isclose(before, after, rtol=VALUE_TOLERANCE, atol=VALUE_TOLERANCE))


def _same_environment(session: Session) -> bool:
    info = session.info
    return info.versions == versions() and info.machine.get("features") == machine()["features"]
