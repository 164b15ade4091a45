"""What subscribers and the log are told of a frame, once the turn's commands are on their way."""

from __future__ import annotations

from dataclasses import dataclass

from rt_pose.clock import Clock
from rt_pose.decisions.decide import Rule, effect_scene_ns
from rt_pose.loop.camera_path import CameraPath
from rt_pose.loop.capture import CaptureThread, TakenFrame
from rt_pose.loop.latency import FrameLatency, LatencyLedger, frame_latency
from rt_pose.loop.publish import Publisher
from rt_pose.records import ArrayData, CommandRecord, EventRecord, NoSink, Observation, Sink, TrackRecord
from rt_pose.tracking.crop import Window
from rt_pose.types import Event, Pose, StageStamps, Track


@dataclass(slots=True)
class Decided:
    """One frame of a turn, on its way from its pixels to what is said of it."""

    taken: TakenFrame
    path: CameraPath
    window: Window | None
    stages: StageStamps
    seq: int
    """Its place among the loop's inputs."""
    pose: Pose
    track: Track
    decisions: list[tuple[Event, Rule]]
    commands: list[CommandRecord | None]


class Teller:
    """Publishes and records frames that were decided on."""

    def __init__(
        self,
        publisher: Publisher,
        captures: list[CaptureThread],
        ledger: LatencyLedger,
        clock: Clock,
        prediction_delay_ns: int | None,
    ) -> None:
        """`prediction_delay_ns`: how far past the decision the published prediction speaks; None for none."""
        self.sink: Sink = NoSink()
        """Where records go."""
        self._publisher, self._captures = publisher, captures
        self._ledger, self._clock = ledger, clock
        self._prediction_delay_ns = prediction_delay_ns

    def tell(self, one: Decided) -> None:
        """Publish a frame's decision, then record it."""
        latency = frame_latency(one.pose.stamps, one.stages)
        met = self._ledger.add(latency)
        self._publish(one, latency, met)
        one.stages.t_published_ns = self._clock.now_ns()
        self._record(one)

    def _publish(self, one: Decided, latency: FrameLatency, met: bool) -> None:
        publisher, pose = self._publisher, one.pose
        for event, rule in one.decisions:
            publisher.event(event, blind=rule.blind)
        dropped = sum(c.counts.superseded + c.counts.device_gaps for c in self._captures)
        publisher.pose(pose, one.track, latency, met, dropped)
        if self._prediction_delay_ns is not None:
            ahead = self._prediction(one, self._prediction_delay_ns)
            publisher.pose(pose, ahead, latency, met, dropped, kind="prediction")

    def _prediction(self, one: Decided, delay_ns: int) -> Track:
        """The track at the time when a command would take effect."""
        ahead = one.path.decider.ahead.get(delay_ns)
        if ahead is not None:  # a rule speaks for that time, so it is there
            return ahead
        t_effect = effect_scene_ns(one.pose.stamps, one.stages.t_judged_ns, delay_ns)
        return one.path.tracker.predict(one.pose.camera, one.pose.stamps.index, t_effect)

    def _record(self, one: Decided) -> None:
        seq, t_ns = one.seq, one.stages.t_published_ns
        send = self.sink.send
        send(observation(one, t_ns))
        send(track_record(one.track, seq, t_ns))
        for event, _ in one.decisions:
            send(EventRecord(t_ns=t_ns, seq=seq, event=event))
        for command in one.commands:
            if command is not None:
                send(command)


def observation(one: Decided, t_ns: int) -> Observation:
    """The pose and its stamps as the log holds them: what replay needs to decide again."""
    pose = one.pose
    return Observation(
        t_ns=t_ns,
        seq=one.seq,
        camera=pose.camera,
        stamps=pose.stamps,
        xy=ArrayData.of(pose.xy),
        cov=ArrayData.of(pose.cov),
        confidence=ArrayData.of(pose.confidence),
        t_judged_ns=one.stages.t_judged_ns,
        stages=one.stages,
        window=one.window,
    )


def track_record(track: Track, seq: int, t_ns: int) -> TrackRecord:
    """The track as the log holds it."""
    return TrackRecord(
        t_ns=t_ns,
        seq=seq,
        camera=track.camera,
        index=track.frame_index,
        t_valid_ns=track.t_valid_ns,
        xy=ArrayData.of(track.xy),
        velocity=ArrayData.of(track.velocity),
        cov=ArrayData.of(track.cov),
        lost=track.lost.ravel().tolist(),
    )
