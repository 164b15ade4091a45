"""Commands, the outputs' threads, deadlines and the safe state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar

import pytest

from rt_pose.clock import FakeClock
from rt_pose.drivers import FoundDevice
from rt_pose.loop.act import QUEUE_COMMANDS, Actuators
from rt_pose.types import Ack, Command, OutputInfo


class Line:
    """An output that notes what it is asked, and can be made to wait or fail."""

    Options: ClassVar[type] = dict

    def __init__(self, act: Callable[[Command], None] = lambda command: None) -> None:
        self.act = act
        self.sent: list[int] = []
        self.safe = self.closed = 0

    @classmethod
    def find(cls) -> list[FoundDevice]:
        return []

    def open(self) -> OutputInfo:
        return OutputInfo("laser", "line", "1", delay_ms=0.0, echoes=True)

    def send(self, command: Command) -> Ack:
        self.act(command)
        self.sent.append(command.id)
        return Ack(command.id, command.output, 1, 2, None, ok=True)

    def safe_state(self) -> None:
        self.safe += 1

    def close(self) -> None:
        self.closed += 1


def command(number: int, deadline_ns: int | None = None) -> Command:
    return Command(number, number, "laser", 0, "pulse", duration_us=5000, t_deadline_ns=deadline_ns)


def actuators(line: Line, clock: FakeClock | None = None) -> Actuators:
    return Actuators([(line.open(), line)], clock or FakeClock(100))


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds, 5 s at most."""
    tick = threading.Event()
    for _ in range(500):
        if condition():
            return
        tick.wait(0.01)
    pytest.fail("did not happen within 5 s")


def test_commands_are_carried_out_in_order_and_acknowledged() -> None:
    line = Line()
    acting = actuators(line)
    acting.start()
    assert [acting.submit(command(i)) for i in (1, 2, 3)] == ["", "", ""]
    wait_for(lambda: len(acting.acks) == 3)
    assert acting.stop() == []
    assert line.sent == [1, 2, 3]
    assert all(ack.ok for ack in acting.acks)
    assert (line.safe, line.closed) == (2, 1)


def test_a_command_past_its_deadline_is_not_sent() -> None:
    line = Line()
    acting = actuators(line, FakeClock(2_000_000))
    acting.start()
    acting.submit(command(1, deadline_ns=1_000_000))
    acting.submit(command(2, deadline_ns=2_000_000))
    wait_for(lambda: len(acting.acks) == 2)
    acting.stop()
    assert line.sent == [2]
    late = acting.acks[0]
    assert (late.ok, late.t_sent_ns) == (False, None)
    assert late.detail == "not sent: late by 1.00 ms"


def test_a_stuck_output_refuses_and_what_waited_is_never_sent() -> None:
    stuck, go = threading.Event(), threading.Event()

    def wait(_: Command) -> None:
        stuck.set()
        go.wait(10)

    line = Line(wait)
    acting = actuators(line)
    acting.start()
    acting.submit(command(0))
    assert stuck.wait(5)
    answers = [acting.submit(command(i)) for i in range(1, QUEUE_COMMANDS + 2)]
    assert answers[:-1] == [""] * QUEUE_COMMANDS
    assert "waiting for the output already" in answers[-1]
    threading.Timer(0.1, go.set).start()
    acting.stop(timeout_s=5.0)
    assert line.sent == [0]
    assert line.safe == 2
    forgotten = [ack for ack in acting.acks if ack.command_id > 0]
    assert [ack.command_id for ack in forgotten] == list(range(1, QUEUE_COMMANDS + 1))
    assert all(ack.detail == "not sent: the run ended" for ack in forgotten)


def test_disarming_refuses_what_waits() -> None:
    go = threading.Event()
    line = Line(lambda _: go.wait(10) and None)
    acting = actuators(line)
    acting.start()
    acting.submit(command(0))
    wait_for(acting._threads["laser"]._commands.empty)
    acting.submit(command(1))
    acting.submit(command(2))
    acting.disarm()
    go.set()
    wait_for(lambda: len(acting.acks) == 3)
    acting.stop()
    assert line.sent == [0]
    assert sorted(a.command_id for a in acting.acks if a.detail == "not sent: disarmed") == [1, 2]


def test_an_output_that_hangs_is_made_safe_again_not_closed_and_named() -> None:
    go = threading.Event()
    line = Line(lambda _: go.wait(10) and None)
    acting = actuators(line)
    acting.start()
    acting.submit(command(0))
    wait_for(acting._threads["laser"]._commands.empty)
    (problem,) = acting.stop(timeout_s=0.05)
    assert "did not answer within 0.05 s" in problem
    assert (line.safe, line.closed) == (2, 0)
    go.set()


def test_an_output_that_raises_goes_safe_and_refuses_from_then_on() -> None:
    go = threading.Event()

    def fail(_: Command) -> None:
        go.wait(10)
        raise OSError("no such port any more")

    line = Line(fail)
    acting = actuators(line)
    acting.start()
    for number in (1, 2, 3):
        acting.submit(command(number))
    go.set()
    wait_for(lambda: len(acting.acks) == 3)
    assert acting.acks[0].detail == "output failed: OSError: no such port any more"
    assert all(not ack.ok for ack in acting.acks)
    assert line.sent == []
    assert line.safe == 1
    assert acting.submit(command(4)).startswith("output failed")
    assert acting.stop() == ["output 'laser' failed: OSError: no such port any more"]
    assert line.safe == 3


def test_an_output_whose_safe_state_fails_still_answers() -> None:
    class Dead(Line):
        def safe_state(self) -> None:
            raise OSError("unplugged")

        def send(self, command: Command) -> Ack:
            raise OSError("gone")

    line = Dead()
    acting = actuators(line)
    acting.start()
    acting.submit(command(1))
    wait_for(lambda: len(acting.acks) == 1)
    assert "its safe state failed: OSError: unplugged" in acting.acks[0].detail
    assert any("unplugged" in problem for problem in acting.stop())


def test_one_output_that_cannot_be_closed_does_not_keep_the_others_from_it() -> None:
    class Broken(Line):
        def open(self) -> OutputInfo:
            return OutputInfo("broken", "line", "2", delay_ms=0.0, echoes=True)

        def safe_state(self) -> None:
            raise OSError("gone")

    line, broken = Line(), Broken()
    acting = Actuators([(broken.open(), broken), (line.open(), line)], FakeClock())
    acting.start()
    assert acting.stop() == ["output 'broken': OSError: gone"]
    assert (line.safe, line.closed) == (2, 1)
