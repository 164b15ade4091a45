"""An output that fails is opened again, boundedly, and what was refused meanwhile is not sent."""

from __future__ import annotations

from outputs.test_actuators import Line, command
from support.patience import wait_until

import rigs
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.outputs.output_thread import Recovery
from rt_pose.types import Command, OutputInfo

rigs.register()
PAUSE_NS = 20_000_000


class SlowWrite(Line):
    """Fails at one command, as a port does whose write times out; opening it again helps after some tries."""

    def __init__(self, opens_to_fail: int = 0) -> None:
        super().__init__(self._fail)
        self.opened = -1  # the first time is the run's own
        self._opens_to_fail = opens_to_fail

    def _fail(self, asked: Command) -> None:
        if asked.id == 1:
            raise TimeoutError("write timed out")

    def open(self) -> OutputInfo:
        self.opened += 1
        if 0 < self.opened <= self._opens_to_fail:
            raise OSError("no such port")
        return super().open()


def begin(line: Line, attempts: int) -> Actuators:
    recoveries = {"laser": Recovery(attempts, PAUSE_NS)}
    acting = Actuators([(line.open(), line)], HostClock(), recoveries=recoveries)
    acting.start()
    assert acting.submit(command(1)) == ""
    wait_until(lambda: bool(acting.acks))
    return acting


def test_it_works_again_and_sends_nothing_of_what_was_refused() -> None:
    line = SlowWrite()
    acting = begin(line, attempts=3)
    refused = acting.submit(command(2))
    wait_until(lambda: not acting.faults())
    assert acting.submit(command(3)) == ""
    wait_until(lambda: 3 in line.sent)
    assert "output failed: TimeoutError: write timed out" in refused
    assert 2 not in line.sent
    assert [n.text.split(",")[0] for n in acting.notices][-1].startswith("works again")
    assert acting.stop() == []


def test_attempts_are_bounded_and_their_end_is_told() -> None:
    line = SlowWrite(opens_to_fail=99)
    acting = begin(line, attempts=3)
    wait_until(lambda: any("still fails after 3 attempts" in notice.text for notice in acting.notices))
    assert line.opened == 3
    assert "output failed" in acting.submit(command(2))
    assert acting.stop() == ["output 'laser' failed: TimeoutError: write timed out"]


def test_a_later_attempt_may_succeed() -> None:
    line = SlowWrite(opens_to_fail=2)
    acting = begin(line, attempts=3)
    wait_until(lambda: not acting.faults())
    assert line.opened == 3
    acting.stop()


def test_faults_are_bounded_in_all_though_it_has_always_worked_again() -> None:
    """An output that fails at each command would be opened again for as long as the run lasts."""
    line = SlowWrite()
    recoveries = {"laser": Recovery(3, PAUSE_NS, in_all=1)}
    acting = Actuators([(line.open(), line)], HostClock(), recoveries=recoveries)
    acting.start()
    for _ in range(2):
        wait_until(lambda: not acting.submit(command(1)))
        wait_until(lambda: bool(acting.faults()) or bool(line.opened))
    wait_until(lambda: any("it has failed 2 times" in notice.text for notice in acting.notices))
    assert line.opened == 1
    assert "output failed" in acting.submit(command(2))
    assert acting.stop() == ["output 'laser' failed: TimeoutError: write timed out"]


def test_without_attempts_a_fault_is_for_the_run() -> None:
    line = SlowWrite()
    acting = begin(line, attempts=0)
    assert "output failed" in acting.submit(command(2))
    assert acting.faults()
    acting.stop()
    assert line.opened == 0


def test_a_box_that_falls_silent_is_back_when_it_answers_again() -> None:
    """The box's own code on a pseudo-terminal: opened again it takes commands, and its line rises."""
    clock = HostClock()
    heartbeat = Heartbeat()
    heartbeat.t_ns = clock.now_ns()
    with SimulatedBox() as box:
        options = {"port": box.port, "delay_ms": 0.0, "watchdog_ms": 5000, "answer_ms": 4000}
        output = make_output("laser", "serial_ttl", options, DriverContext(clock))
        recoveries = {"laser": Recovery(3, PAUSE_NS)}
        acting = Actuators([(output.open(), output)], clock, heartbeat, 10**12, recoveries)
        acting.start()
        box.order("silent")
        wait_until(lambda: bool(acting.faults()))
        box.order("well")
        wait_until(lambda: not acting.faults())
        assert acting.submit(command(3)) == ""
        assert box.wait_for(0, high=True) is not None
        acting.stop()
