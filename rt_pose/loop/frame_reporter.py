"""What is published and recorded of a frame, once the turn's commands are on their way."""

from __future__ import annotations

from dataclasses import dataclass

from rt_pose.clock import Clock
from rt_pose.decisions.decide import Rule, effect_scene_ns
from rt_pose.loop.camera_path import CameraPath
from rt_pose.loop.capture import CaptureThread
from rt_pose.loop.latency import FrameLatency, LatencyLedger, frame_latency
from rt_pose.loop.latest_frames import TakenFrame
from rt_pose.loop.publish import Publisher, plain_probabilities
from rt_pose.records import ArrayData, CommandRecord, EventRecord, Observation, Sink, TrackRecord
from rt_pose.tracking.crop import CropWindow
from rt_pose.types import Event, Pose, StageStamps, Track


@dataclass(slots=True)
class DecidedFrame:
    """One frame of a turn, from its pixels to its commands."""

    taken: TakenFrame
    path: CameraPath
    window: CropWindow | None
    stages: StageStamps
    seq: int
    """Its sequence number among the loop's inputs."""
    pose: Pose
    track: Track
    decisions: list[tuple[Event, Rule]]
    commands: list[CommandRecord | None]


class FrameReporter:
    """Publishes and records frames that were decided on."""

    def __init__(
        self,
        publisher: Publisher,
        sink: Sink,
        captures: list[CaptureThread],
        ledger: LatencyLedger,
        clock: Clock,
        prediction_delay_ns: int | None = None,
        blind: bool = False,
    ) -> None:
        """Keep what a frame is reported to.

        Parameters
        ----------
        publisher
            Publishes events, poses and predictions.
        sink
            Where records go.
        captures
            Their counts of dropped frames are published with each pose.
        ledger
            Keeps the latency figures.
        clock
            Stamps the publication.
        prediction_delay_ns
            Delay after the decision for which the prediction is published, ns; None publishes none.
        blind
            Whether a rule withholds: what is published of a frame then says the time of its decision, since
            that of its publication follows from whether a command was sent in between.
        """
        self.ledger = ledger
        self._publisher, self._sink, self._captures = publisher, sink, captures
        self._clock = clock
        self._prediction_delay_ns, self._blind = prediction_delay_ns, blind

    def report(self, frame: DecidedFrame) -> None:
        """Publish a frame's decision, then record it.

        Parameters
        ----------
        frame
            A frame that was decided on; its publication is stamped.
        """
        latency = frame_latency(frame.pose.stamps, frame.stages)
        met = self.ledger.add(latency)
        self._publish(frame, latency, met)
        frame.stages.t_published_ns = self._clock.now_ns()
        self._record(frame)

    def _publish(self, frame: DecidedFrame, latency: FrameLatency, met: bool) -> None:
        publisher, pose = self._publisher, frame.pose
        at_ns = frame.stages.t_decided_ns if self._blind else None
        for event, rule in frame.decisions:
            publisher.event(event, rule.blind, at_ns)
        dropped = sum(c.counts.superseded + c.counts.device_gaps + c.counts.failed for c in self._captures)
        publisher.pose(pose, frame.track, latency, met, dropped, "pose", at_ns, at_ns)
        if self._prediction_delay_ns is not None:
            ahead = self._prediction(frame, self._prediction_delay_ns)
            publisher.pose(pose, ahead, latency, met, dropped, "prediction", at_ns, at_ns)

    def _prediction(self, frame: DecidedFrame, delay_ns: int) -> Track:
        """The track at the time when a command would take effect."""
        ahead = frame.path.decider.predictions.get(delay_ns)
        if isinstance(ahead, Track):  # a rule speaks for that time, so it is there
            return ahead
        t_effect = effect_scene_ns(frame.pose.stamps, frame.stages.t_judged_ns, delay_ns)
        return frame.path.tracker.predict(frame.pose.camera, frame.pose.stamps.index, t_effect)

    def _record(self, frame: DecidedFrame) -> None:
        seq, t_ns = frame.seq, frame.stages.t_published_ns
        send = self._sink.send
        send(observation(frame, t_ns))
        send(track_record(frame.track, seq, t_ns))
        for event, _ in frame.decisions:
            send(EventRecord(t_ns=t_ns, seq=seq, event=event))
        for command in frame.commands:
            if command is not None:
                send(command)


def observation(frame: DecidedFrame, t_ns: int) -> Observation:
    """Make the log's record of a pose and its stamps: what replay needs to decide again.

    Parameters
    ----------
    frame
        A frame that was decided on.
    t_ns
        Host time of the record, ns.

    Returns
    -------
    Observation
        Pose, crop window, stamps and sequence number.
    """
    pose = frame.pose
    return Observation(
        t_ns=t_ns,
        seq=frame.seq,
        camera=pose.camera,
        stamps=pose.stamps,
        xy=ArrayData.of(pose.xy),
        cov=ArrayData.of(pose.cov),
        confidence=ArrayData.of(pose.confidence),
        t_judged_ns=frame.stages.t_judged_ns,
        stages=frame.stages,
        window=frame.window,
    )


def track_record(track: Track, seq: int, t_ns: int) -> TrackRecord:
    """Make the log's record of a track.

    Parameters
    ----------
    track
        The track of a frame.
    seq
        Sequence number of its observation.
    t_ns
        Host time of the record, ns.

    Returns
    -------
    TrackRecord
        Positions, velocities, covariances and lost keypoints, in the track's shapes; who is in which row,
        where several individuals are tracked.
    """
    who = track.individuals
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
        alive=[] if who is None else who.alive.tolist(),
        identity_p=[] if who is None else plain_probabilities(who),
        detection=[] if who is None else who.detection.tolist(),
    )
