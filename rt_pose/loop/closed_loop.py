"""The closed loop: the stages in order, and the drop policy. Nothing else knows them all.

    camera thread -> capture (newest frame only, older ones counted)
                        |
                        v                                   loop thread, one frame at a time
        preprocess -> infer -> decode -> track -> decide -> act -> publish -> record
        (DALI)       (engine)                               |        |          |
                                                            v        v          v
                                              output threads   subscribers   recorder process

Nothing after `decide` can hold the loop up: commands go into bounded queues, messages and records are refused
where nobody takes them, and every refusal is counted.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config import RunConfig
from rt_pose.errors import UserError
from rt_pose.loop.act import EMERGENCY, Actuators, Beat, command_for
from rt_pose.loop.capture import CaptureThread, LatestFrames, TakenFrame, stamps_data
from rt_pose.loop.control import Order
from rt_pose.loop.decide import Decider, Rule, effect_scene_ns
from rt_pose.loop.estimate import Estimator
from rt_pose.loop.latency import FrameLatency, LatencyLedger, frame_latency
from rt_pose.loop.limits import Limits
from rt_pose.loop.protocol import ORDERS as PROTOCOL_ORDERS
from rt_pose.loop.protocol import Protocol, make_protocol
from rt_pose.loop.publish import Publisher
from rt_pose.loop.track import CausalFilter
from rt_pose.package import TrackingSpec
from rt_pose.records import (
    AckRecord,
    ArrayData,
    CommandRecord,
    ControlRecord,
    DropRecord,
    End,
    EventRecord,
    NoSink,
    NoticeRecord,
    Observation,
    Sink,
    TrackRecord,
)
from rt_pose.types import CameraInfo, Event, FrameStamps, Pose, StageStamps, Track

IDLE_TIMEOUT_S = 0.05
"""How long the loop waits for a frame before it looks at its orders."""
WARM_UP_FRAMES = 20


@dataclass(slots=True)
class CameraPath:
    """What the loop keeps for one camera."""

    info: CameraInfo
    tracker: CausalFilter
    decider: Decider
    processed: int = 0

    @property
    def frame_size(self) -> tuple[int, int]:
        return self.info.width, self.info.height


@dataclass(slots=True)
class Shown:
    """The last frame the loop went through, for the thread that makes viewers' pictures."""

    camera: str
    slot: int
    generation: int
    stamps: FrameStamps


@dataclass(slots=True)
class LoopCounts:
    """What the loop counts besides frames."""

    events: dict[str, dict[str, int]] = field(default_factory=dict)
    commands_refused: int = 0
    commands_failed: int = 0


class ClosedLoop:
    """One thread that takes frames to decisions."""

    def __init__(
        self,
        *,
        keypoints: int,
        tracking: TrackingSpec,
        estimator: Estimator,
        cameras: list[CameraInfo],
        rules: list[Rule],
        latest: LatestFrames,
        captures: list[CaptureThread],
        actuators: Actuators,
        publisher: Publisher,
        clock: Clock,
        ledger: LatencyLedger,
        seed: int,
        prediction_delay_ns: int | None,
        limits: Limits | None = None,
        beat: Beat | None = None,
        protocol: Protocol | None = None,
    ) -> None:
        """`prediction_delay_ns`: how far past the decision the published prediction speaks; None for none."""
        self.protocol = protocol or make_protocol(RunConfig(rules=[rule.config for rule in rules]))
        self._blind = {rule.name for rule in rules if rule.blind}
        self._blind_commands: set[int] = set()
        self.clock, self.ledger = clock, ledger
        self.captures = captures
        self.counts = LoopCounts(events={r.name: {"fired": 0, "withheld": 0, "suppressed": 0} for r in rules})
        self.armed = False
        self.running = True
        self.end_reason = ""
        self.failure = ""
        """What broke the loop itself, for its last record."""
        self.shown: dict[str, Shown] = {}
        """The newest frame that went through, by camera."""
        self.lost_tracks = 0
        """Keypoints lost in the last frame."""
        self.orders: Any = None
        """The control socket's inbox, once there is one."""
        self.beat = beat or Beat()
        """Stored each turn; whoever must know whether the loop hangs looks at it."""
        self.output_notices = 0
        """What outputs have said besides acks, counted; and the last of it."""
        self.last_output_notice = ""
        self.estimator = estimator
        self._latest, self._actuators, self._publisher = latest, actuators, publisher
        self._prediction_delay_ns = prediction_delay_ns
        self._sink: Sink = NoSink()
        self._started = True
        self._seq = 0
        self.paths = {
            info.name: CameraPath(
                info,
                CausalFilter(tracking, 1, keypoints),
                # Each camera's events count on their own lattice, so ids do not depend on how frames of
                # several cameras interleave.
                Decider(
                    rules,
                    seed,
                    first_event_id=i + 1,
                    id_step=len(cameras),
                    limits=limits,
                    protocol=self.protocol,
                ),
            )
            for i, info in enumerate(cameras)
        }

    def warm_up(self) -> None:
        """Let every stage that works on pixels allocate what it keeps."""
        for path in self.paths.values():
            info = path.info
            blank = np.zeros((info.height, info.width, info.channels), np.uint8)
            for _ in range(WARM_UP_FRAMES):
                self.estimator.estimate(blank)

    def begin(self, sink: Sink, armed: bool) -> None:
        """Say where records go; `armed` arms, and logs it. Comes before `wait_for_start` and `run`."""
        self._sink = sink
        if armed:
            self.apply(Order("arm", origin="configuration"))

    def run(self, seconds: float | None) -> None:
        """Take frames until an order, the recordings' end, a camera's fault or the time says stop."""
        if not self.running:
            return
        for capture in self.captures:
            capture.start()
        stop_ns = None if seconds is None else self.clock.now_ns() + round(seconds * NS_PER_S)
        while self.running:
            self.beat.t_ns = self.clock.now_ns()
            taken = self._latest.take(IDLE_TIMEOUT_S)
            if taken is not None:
                self.step(taken)
            self._housekeep()
            if self._latest.ended and self.running:
                self._end(self._ending())
            elif stop_ns is not None and self.clock.now_ns() >= stop_ns and self.running:
                self._end("the stated time was over")
        for taken in self._latest.close():
            self._left_at_end(taken)

    def wait_for_start(self) -> None:
        """Answer orders, take no frames, until `start` or `stop` comes."""
        self._started = False
        while self.running and not self._started:
            self.beat.t_ns = self.clock.now_ns()
            self.clock.sleep_until_ns(self.clock.now_ns() + round(IDLE_TIMEOUT_S * NS_PER_S))
            self._housekeep()

    def step(self, taken: TakenFrame) -> None:
        """One frame, from pixels to decision to the wire."""
        now = self.clock.now_ns
        frame, stages = taken.frame, StageStamps(t_taken_ns=now())
        path = self.paths[frame.camera]

        pixels = self.estimator.preprocess(frame.image)
        stages.t_preprocessed_ns = now()

        heatmaps = self.estimator.infer(pixels)
        stages.t_inferred_ns = now()

        found = self.estimator.decode(heatmaps, path.frame_size, frame.offset_xy)
        pose = Pose(frame.camera, frame.stamps, found.xy, found.cov, found.confidence)
        stages.t_pose_ns = now()

        track = path.tracker.step(pose)
        stages.t_tracked_ns = now()

        stages.t_judged_ns = now()
        decisions = path.decider.decide(
            path.tracker, frame.camera, frame.stamps, stages.t_judged_ns, self.armed, pose.confidence
        )
        stages.t_decided_ns = now()

        commands = [self._act(event, rule) for event, rule in decisions]

        latency = frame_latency(frame.stamps, stages)
        met = self.ledger.add(latency)
        self._publish(path, pose, track, decisions, latency, met, stages)
        stages.t_published_ns = now()

        self._record(pose, track, stages, decisions, commands)
        path.processed += 1
        self.lost_tracks = int(track.lost.sum())
        self.shown[frame.camera] = Shown(frame.camera, taken.slot, taken.generation, frame.stamps)
        self._latest.release(taken)

    def apply(self, order: Order) -> None:
        """Carry an order out, log it as an input, and answer it."""
        if not order.take():
            return  # it was answered with an error already
        if order.do == "start":
            order.error = "the run has started already" if self._started else ""
            self._started = True
        elif order.do == "stop":
            self._end(f"stop ordered ({order.origin})")
        elif order.do in PROTOCOL_ORDERS:
            try:
                self.protocol.order(order.do, order.args)
            except UserError as error:  # nothing has changed, so it is no input
                order.error = str(error)
                order.done.set()
                return
        else:
            self._arm(order.do)
        self._seq += 1
        self._sink.send(
            ControlRecord(
                t_ns=self.clock.now_ns(), seq=self._seq, do=order.do, args=order.args, origin=order.origin
            )
        )
        order.done.set()

    def _arm(self, do: str) -> None:
        self.armed = do == "arm"
        if self.armed:
            self._actuators.release()
        elif do == "disarm":
            self._actuators.disarm()
        else:  # an emergency has acted already; an `arm` that was before it in the inbox may have undone it
            self._actuators.hold(EMERGENCY)

    def output_faults(self) -> dict[str, str]:
        """Outputs that have failed, with why."""
        return self._actuators.faults()

    def finish(self) -> None:
        """Write the last acks and the last record."""
        self._drain_acks()
        self._publisher.flush()
        self._sink.send(
            End(t_ns=self.clock.now_ns(), reason=self.failure or self.end_reason, counts=self.summary())
        )

    def events_shown(self) -> dict[str, dict[str, int]]:
        """Counts of events for who watches: of a rule that withholds, fired and withheld as one."""
        shown = {}
        for rule, counts in self.counts.events.items():
            decided = {"decided": counts["fired"] + counts["withheld"], "suppressed": counts["suppressed"]}
            shown[rule] = decided if rule in self._blind else dict(counts)
        return shown

    def summary(self) -> dict[str, Any]:
        """Frames, events and how it ended."""
        return {
            "reason": self.failure or self.end_reason,
            "failure": self.failure,
            "cameras": {
                c.name: {**dataclasses.asdict(c.counts), "processed": self.paths[c.name].processed}
                for c in self.captures
            },
            "events": self.counts.events,
            "commands_refused": self.counts.commands_refused,
            "commands_failed": self.counts.commands_failed,
            "output_notices": self.output_notices,
            "deadline": {"missed": self.ledger.missed, "n": self.ledger.judged},
            "tracks": {
                name: {"restarts": path.tracker.restarts, "ignored_poses": path.tracker.ignored}
                for name, path in self.paths.items()
            },
            "faults": dict(self._latest.faults),
        }

    def _act(self, event: Event, rule: Rule) -> CommandRecord | None:
        """Hand a fired event's command to its output; what the log shall say of it."""
        self.counts.events[event.rule][event.outcome] += 1
        if event.outcome != "fired":
            return None
        command = command_for(event, rule)
        if rule.blind:
            self._blind_commands.add(command.id)
        refusal = self._actuators.submit(command)
        self.counts.commands_refused += bool(refusal)
        return CommandRecord(
            t_ns=self.clock.now_ns(),
            seq=self._seq + 1,
            command=dataclasses.asdict(command),
            accepted=not refusal,
            reason=refusal,
        )

    def _publish(
        self,
        path: CameraPath,
        pose: Pose,
        track: Track,
        decisions: list[tuple[Event, Rule]],
        latency: FrameLatency,
        met: bool,
        stages: StageStamps,
    ) -> None:
        for event, rule in decisions:
            self._publisher.event(event, blind=rule.blind)
        dropped = sum(c.counts.superseded + c.counts.device_gaps for c in self.captures)
        self._publisher.pose(pose, track, latency, met, dropped)
        if self._prediction_delay_ns is not None:
            ahead = path.decider.ahead.get(self._prediction_delay_ns)
            if ahead is None:  # no rule speaks for that time
                t_effect = effect_scene_ns(pose.stamps, stages.t_judged_ns, self._prediction_delay_ns)
                ahead = path.tracker.predict(pose.camera, pose.stamps.index, t_effect)
            self._publisher.pose(pose, ahead, latency, met, dropped, kind="prediction")

    def _record(
        self,
        pose: Pose,
        track: Track,
        stages: StageStamps,
        decisions: list[tuple[Event, Rule]],
        commands: list[CommandRecord | None],
    ) -> None:
        self._seq += 1
        t_ns, seq, stamps = stages.t_published_ns, self._seq, stamps_data(pose.stamps)
        send = self._sink.send
        send(
            Observation(
                t_ns=t_ns,
                seq=seq,
                camera=pose.camera,
                stamps=stamps,
                xy=ArrayData.of(pose.xy),
                cov=ArrayData.of(pose.cov),
                confidence=ArrayData.of(pose.confidence),
                t_judged_ns=stages.t_judged_ns,
                stages=dataclasses.asdict(stages),
            )
        )
        send(track_record(track, seq, t_ns))
        for event, _ in decisions:
            send(EventRecord(t_ns=t_ns, seq=seq, event=dataclasses.asdict(event)))
        for command in commands:
            if command is not None:
                send(command)

    def _housekeep(self) -> None:
        while self.orders:
            self.apply(self.orders.popleft())
        self._drain_acks()
        self._publisher.flush()

    def _drain_acks(self) -> None:
        acks = self._actuators.acks
        while acks:
            ack = acks.popleft()
            self.counts.commands_failed += not ack.ok
            if ack.command_id in self._blind_commands:
                self._blind_commands.discard(ack.command_id)  # it would tell that the event was not withheld
            else:
                self._publisher.ack(ack)
            self._sink.send(AckRecord(t_ns=self.clock.now_ns(), ack=dataclasses.asdict(ack)))
        notices = self._actuators.notices
        while notices:
            notice = notices.popleft()
            self.output_notices += 1
            self.last_output_notice = f"output '{notice.output}': {notice.text}"
            self._sink.send(NoticeRecord(t_ns=notice.t_ns, output=notice.output, text=notice.text))

    def _left_at_end(self, taken: TakenFrame) -> None:
        frame = taken.frame
        for capture in self.captures:
            capture.counts.left_at_end += capture.name == frame.camera
        self._sink.send(
            DropRecord(
                t_ns=self.clock.now_ns(),
                stage="end",
                reason="waiting in the slot when the run ended",
                count=1,
                camera=frame.camera,
                first_index=frame.stamps.index,
            )
        )

    def _ending(self) -> str:
        if self._latest.faults:
            return "; ".join(f"camera '{name}' failed: {why}" for name, why in self._latest.faults.items())
        return "the recording ended"

    def _end(self, reason: str) -> None:
        self.running, self.end_reason = False, reason


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
