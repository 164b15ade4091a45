"""The closed loop: the stages in order, and the drop policy. No other module knows all of them.

    camera thread -> capture (newest frame only, older ones counted)
                        |
                        v                                   loop thread, one frame at a time
        preprocess -> infer -> decode -> track -> decide -> act -> publish -> record
        (DALI)       (engine)                               |        |          |
                                                            v        v          v
                                              output threads   subscribers   recorder process

`run` captures, `step` takes what was captured through the other stages, section by section under these names.
Nothing after `decide` can hold the loop up: commands go into bounded queues, messages and records are refused
where nobody takes them, and every refusal is counted.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.decisions.protocol import ORDERS as PROTOCOL_ORDERS
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import UserError
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.temporal_context import TemporalContext
from rt_pose.loop.camera_path import pose_of
from rt_pose.loop.control import Order
from rt_pose.loop.first_frames import FirstFrames
from rt_pose.loop.frame_reporter import DecidedFrame
from rt_pose.loop.latest_frames import LastFrame, TakenFrame
from rt_pose.loop.silence import SilenceMonitor
from rt_pose.loop.stages import Channels, Stages
from rt_pose.outputs.actuators import EMERGENCY
from rt_pose.records import ControlRecord, EdgeRecord, End
from rt_pose.tracking.crop import CropWindow
from rt_pose.types import Frame, StageStamps, confidence_of

IDLE_TIMEOUT_S = 0.05
"""How long the loop waits for a frame before it looks at its orders."""
ORDERS_A_TURN = 4
"""Orders that are carried out between two frames; the others wait for the next turn."""
SHOWN_OF_A_MARK = 200
"""Characters of a note that go into `stats`."""


class ClosedLoop:
    """One thread that takes frames to decisions."""

    def __init__(
        self,
        stages: Stages,
        channels: Channels,
        rules: RuleSet,
        clock: Clock,
        group_s: float = 0.0,
        arming_refusal: str = "",
        first_frames: FirstFrames | None = None,
        silence: SilenceMonitor | None = None,
    ) -> None:
        """Connect the stages; no thread has started.

        Parameters
        ----------
        stages
            What a frame goes through.
        channels
            Orders, edges, outputs, publisher and records.
        rules
            What the deciders share: the protocol, and the lines of inputs.
        clock
            The only clock of the loop.
        group_s
            How long one camera's frame waits for the others', s.
        arming_refusal
            Why the run may not arm; empty where it may.
        first_frames
            Knows the cameras that must deliver in time; None where none must.
        silence
            Knows those that must go on delivering; None where none must.
        """
        self.captures, self.estimator, self.paths = stages.captures, stages.estimator, stages.paths
        self.commands, self.ledger = stages.commands, stages.reporter.ledger
        self.groups = stages.groups
        self._rules, self.protocol, self.lines = rules, rules.protocol, rules.states.inputs
        self.clock, self.heartbeat = clock, channels.heartbeat
        self.armed = False
        self.emergency = False
        """Whether an emergency stop has disarmed the run, and nothing has armed it since."""
        self.marks, self.last_mark = 0, ""
        """Notes of the operator so far, and the beginning of the last one."""
        self.running = True
        self.last_frames: dict[str, LastFrame] = {}
        """The newest frame that went through, by camera."""
        self.lost_tracks = 0
        """Keypoints lost in the last frame."""
        self._latest, self._reporter = stages.latest, stages.reporter
        self._orders, self._edges, self._actuators = channels.orders, channels.edges, channels.actuators
        self._publisher, self._sink = channels.publisher, channels.sink
        self._first_frames = first_frames or FirstFrames([], 0)
        self.silence = silence or SilenceMonitor([], {}, self._latest, self._sink)
        self._group_s, self._arming_refusal = group_s, arming_refusal
        self._started = True
        self._end_reason = self._failure = ""
        self._numbers = itertools.count(1)
        """Sequence numbers of the inputs."""
        self._in_hand: list[TakenFrame] = []
        """Frames that were taken and not gone through: none but while a turn lasts, or has failed."""

    def run(self, seconds: float | None) -> None:
        """Take frames until an order, the end of the recordings, a camera's fault or the time ends the run.

        Parameters
        ----------
        seconds
            Length of the run, s; None for no limit.
        """
        if not self.running:
            return
        for capture in self.captures:
            capture.start()
        self._first_frames.begin(self.clock.now_ns())
        stop_ns = None if seconds is None else self.clock.now_ns() + round(seconds * NS_PER_S)
        try:
            self._run_until(stop_ns)
        finally:
            captures = {capture.name: capture for capture in self.captures}
            for left in [*self._in_hand, *self._latest.close()]:
                self._sink.send(captures[left.frame.camera].left_at_end(left))

    def _run_until(self, stop_ns: int | None) -> None:
        while self.running:
            self.heartbeat.t_ns = self.clock.now_ns()
            self._in_hand = taken = self._latest.take(IDLE_TIMEOUT_S, self._group_s)
            self.silence.check(self.heartbeat.t_ns)
            self._disarm_for_losses()
            if taken:
                self.step(*taken)
            self._housekeep()
            if self._first_frames.waiting:
                for camera, why in self._first_frames.overdue(self.clock.now_ns()):
                    self._latest.end(camera, why)
            if self._latest.ended and self.running:
                self._end(self._ending())
            elif stop_ns is not None and self.clock.now_ns() >= stop_ns and self.running:
                self._end("the stated time was over")

    def wait_for_start(self) -> None:
        """Answer orders and take no frames until `start` or `stop` comes."""
        self._started = False
        while self.running and not self._started:
            self.heartbeat.t_ns = self.clock.now_ns()
            self.clock.sleep_until_ns(self.clock.now_ns() + round(IDLE_TIMEOUT_S * NS_PER_S))
            self._housekeep()

    # ------------------------------------------------------------ a frame's way

    def step(self, *taken: TakenFrame) -> None:
        """Take one turn: a frame, or one of each of several cameras, from pixels to decisions to publication.

        Parameters
        ----------
        *taken
            One frame of each camera that takes part; cameras of one model share one call of the network.
        """
        t_taken_ns = self.clock.now_ns()
        by_network: dict[Estimator, list[TakenFrame]] = {}
        for item in taken:
            by_network.setdefault(self.paths[item.frame.camera].estimator, []).append(item)
        decided = [
            frame
            for estimator, items in by_network.items()
            for frame in self._to_decisions(estimator, items, t_taken_ns)
        ]
        groups = [] if self.groups is None else self.groups.decide(decided, self.armed, self._numbers)

        # mark: behind the commands in the outputs' queues
        if self.commands.sync is not None:
            for item in taken:
                self.commands.sync.mark(item.frame.camera, item.frame.stamps.index)

        # publish, record: only now, when every camera's decision has gone to its output
        for frame in decided:
            self._reporter.report(frame)
            self._let_go(frame)
        if self.groups is not None:
            self.groups.report(groups)

    def _to_decisions(
        self, estimator: Estimator, taken: list[TakenFrame], t_taken_ns: int
    ) -> list[DecidedFrame]:
        """Frames of cameras that share a network, from pixels to commands."""
        now = self.clock.now_ns

        # preprocess
        windows = [self._window(item.frame) for item in taken]
        pixels = estimator.preprocess_all([item.frame.image for item in taken], windows)
        t_preprocessed_ns = now()

        # infer
        contexts = [self._context(item.frame, window) for item, window in zip(taken, windows, strict=True)]
        heatmaps = estimator.infer(pixels, contexts)
        t_inferred_ns = now()

        # decode, track, decide, act
        self._take_edges()
        decided = []
        for i, (item, window) in enumerate(zip(taken, windows, strict=True)):
            stages = StageStamps(
                t_taken_ns=t_taken_ns, t_preprocessed_ns=t_preprocessed_ns, t_inferred_ns=t_inferred_ns
            )
            decided.append(self._decide(item, window, heatmaps[i : i + 1], stages))
        return decided

    def _window(self, frame: Frame) -> CropWindow | None:
        """Choose the window of a frame that the network sees; None for the whole frame."""
        path = self.paths[frame.camera]
        if path.crop is None:
            return None
        stamps = frame.stamps
        ahead = path.tracker.predict(frame.camera, stamps.index, stamps.t_scene_ns)
        return path.crop.window(ahead, frame.offset_xy)

    def _context(self, frame: Frame, window: CropWindow | None) -> TemporalContext:
        """Get what the network keeps of the camera's frames before this one."""
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

        # decode
        size, offset = path.frame_size, frame.offset_xy
        if window is not None:
            size, offset = (window.width, window.height), (offset[0] + window.x, offset[1] + window.y)
        found = path.estimator.decode(heatmaps, size, offset)
        pose = pose_of(frame.camera, frame.stamps, found)
        stages.t_pose_ns = now()

        # track
        track = path.tracker.step(pose)
        stages.t_tracked_ns = now()

        # decide
        stages.t_judged_ns = now()
        confidence = confidence_of(pose, track)
        decisions = path.decider.decide(
            path.tracker, frame.camera, frame.stamps, stages.t_judged_ns, self.armed, confidence
        )
        stages.t_decided_ns = now()

        # act: in the log's order of inputs, an event's command bears its observation's place
        seq = next(self._numbers)
        commands = [self.commands.send(event, rule, seq) for event, rule in decisions]
        return DecidedFrame(taken, path, window, stages, seq, pose, track, decisions, commands)

    def _let_go(self, one: DecidedFrame) -> None:
        """Count a frame that went through, let go of its pixels, and compare its pose with the usual ones."""
        one.path.processed += 1
        self.lost_tracks = one.track.lost_keypoints
        taken, name = one.taken, one.path.info.name
        frame = taken.frame
        self.last_frames[name] = LastFrame(name, taken.slot, taken.generation, frame.stamps, frame.offset_xy)
        self._latest.release(taken)
        self._in_hand = [item for item in self._in_hand if item is not taken]
        if one.path.drift is not None:
            one.path.drift.step(one.pose, one.track, one.path.tracker)

    # ------------------------------------------------------------ between frames

    def _take_edges(self) -> None:
        """Log the edges that have come as inputs of the decisions after them, and take them in."""
        for edge in self._edges.take():
            self.lines.take(edge)
            self._sink.send(EdgeRecord(t_ns=self.clock.now_ns(), seq=next(self._numbers), edge=edge))

    def _disarm_for_losses(self) -> None:
        """Disarm where a camera is gone or silent, before any decision that does without it: it stays so
        until `arm`."""
        while self._latest.losses:
            camera, why = self._latest.losses.popleft()
            how = "silent" if camera in self._latest.silences else "gone"
            self._arm("disarm")
            self._log_order("disarm", {}, f"camera '{camera}' is {how}: {why}")

    def _housekeep(self) -> None:
        self._take_edges()
        for _ in range(min(len(self._orders), ORDERS_A_TURN)):
            self.apply(self._orders.popleft())
        self._publisher.flush()  # before the answers, whose number may tell stimuli from controls
        self.commands.drain(self._sink)

    def apply(self, order: Order) -> None:
        """Carry an order out, log it as an input, and answer it.

        Parameters
        ----------
        order
            The order; one that its sender has given up already is passed over.
        """
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
        elif order.do == "arm" and self._arming_refusal:
            order.error = self._arming_refusal  # nothing has changed, so it is no input
            return
        elif order.do in PROTOCOL_ORDERS:
            try:
                self.protocol.order(order.do, order.args)
            except UserError as error:  # nothing has changed, so it is no input
                order.error = str(error)
                return
            if order.do == "mark":
                self.marks, self.last_mark = self.marks + 1, order.args["text"][:SHOWN_OF_A_MARK]
        else:
            self._arm(order.do)
        self._log_order(order.do, order.args, order.origin)

    def _log_order(self, do: str, args: dict[str, Any], origin: str) -> None:
        """Log what was ordered, and by whom, as an input of the decisions after it."""
        t_ns, seq = self.clock.now_ns(), next(self._numbers)
        self._sink.send(ControlRecord(t_ns=t_ns, seq=seq, do=do, args=args, origin=origin))

    def _arm(self, do: str) -> None:
        self.armed = do == "arm"
        self.emergency = do == "emergency" or (self.emergency and not self.armed)
        if self.armed:
            self._actuators.release()
            return
        if do != "disarm":  # it has acted already; an `arm` before it in the inbox may have undone that
            self._actuators.hold(EMERGENCY)
        self._actuators.disarm()
        self._rules.disarm()

    @property
    def lost_cameras(self) -> dict[str, str]:
        """Cameras that are gone and may come back, and why."""
        return dict(self._latest.lost)

    # ------------------------------------------------------------ the end

    def finish(self, failure: str = "") -> None:
        """Write the last acks and the last record.

        Parameters
        ----------
        failure
            What failed in the loop itself; empty where nothing did.
        """
        self._failure = failure
        self.commands.finish(self._sink)
        self._publisher.flush()
        self._sink.send(
            End(t_ns=self.clock.now_ns(), reason=self._failure or self._end_reason, counts=self.summary())
        )

    def summary(self) -> dict[str, Any]:
        """Sum up frames, events, commands, deadlines and tracks, and how the run ended.

        Returns
        -------
        dict[str, Any]
            The counts of the log's last record.
        """
        return {
            "reason": self._failure or self._end_reason,
            "failure": self._failure,
            "cameras": {
                c.name: {
                    **dataclasses.asdict(c.counts),
                    "unmatched": self._latest.unmatched[c.name],
                    **self.paths[c.name].counts(),
                }
                for c in self.captures
            },
            **self.commands.final_counts(),
            "deadline": {"missed": self.ledger.missed, "n": self.ledger.evaluated},
            "tracks": {name: path.tracker.counts() for name, path in self.paths.items()},
            "drift": {name: path.drift.summary() for name, path in self.paths.items() if path.drift},
            **({} if self.groups is None else self.groups.stats()),
            "camera_clocks": {c.name: clock for c in self.captures if (clock := c.clock_summary())},
            "faults": dict(self._latest.faults),
            "edges_lost": self._edges.lost,
        }

    def _ending(self) -> str:
        if self._latest.faults:
            return "; ".join(f"camera '{name}' failed: {why}" for name, why in self._latest.faults.items())
        return "the recording ended"

    def _end(self, reason: str) -> None:
        self.running, self._end_reason = False, reason
