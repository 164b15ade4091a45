"""The groups of views in the loop: after a turn's frames have their decisions, each group decides once.

A group takes in the poses of its cameras' frames in the order of their exposures, makes one track in space of
them, and its rules are judged on it. What it used and when it judged is an input of its own in the log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from rt_pose.clock import Clock
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.decide import Decider, Rule, effect_scene_ns
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.loop.commands import Commands
from rt_pose.loop.frame_reporter import DecidedFrame
from rt_pose.loop.publish import Publisher, plain_probabilities
from rt_pose.loop.publish3d import GroupPublisher, group_header
from rt_pose.package import TrackingSpec
from rt_pose.records import (
    ArrayData,
    CommandRecord,
    EventRecord,
    GroupRecord,
    NoticeRecord,
    Sink,
    Track3DRecord,
)
from rt_pose.types import Event, FrameStamps, StageStamps, Track3D
from rt_pose.views.group_tracker import GroupTracker, GroupTurn
from rt_pose.views.groups import CalibratedGroup, make_group
from rt_pose.views.individual_group import IndividualViewGroup


@dataclass(slots=True)
class GroupPath:
    """What the loop keeps for one group."""

    name: str
    tracker: GroupTracker
    decider: Decider | None
    """None where no rule is of the group."""


@dataclass(slots=True)
class DecidedGroup:
    """One group's part of a turn."""

    path: GroupPath
    seq: int
    turn: GroupTurn
    stages: StageStamps
    stamps: FrameStamps | None = None
    """Of the newest frame used; None where none was used in this turn, and nothing was judged."""
    camera: str = ""
    """Whose frame that is."""
    track: Track3D | None = None
    decisions: list[tuple[Event, Rule]] = dataclasses.field(default_factory=list)
    commands: list[CommandRecord | None] = dataclasses.field(default_factory=list)


def group_paths(
    config: RunConfig,
    groups: Mapping[str, CalibratedGroup],
    rules: RuleSet,
    tracking: Callable[[str], TrackingSpec],
    cameras: int,
) -> list[GroupPath]:
    """Make the path of each group.

    Parameters
    ----------
    config
        The run.
    groups
        Its groups, calibrated.
    rules
        The run's rules.
    tracking
        By the camera's name, the parameters of its filter in the plane.
    cameras
        How many cameras the run has.

    Returns
    -------
    list[GroupPath]
        In the order of the configuration.
    """
    count = cameras + len(groups)
    paths = []
    for i, (name, group) in enumerate(groups.items()):
        noise = {camera.name: tracking(camera.name) for camera in group.cameras}
        decider = rules.view_decider(name, cameras + i, count)
        tracker = make_group(name, config.views[name], group.cameras, noise, config.individual_count)
        paths.append(GroupPath(name, tracker, decider))
    return paths


class ViewGroups:
    """The groups of a run, called by the loop's thread."""

    def __init__(
        self, paths: Sequence[GroupPath], commands: Commands, reporter: GroupReporter, clock: Clock
    ) -> None:
        """Connect the groups.

        Parameters
        ----------
        paths
            The groups; none for a run without views.
        commands
            Acts.
        reporter
            Publishes and records.
        clock
            The loop's.
        """
        self._paths, self._commands, self._reporter, self._clock = paths, commands, reporter, clock

    def decide(
        self, frames: Sequence[DecidedFrame], armed: bool, numbers: Iterator[int]
    ) -> list[DecidedGroup]:
        """Decide on the frames of a turn, and act.

        Parameters
        ----------
        frames
            The turn's, each decided on by its own camera.
        armed
            Whether rules may fire.
        numbers
            Gives the sequence numbers of inputs.

        Returns
        -------
        list[DecidedGroup]
            Of the groups of which a camera has a frame in this turn.
        """
        decided = []
        for path in self._paths:
            own = [frame for frame in frames if frame.pose.camera in path.tracker]
            if own:
                decided.append(self._decide(path, own, armed, next(numbers)))
        return decided

    def _decide(self, path: GroupPath, frames: Sequence[DecidedFrame], armed: bool, seq: int) -> DecidedGroup:
        now, tracker = self._clock.now_ns, path.tracker
        turn = tracker.step([(frame.seq, frame.pose) for frame in frames])
        newest = max(frames, key=lambda frame: frame.pose.stamps.t_scene_ns)
        stages = msgspec.structs.replace(newest.stages, t_tracked_ns=now(), t_judged_ns=0, t_decided_ns=0)
        one = DecidedGroup(path, seq, turn, stages)
        if not turn.used:
            return one
        assert tracker.newest is not None
        one.stamps, one.camera = tracker.stamps, tracker.newest.camera
        one.track = tracker.group.predict(tracker.group.newest_ns or 0)
        stages.t_judged_ns = now()
        if path.decider is not None:
            one.decisions = path.decider.decide(
                tracker.group, path.name, one.stamps, stages.t_judged_ns, armed, one.track.confidences
            )
        stages.t_decided_ns = now()
        one.commands = [self._commands.send(event, rule, seq) for event, rule in one.decisions]
        return one

    def report(self, groups: Iterable[DecidedGroup]) -> None:
        """Publish and record what groups decided.

        Parameters
        ----------
        groups
            What `decide` returned.
        """
        for one in groups:
            self._reporter.report(one)

    def stats(self) -> dict[str, Any]:
        """Get what the `stats` topic and the last counts say of groups; from any thread.

        Returns
        -------
        dict[str, Any]
            `views`: by group, counts and what is known of its calibration; nothing without groups.
        """
        if not self._paths:
            return {}
        return {"views": {path.name: _stats(path.tracker) for path in self._paths}}


class GroupReporter:
    """Publishes and records what groups decided."""

    def __init__(
        self,
        publisher: Publisher,
        sink: Sink,
        clock: Clock,
        budget_ms: float,
        prediction_delay_ns: int | None = None,
        blind: bool = False,
    ) -> None:
        """Keep what a group is reported to.

        Parameters
        ----------
        publisher
            Publishes events, poses and predictions.
        sink
            Where records go.
        clock
            Stamps the publication.
        budget_ms
            Longest time from exposure to decision that meets the deadline, ms.
        prediction_delay_ns, blind
            As of `FrameReporter`.
        """
        self._publisher, self._sink, self._clock, self._budget_ms = publisher, sink, clock, budget_ms
        self._prediction_delay_ns, self._blind = prediction_delay_ns, blind
        self._publishers: dict[str, GroupPublisher] = {}

    def report(self, one: DecidedGroup) -> None:
        """Publish a group's decision, then record it.

        Parameters
        ----------
        one
            The group; its publication is stamped.
        """
        if one.track is not None and one.stamps is not None:
            self._publish(one, one.track, one.stamps)
        one.stages.t_published_ns = self._clock.now_ns()
        self._record(one)

    def _publish(self, one: DecidedGroup, track: Track3D, stamps: FrameStamps) -> None:
        at_ns = one.stages.t_decided_ns if self._blind else None
        for event, rule in one.decisions:
            self._publisher.event(event, rule.blind, at_ns)
        header = self._header(one, stamps, self._clock.now_ns() if at_ns is None else at_ns)
        publisher = self._publisher_of(one)
        publisher.publish("pose3d", track, header, at_ns)
        if self._prediction_delay_ns is not None:
            publisher.publish("prediction3d", self._prediction(one, stamps), header, at_ns)

    def _header(self, one: DecidedGroup, stamps: FrameStamps, at_ns: int) -> dict[str, Any]:
        group = one.path.tracker.group
        names = (camera.name for camera in group.cameras)
        errors = dict(zip(names, one.turn.error_px, strict=True))
        return group_header(one.camera, stamps, one.stages, at_ns, self._budget_ms, group.late, errors)

    def _publisher_of(self, one: DecidedGroup) -> GroupPublisher:
        name = one.path.name
        if name not in self._publishers:
            self._publishers[name] = GroupPublisher(self._publisher, name, one.path.tracker.group.shape)
        return self._publishers[name]

    def _prediction(self, one: DecidedGroup, stamps: FrameStamps) -> Track3D:
        """The track at the time when a command would take effect."""
        assert self._prediction_delay_ns is not None
        decider = one.path.decider
        ahead = None if decider is None else decider.predictions.get(self._prediction_delay_ns)
        if isinstance(ahead, Track3D):  # a rule speaks for that time, so it is there
            return ahead
        t_effect = effect_scene_ns(stamps, one.stages.t_judged_ns, self._prediction_delay_ns)
        return one.path.tracker.group.predict(t_effect)

    def _record(self, one: DecidedGroup) -> None:
        seq, t_ns, send = one.seq, one.stages.t_published_ns, self._sink.send
        judged, name = one.track is not None, one.path.name
        send(
            GroupRecord(
                t_ns=t_ns,
                seq=seq,
                group=name,
                used=one.turn.used,
                late=one.turn.late,
                t_judged_ns=one.stages.t_judged_ns,
                stages=one.stages if judged else None,
            )
        )
        if one.track is not None:
            send(track3d_record(one.track, name, one.turn, seq, t_ns))
        for event, _ in one.decisions:
            send(EventRecord(t_ns=t_ns, seq=seq, event=event))
        for command in one.commands:
            if command is not None:
                send(command)
        finding = one.path.tracker.group.check.finding
        if one.turn.finding_changed:
            text = finding.text or "its cameras agree again"
            send(NoticeRecord(t_ns=t_ns, output=name, text=text, source="views"))


def track3d_record(track: Track3D, group: str, turn: GroupTurn, seq: int, t_ns: int) -> Track3DRecord:
    """Make the log's record of a track in space.

    Parameters
    ----------
    track
        The track.
    group
        Name of the group.
    turn
        What it took in.
    seq
        Sequence number of its `GroupRecord`.
    t_ns
        Host time of the record, ns.

    Returns
    -------
    Track3DRecord
        The record.
    """
    assert track.views is not None
    assert track.confidence is not None
    who = track.individuals
    return Track3DRecord(
        t_ns=t_ns,
        seq=seq,
        group=group,
        t_valid_ns=track.t_valid_ns,
        xyz=ArrayData.of(track.xyz),
        velocity=ArrayData.of(track.velocity),
        cov=ArrayData.of(track.cov),
        lost=track.lost.ravel().tolist(),
        views=track.views.ravel().tolist(),
        p=ArrayData.of(track.confidence),
        error_px=turn.error_px,
        alive=[] if who is None else who.alive.tolist(),
        identity_p=[] if who is None else plain_probabilities(who),
        detection=turn.detection,
    )


def _stats(tracker: GroupTracker) -> dict[str, Any]:
    group, check = tracker.group, tracker.group.check
    names = [camera.name for camera in group.cameras]
    figures = {
        "used": group.used,
        "late": group.late,
        "restarts": group.restarts,
        "clock_steps": group.clock_steps,
        "error_px": dict(zip(names, _rounded(group.error_px), strict=True)),
        "offset_px": dict(zip(names, _rounded(check.offset_px), strict=True)),
        "wrong": list(check.finding.cameras),
        "why": check.finding.text,
    }
    if isinstance(group, IndividualViewGroup):
        figures |= {"births": group.births, "deaths": group.deaths}
    return figures


def _rounded(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float | None]:
    return [round(value, 3) if np.isfinite(value) else None for value in values.tolist()]
