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
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config import RunConfig
from rt_pose.errors import UserError
from rt_pose.loop.act import EMERGENCY, Actuators, Beat, command_for
from rt_pose.loop.capture import CaptureThread, LatestFrames, TakenFrame, stamps_data
from rt_pose.loop.control import Order
from rt_pose.loop.crop import CropFollower, Window
from rt_pose.loop.decide import Decider, Rule, effect_scene_ns
from rt_pose.loop.estimate import Estimator
from rt_pose.loop.latency import FrameLatency, LatencyLedger, frame_latency
from rt_pose.loop.limits import Limits
from rt_pose.loop.past import Past
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
from rt_pose.types import CameraInfo, Event, Frame, FrameStamps, Pose, StageStamps, Track

IDLE_TIMEOUT_S = 0.05
"""How long the loop waits for a frame before it looks at its orders."""
WARM_UP_FRAMES = 20


@dataclass(slots=True)
class CameraPath:
    """What the loop keeps for one camera."""

    info: CameraInfo
    tracker: CausalFilter
    decider: Decider
    past: Past
    """Of its frames, for a network that sees past ones."""
    crop: CropFollower | None = None
    processed: int = 0

    def counts(self) -> dict[str, Any]:
        """What became of its frames in the loop."""
        crop = {} if self.crop is None else {"crop": dataclasses.asdict(self.crop.counts)}
        context = {"context": {"emptied": self.past.emptied}} if self.past.maps.size else {}
        return {"processed": self.processed, **crop, **context}

    @property
    def frame_size(self) -> tuple[int, int]:
        return self.info.width, self.info.height


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
        crops: dict[str, CropFollower] | None = None,
        group_s: float = 0.0,
    ) -> None:
        """`prediction_delay_ns`: how far past the decision the published prediction speaks; None for none.
        `crops`: who chooses the window, of the cameras that have one. `group_s`: how long one camera's frame
        waits for the others'."""
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
        self._group_s = group_s
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
                estimator.begin(),
                (crops or {}).get(info.name),
            )
            for i, info in enumerate(cameras)
        }

    def warm_up(self) -> None:
        """Let every stage that works on pixels allocate what it keeps."""
        blanks = [
            np.zeros((path.info.height, path.info.width, path.info.channels), np.uint8)
            for path in self.paths.values()
        ]
        whole: list[Window | None] = [None] * len(blanks)
        pasts = [path.past for path in self.paths.values()]
        for count in range(1, len(blanks) + 1):  # as many frames a call as cameras may have ready
            for _ in range(WARM_UP_FRAMES):
                pixels = self.estimator.preprocess_all(blanks[:count], whole[:count])
                maps = self.estimator.infer(pixels, pasts[:count])
                self.estimator.decode(maps, (blanks[0].shape[1], blanks[0].shape[0]))
        for path, blank in zip(self.paths.values(), blanks, strict=True):
            path.past.empty()
            shapes: list[Window | None] = [None]
            if path.crop is not None:
                shapes.append(Window(0, 0, path.crop.config.width, path.crop.config.height))
            for shape in shapes:  # cameras take turns at being first: every shape at every place of a call
                self.estimator.infer(
                    self.estimator.preprocess_all([blank] * len(blanks), [shape] * len(blanks))
                )

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
            taken = self._latest.take(IDLE_TIMEOUT_S, self._group_s)
            if taken:
                self.step(*taken)
            self._housekeep()
            if self._latest.ended and self.running:
                self._end(self._ending())
            elif stop_ns is not None and self.clock.now_ns() >= stop_ns and self.running:
                self._end("the stated time was over")
        for left in self._latest.close():
            self._left_at_end(left)

    def wait_for_start(self) -> None:
        """Answer orders, take no frames, until `start` or `stop` comes."""
        self._started = False
        while self.running and not self._started:
            self.beat.t_ns = self.clock.now_ns()
            self.clock.sleep_until_ns(self.clock.now_ns() + round(IDLE_TIMEOUT_S * NS_PER_S))
            self._housekeep()

    def step(self, *taken: TakenFrame) -> None:
        """One turn: a frame, or one of each of several cameras, from pixels to decisions to the wire."""
        now = self.clock.now_ns
        t_taken_ns = now()
        windows = [self._window(item.frame) for item in taken]
        pixels = self.estimator.preprocess_all([item.frame.image for item in taken], windows)
        t_preprocessed_ns = now()

        pasts = [self._past(item.frame, window) for item, window in zip(taken, windows, strict=True)]
        heatmaps = self.estimator.infer(pixels, pasts)
        t_inferred_ns = now()

        decided = []
        for i, (item, window) in enumerate(zip(taken, windows, strict=True)):
            stages = StageStamps(
                t_taken_ns=t_taken_ns, t_preprocessed_ns=t_preprocessed_ns, t_inferred_ns=t_inferred_ns
            )
            decided.append(self._decide(item, window, heatmaps[i : i + 1], stages))
        # Nothing is said before every camera's decision has gone to its output.
        for one in decided:
            self._tell(one)

    def _window(self, frame: Frame) -> Window | None:
        """Where the network looks in a frame; None for all of it."""
        path = self.paths[frame.camera]
        if path.crop is None:
            return None
        stamps = frame.stamps
        ahead = path.tracker.predict(frame.camera, stamps.index, stamps.t_scene_ns)
        return path.crop.window(ahead, frame.offset_xy)

    def _past(self, frame: Frame, window: Window | None) -> Past:
        """What the network holds of the camera's frames before this one."""
        stamps = frame.stamps
        return self.paths[frame.camera].past.before(stamps.index, stamps.t_scene_ns, stamps.epoch, window)

    def _decide(
        self, taken: TakenFrame, window: Window | None, heatmaps: NDArray[np.float32], stages: StageStamps
    ) -> Decided:
        """One camera's frame from its heatmaps to its commands."""
        now, frame = self.clock.now_ns, taken.frame
        path = self.paths[frame.camera]

        size, offset = path.frame_size, frame.offset_xy
        if window is not None:
            size, offset = (window.width, window.height), (offset[0] + window.x, offset[1] + window.y)
        found = self.estimator.decode(heatmaps, size, offset)
        pose = Pose(frame.camera, frame.stamps, found.xy, found.cov, found.confidence)
        stages.t_pose_ns = now()

        track = path.tracker.step(pose)
        stages.t_tracked_ns = now()

        stages.t_judged_ns = now()
        decisions = path.decider.decide(
            path.tracker, frame.camera, frame.stamps, stages.t_judged_ns, self.armed, pose.confidence
        )
        stages.t_decided_ns = now()

        # The log's order of inputs: an event's command bears its observation's place.
        self._seq += 1
        seq = self._seq
        commands = [self._act(event, rule, seq) for event, rule in decisions]
        return Decided(taken, path, window, stages, seq, pose, track, decisions, commands)

    def _tell(self, one: Decided) -> None:
        """Publish and record a frame's decision, and let go of its pixels."""
        path, stages = one.path, one.stages
        latency = frame_latency(one.pose.stamps, stages)
        met = self.ledger.add(latency)
        self._publish(path, one.pose, one.track, one.decisions, latency, met, stages)
        stages.t_published_ns = self.clock.now_ns()

        self._record(one)
        path.processed += 1
        self.lost_tracks = int(one.track.lost.sum())
        taken = one.taken
        self.shown[path.info.name] = Shown(path.info.name, taken.slot, taken.generation, taken.frame.stamps)
        self._latest.release(taken)

    def apply(self, order: Order) -> None:
        """Carry an order out, log it as an input, and answer it."""
        if not order.take():
            return  # it was answered with an error already
        try:
            self._carry_out(order)
        finally:
            order.done.set()

    def _carry_out(self, order: Order) -> None:
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
                return
        else:
            self._arm(order.do)
        self._seq += 1
        self._sink.send(
            ControlRecord(
                t_ns=self.clock.now_ns(), seq=self._seq, do=order.do, args=order.args, origin=order.origin
            )
        )

    def _arm(self, do: str) -> None:
        self.armed = do == "arm"
        if self.armed:
            self._actuators.release()
        elif do == "disarm":
            self._actuators.disarm()
        else:  # it has acted already; an `arm` that was before it in the inbox may have undone that
            self._actuators.hold(EMERGENCY)
            self._actuators.disarm()

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
                c.name: {**dataclasses.asdict(c.counts), **self.paths[c.name].counts()} for c in self.captures
            },
            "events": self.counts.events,
            "commands_refused": self.counts.commands_refused,
            "commands_failed": self.counts.commands_failed,
            "output_notices": self.output_notices,
            "deadline": {"missed": self.ledger.missed, "n": self.ledger.judged},
            "tracks": {name: path.tracker.counts() for name, path in self.paths.items()},
            "faults": dict(self._latest.faults),
        }

    def _act(self, event: Event, rule: Rule, seq: int) -> CommandRecord | None:
        """Hand a fired event's command to its output; what the log shall say of it."""
        self.counts.events[event.rule][event.outcome] += 1
        if event.outcome != "fired":
            return None
        command = command_for(event, rule)
        refusal = self._actuators.submit(command)
        if rule.blind and not refusal:  # what was refused gets no ack that could tell
            self._blind_commands.add(command.id)
        self.counts.commands_refused += bool(refusal)
        return CommandRecord(
            t_ns=self.clock.now_ns(),
            seq=seq,
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

    def _record(self, one: Decided) -> None:
        pose, seq, t_ns = one.pose, one.seq, one.stages.t_published_ns
        send = self._sink.send
        send(
            Observation(
                t_ns=t_ns,
                seq=seq,
                camera=pose.camera,
                stamps=stamps_data(pose.stamps),
                xy=ArrayData.of(pose.xy),
                cov=ArrayData.of(pose.cov),
                confidence=ArrayData.of(pose.confidence),
                t_judged_ns=one.stages.t_judged_ns,
                stages=dataclasses.asdict(one.stages),
                window=one.window,
            )
        )
        send(track_record(one.track, seq, t_ns))
        for event, _ in one.decisions:
            send(EventRecord(t_ns=t_ns, seq=seq, event=dataclasses.asdict(event)))
        for command in one.commands:
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
