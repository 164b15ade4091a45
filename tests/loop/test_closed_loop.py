"""Orders as the loop carries them out, with a real output thread behind it."""

from __future__ import annotations

import dataclasses
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from support.patience import wait_until

from rt_pose.clock import HostClock
from rt_pose.config.build import to_plain
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.decisions.action import ActionPlan
from rt_pose.decisions.protocol import Protocol, make_protocol
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.loop.closed_loop import SHOWN_OF_A_MARK, ClosedLoop
from rt_pose.loop.commands import Commands
from rt_pose.loop.control import Order
from rt_pose.loop.describe import meta
from rt_pose.loop.edges import EdgeInbox
from rt_pose.loop.frame_reporter import FrameReporter
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.loop.stages import Channels, Stages
from rt_pose.outputs.actuators import EMERGENCY, Actuators, Heartbeat
from rt_pose.records import NoSink
from rt_pose.types import Ack, Command, OutputInfo


class Line:
    """An output with one line that stays as it was told."""

    def __init__(self) -> None:
        self.high = False
        self.safe = 0

    def send(self, command: Command) -> Ack:
        self.high = command.amplitude > 0
        return Ack(command.id, "laser", 0, 0, None, ok=True)

    def safe_state(self) -> None:
        self.high = False
        self.safe += 1

    def close(self) -> None:
        pass


def loop_over(actuators: Actuators, protocol: Protocol | None = None) -> ClosedLoop:
    anything: Any = None
    reporter = FrameReporter(anything, NoSink(), [], LatencyLedger(20.0), HostClock())
    commands = Commands([], actuators, anything, HostClock())
    stages = Stages(LatestFrames([]), [], anything, {}, commands, reporter)
    channels = Channels(deque(), actuators, anything, NoSink(), Heartbeat(), EdgeInbox([], HostClock()))
    rules = RuleSet.of(RunConfig(), [], {})
    rules = dataclasses.replace(rules, protocol=protocol or rules.protocol)
    return ClosedLoop(stages, channels, rules, HostClock())


def test_an_arming_from_before_an_emergency_leaves_no_line_high() -> None:
    """The emergency acts at once, on another thread; an `arm` waiting in the inbox is carried out later."""
    line: Any = Line()
    actuators = Actuators([(OutputInfo("laser", "test", "", 0.0, echoes=False), line)], HostClock())
    actuators.start()
    loop = loop_over(actuators)
    actuators.emergency()
    loop.apply(Order("arm"))
    assert actuators.submit(Command(1, 1, "laser", 0, "level", 0, 0, 1, 1.0, None)) == ""
    wait_until(lambda: line.high)
    loop.apply(Order("emergency"))
    wait_until(lambda: not line.high)
    assert (loop.armed, loop.emergency) == (False, True)
    loop.apply(Order("disarm"))
    assert loop.emergency, "only `arm` ends it"
    assert actuators.submit(Command(2, 2, "laser", 0, "level", 0, 0, 1, 1.0, None)) == EMERGENCY
    loop.apply(Order("arm"))
    assert (loop.armed, loop.emergency) == (True, False)
    actuators.stop()


def test_notes_are_counted_for_who_watches() -> None:
    loop = loop_over(Actuators([], HostClock()))
    for text in ("water given", "x" * 5000):
        loop.apply(Order("mark", {"text": text}))
    assert (loop.marks, loop.last_mark) == (2, "x" * SHOWN_OF_A_MARK)


def test_an_order_that_breaks_is_still_answered() -> None:
    do = ActionConfig(output="laser", pulse="5 ms")
    protocol = make_protocol(RunConfig(rules=[RuleConfig("a", "speed(nose) > 1", do)]))

    def breaks(do: str, args: dict[str, Any]) -> None:
        raise RuntimeError(f"{do} {args}")

    protocol.order = breaks  # type: ignore[method-assign]
    order = Order("mark", {"text": "a"})
    with pytest.raises(RuntimeError):
        loop_over(Actuators([], HostClock()), protocol).apply(order)
    assert order.done.is_set()


def test_disarming_frees_the_lines_though_arm_comes_before_the_next_frame() -> None:
    """A level without an end had made the line low, and kept it busy for the rest of the run."""
    loop = loop_over(Actuators([], HostClock()))
    level = ActionPlan("laser", 0, "level")
    for do in ("disarm", "emergency"):
        loop.apply(Order("arm"))
        loop._rules.lines.take(level, 0)
        assert loop._rules.lines.busy(level, 1)
        loop.apply(Order(do))
        loop.apply(Order("arm"))
        assert not loop._rules.lines.busy(level, 1)


def test_who_watches_gets_no_seed_by_which_controls_could_be_computed() -> None:
    for withhold, has_seed in ((0.0, True), (0.5, False)):
        rule = RuleConfig("a", "speed(nose) > 1", ActionConfig("laser", pulse="5 ms"), withhold=withhold)
        config = RunConfig(rules=[rule], outputs={"laser": OutputConfig("simulated")}, seed=7)
        rules = RuleSet.of(config, ["nose"], {"laser": 0.0})
        socket = SimpleNamespace(address="")
        opened: Any = SimpleNamespace(config=config, rules=rules, publisher=socket, socket=socket)
        package = {"keypoints": ["nose"], "skeleton": [], "sha256": ""}
        described = {"config": to_plain(config), "package": package, "cameras": {}, "outputs": {}}
        shown = meta(opened, described)["config"]
        assert ("seed" in shown) is has_seed
        assert described["config"]["seed"] == 7, "the session has it"
        assert shown["rules"] == described["config"]["rules"]
