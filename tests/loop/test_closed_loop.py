"""Orders as the loop carries them out, with a real output thread behind it."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from rt_pose.clock import HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.protocol import Protocol, make_protocol
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.loop.closed_loop import SHOWN_OF_A_MARK, Channels, ClosedLoop, Stages
from rt_pose.loop.commands import Commands
from rt_pose.loop.control import Order
from rt_pose.loop.edges import EdgeInbox
from rt_pose.loop.frame_reporter import FrameReporter
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.latest_frames import LatestFrames
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


def wait_for(condition: Callable[[], bool]) -> None:
    clock = HostClock()
    end_ns = clock.now_ns() + 5_000_000_000
    while not condition():
        assert clock.now_ns() < end_ns, "waited 5 s in vain"
        clock.sleep_until_ns(clock.now_ns() + 1_000_000)


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
    wait_for(lambda: line.high)
    loop.apply(Order("emergency"))
    wait_for(lambda: not line.high)
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
