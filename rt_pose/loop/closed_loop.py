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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.decide import Rule
from rt_pose.decisions.limits import Limits
from rt_pose.decisions.protocol import ORDERS as PROTOCOL_ORDERS
from rt_pose.decisions.protocol import Protocol, make_protocol
from rt_pose.errors import UserError
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.temporal_context import TemporalContext
from rt_pose.loop.camera_path import camera_paths
from rt_pose.loop.capture import CaptureThread, LatestFrames, TakenFrame
from rt_pose.loop.commands import Commands
from rt_pose.loop.control import Order
from rt_pose.loop.frame_reporter import DecidedFrame, FrameReporter
from rt_pose.loop.keep_warm import KeepWarm
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.publish import Publisher
from rt_pose.outputs.actuators import EMERGENCY, Actuators, Heartbeat
from rt_pose.package import TrackingSpec
from rt_pose.records import ControlRecord, DropRecord, End, Sink
from rt_pose.tracking.causal_filter import precompile
from rt_pose.tracking.crop import CropFollower, CropWindow
from rt_pose.types import CameraInfo, Frame, FrameStamps, Pose, StageStamps

IDLE_TIMEOUT_S = 0.05
"""How long the loop waits for a frame before it looks at its orders."""
WARM_UP_FRAMES = 20


@dataclass(slots=True)
class LastFrame:
    """The last frame the loop went through, for the thread that makes viewers' pictures."""

    camera: str
    slot: int
    generation: int
    stamps: FrameStamps


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
        heartbeat: Heartbeat | None = None,
        protocol: Protocol | None = None,
        crops: dict[str, CropFollower] | None = None,
        group_s: float = 0.0,
        keep_warm: bool = False,
    ) -> None:
        """`prediction_delay_ns`: how far past the decision the published prediction speaks; None for none.
        `crops`: who chooses the window, of the cameras that have one. `group_s`: how long one camera's frame
        waits for the others'. `keep_warm`: run the chain on a blank image before a frame is due."""
        self.clock, self.ledger = clock, ledger
        self.captures, self.estimator = captures, estimator
        self.protocol = protocol or make_protocol(RunConfig(rules=[rule.config for rule in rules]))
        self.heartbeat = heartbeat or Heartbeat()
        """Stored each turn; whoever must know whether the loop hangs looks at it."""
        self.commands = Commands(rules, actuators, publisher, clock)
        self.paths = camera_paths(
            cameras,
            keypoints=keypoints,
            tracking=tracking,
            estimator=estimator,
            rules=rules,
            seed=seed,
            limits=limits,
            protocol=self.protocol,
            crops=crops or {},
        )
        self.armed = False
        self.running = True
        self.end_reason = ""
        self.failure = ""
        """What broke the loop itself, for its last record."""
        self.last_frames: dict[str, LastFrame] = {}
        """The newest frame that went through, by camera."""
        self.lost_tracks = 0
        """Keypoints lost in the last frame."""
        self.orders: Any = None
        """The control socket's inbox, once there is one."""
        self._latest, self._actuators, self._publisher = latest, actuators, publisher
        self._reporter = FrameReporter(publisher, captures, ledger, clock, prediction_delay_ns)
        self._warm = KeepWarm(self._warm_up_call(), list(self.paths), clock) if keep_warm else None
        self._group_s = group_s
        self._started = True
        self._seq = 0

    def warm_up(self) -> None:
        """Let every stage allocate what it keeps and compile what it calls: no frame is to wait for it."""
        blanks = [
            np.zeros((path.info.height, path.info.width, path.info.channels), np.uint8)
            for path in self.paths.values()
        ]
        whole: list[CropWindow | None] = [None] * len(blanks)
        contexts = [path.context for path in self.paths.values()]
        for count in range(1, len(blanks) + 1):  # as many frames a call as cameras may have ready
            for _ in range(WARM_UP_FRAMES):
                pixels = self.estimator.preprocess_all(blanks[:count], whole[:count])
                maps = self.estimator.infer(pixels, contexts[:count])
                found = self.estimator.decode(maps[:1], (blanks[0].shape[1], blanks[0].shape[0]))
        for path in self.paths.values():
            stamps = FrameStamps(index=0, t_exposure_ns=None, t_arrival_ns=0, t_scene_ns=0)
            precompile(
                path.causal_filter, Pose(path.info.name, stamps, found.xy, found.cov, found.confidence)
            )
        for path, blank in zip(self.paths.values(), blanks, strict=True):
            path.context.reset()
            shapes: list[CropWindow | None] = [None]
            if path.crop is not None:
                shapes.append(CropWindow(0, 0, path.crop.config.width, path.crop.config.height))
            for shape in shapes:  # cameras take turns at being first: every shape at every place of a call
                self.estimator.infer(
                    self.estimator.preprocess_all([blank] * len(blanks), [shape] * len(blanks))
                )

        if self._warm is not None:
            for _ in range(WARM_UP_FRAMES):
                self._warm.run_once()

    def _warm_up_call(self) -> Callable[[], object]:
        """The chain on a blank image of the first camera, with a past of its own."""
        info = next(iter(self.paths.values())).info
        blank = [np.zeros((info.height, info.width, info.channels), np.uint8)]
        context, estimator, size = [self.estimator.new_context()], self.estimator, (info.width, info.height)
        return lambda: estimator.decode(
            estimator.infer(estimator.preprocess_all(blank, [None]), context), size
        )

    def begin(self, sink: Sink, armed: bool) -> None:
        """Say where records go; `armed` arms, and logs it. Comes before `wait_for_start` and `run`."""
        self._reporter.sink = sink
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
            self.heartbeat.t_ns = self.clock.now_ns()
            taken = self._latest.take(self._idle_s(), self._group_s)
            if taken:
                self.step(*taken)
            elif self._warm is not None:
                self._warm.run_if_due()
            self._housekeep()
            if self._latest.ended and self.running:
                self._end(self._ending())
            elif stop_ns is not None and self.clock.now_ns() >= stop_ns and self.running:
                self._end("the stated time was over")
        for left in self._latest.close():
            self._left_at_end(left)

    def _idle_s(self) -> float:
        return IDLE_TIMEOUT_S if self._warm is None else self._warm.idle_s(IDLE_TIMEOUT_S)

    def wait_for_start(self) -> None:
        """Answer orders, take no frames, until `start` or `stop` comes."""
        self._started = False
        while self.running and not self._started:
            self.heartbeat.t_ns = self.clock.now_ns()
            self.clock.sleep_until_ns(self.clock.now_ns() + round(IDLE_TIMEOUT_S * NS_PER_S))
            self._housekeep()

    def step(self, *taken: TakenFrame) -> None:
        """One turn: a frame, or one of each of several cameras, from pixels to decisions to the wire."""
        now = self.clock.now_ns
        t_taken_ns = now()
        windows = [self._window(item.frame) for item in taken]
        pixels = self.estimator.preprocess_all([item.frame.image for item in taken], windows)
        t_preprocessed_ns = now()

        contexts = [self._context(item.frame, window) for item, window in zip(taken, windows, strict=True)]
        heatmaps = self.estimator.infer(pixels, contexts)
        t_inferred_ns = now()

        decided = []
        for i, (item, window) in enumerate(zip(taken, windows, strict=True)):
            stages = StageStamps(
                t_taken_ns=t_taken_ns, t_preprocessed_ns=t_preprocessed_ns, t_inferred_ns=t_inferred_ns
            )
            decided.append(self._decide(item, window, heatmaps[i : i + 1], stages))
        # Nothing is said before every camera's decision has gone to its output.
        for frame in decided:
            self._report(frame)
        if self._warm is not None:
            for item in taken:
                self._warm.observe(item.frame.camera, item.frame.stamps)

    def _window(self, frame: Frame) -> CropWindow | None:
        """Where the network looks in a frame; None for all of it."""
        path = self.paths[frame.camera]
        if path.crop is None:
            return None
        stamps = frame.stamps
        ahead = path.causal_filter.predict(frame.camera, stamps.index, stamps.t_scene_ns)
        return path.crop.window(ahead, frame.offset_xy)

    def _context(self, frame: Frame, window: CropWindow | None) -> TemporalContext:
        """What the network holds of the camera's frames before this one."""
        stamps = frame.stamps
        return self.paths[frame.camera].context.advance_to(
            stamps.index, stamps.t_scene_ns, stamps.epoch, window
        )

    def _decide(
        self, taken: TakenFrame, window: CropWindow | None, heatmaps: NDArray[np.float32], stages: StageStamps
    ) -> DecidedFrame:
        """One camera's frame from its heatmaps to its commands."""
        now, frame = self.clock.now_ns, taken.frame
        path = self.paths[frame.camera]

        size, offset = path.frame_size, frame.offset_xy
        if window is not None:
            size, offset = (window.width, window.height), (offset[0] + window.x, offset[1] + window.y)
        found = self.estimator.decode(heatmaps, size, offset)
        pose = Pose(frame.camera, frame.stamps, found.xy, found.cov, found.confidence)
        stages.t_pose_ns = now()

        track = path.causal_filter.step(pose)
        stages.t_tracked_ns = now()

        stages.t_judged_ns = now()
        decisions = path.decider.decide(
            path.causal_filter, frame.camera, frame.stamps, stages.t_judged_ns, self.armed, pose.confidence
        )
        stages.t_decided_ns = now()

        # The log's order of inputs: an event's command bears its observation's place.
        self._seq += 1
        seq = self._seq
        commands = [self.commands.send(event, rule, seq) for event, rule in decisions]
        return DecidedFrame(taken, path, window, stages, seq, pose, track, decisions, commands)

    def _report(self, frame: DecidedFrame) -> None:
        """Say what was decided, and let go of the frame's pixels."""
        self._reporter.report(frame)
        frame.path.processed += 1
        self.lost_tracks = int(frame.track.lost.sum())
        taken, name = frame.taken, frame.path.info.name
        self.last_frames[name] = LastFrame(name, taken.slot, taken.generation, taken.frame.stamps)
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
        self._reporter.sink.send(
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
        self.commands.drain(self._reporter.sink)
        self._publisher.flush()
        self._reporter.sink.send(
            End(t_ns=self.clock.now_ns(), reason=self.failure or self.end_reason, counts=self.summary())
        )

    def summary(self) -> dict[str, Any]:
        """Frames, events and how it ended."""
        return {
            "reason": self.failure or self.end_reason,
            "failure": self.failure,
            "cameras": {
                c.name: {**dataclasses.asdict(c.counts), **self.paths[c.name].counts()} for c in self.captures
            },
            "events": self.commands.events,
            "commands_refused": self.commands.refused,
            "commands_failed": self.commands.failed,
            "output_notices": self.commands.output_notices,
            "deadline": {"missed": self.ledger.missed, "n": self.ledger.evaluated},
            "tracks": {name: path.causal_filter.counts() for name, path in self.paths.items()},
            "faults": dict(self._latest.faults),
            **({} if self._warm is None else {"kept_warm": dataclasses.asdict(self._warm.counts)}),
        }

    def _housekeep(self) -> None:
        while self.orders:
            self.apply(self.orders.popleft())
        self.commands.drain(self._reporter.sink)
        self._publisher.flush()

    def _left_at_end(self, taken: TakenFrame) -> None:
        frame = taken.frame
        for capture in self.captures:
            capture.counts.left_at_end += capture.name == frame.camera
        self._reporter.sink.send(
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
