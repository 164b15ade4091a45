"""Commands, the outputs' threads, deadlines and the safe state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar

from support.patience import PATIENCE_S, wait_until

from rt_pose.clock import FakeClock, HostClock
from rt_pose.drivers import FoundDevice
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.outputs.output_thread import QUEUE_COMMANDS
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


def test_commands_are_carried_out_in_order_and_acknowledged() -> None:
    line = Line()
    acting = actuators(line)
    acting.start()
    assert [acting.submit(command(i)) for i in (1, 2, 3)] == ["", "", ""]
    wait_until(lambda: len(acting.acks) == 3)
    assert acting.stop() == []
    assert line.sent == [1, 2, 3]
    assert all(ack.ok for ack in acting.acks)
    assert (line.safe, line.closed) == (2, 1)


def test_a_pretended_command_reaches_nothing() -> None:
    line = Line()
    acting = actuators(line)
    acting.start()
    assert [acting.pretend(command(1)), acting.submit(command(2))] == ["", ""]
    wait_until(lambda: len(acting.acks) == 1)
    acting.hold("held")
    assert acting.pretend(command(3)) == "held", "it is refused as a command is"
    assert acting.stop() == []
    assert (line.sent, [ack.command_id for ack in acting.acks]) == ([2], [2])
    assert line.safe == 2, "no more often than without it"


def test_a_command_past_its_deadline_is_not_sent() -> None:
    line = Line()
    acting = actuators(line, FakeClock(2_000_000))
    acting.start()
    acting.submit(command(1, deadline_ns=1_000_000))
    acting.submit(command(2, deadline_ns=2_000_000))
    wait_until(lambda: len(acting.acks) == 2)
    acting.stop()
    assert line.sent == [2]
    late = acting.acks[0]
    assert (late.ok, late.t_sent_ns) == (False, None)
    assert late.detail == "not sent: late by 1.00 ms"


def test_a_stuck_output_refuses_and_what_waited_is_never_sent() -> None:
    stuck, go = threading.Event(), threading.Event()

    def wait(_: Command) -> None:
        stuck.set()
        go.wait(PATIENCE_S)

    line = Line(wait)
    acting = actuators(line)
    acting.start()
    acting.submit(command(0))
    assert stuck.wait(PATIENCE_S)
    answers = [acting.submit(command(i)) for i in range(1, QUEUE_COMMANDS + 2)]
    assert answers[:-1] == [""] * QUEUE_COMMANDS
    assert "waiting for the output already" in answers[-1]
    threading.Timer(0.1, go.set).start()
    acting.stop(timeout_s=PATIENCE_S)
    assert line.sent == [0]
    assert line.safe == 3, "at once, once more for what was on its way, and before closing"
    forgotten = [ack for ack in acting.acks if ack.command_id > 0]
    assert [ack.command_id for ack in forgotten] == list(range(1, QUEUE_COMMANDS + 1))
    assert all(ack.detail == "not sent: the run ended" for ack in forgotten)


def test_disarming_refuses_what_waits() -> None:
    go = threading.Event()
    line = Line(lambda _: go.wait(PATIENCE_S) and None)
    acting = actuators(line)
    acting.start()
    acting.submit(command(0))
    wait_until(acting._threads["laser"]._commands.empty)
    acting.submit(command(1))
    acting.submit(command(2))
    acting.disarm()
    go.set()
    wait_until(lambda: len(acting.acks) == 3)
    acting.stop()
    assert line.sent == [0]
    assert sorted(a.command_id for a in acting.acks if a.detail == "not sent: disarmed") == [1, 2]


def test_an_output_that_hangs_is_made_safe_again_not_closed_and_named() -> None:
    go = threading.Event()
    line = Line(lambda _: go.wait(PATIENCE_S) and None)
    acting = actuators(line)
    acting.start()
    acting.submit(command(0))
    wait_until(acting._threads["laser"]._commands.empty)
    (problem,) = acting.stop(timeout_s=0.05)
    assert "did not answer within 0.05 s" in problem
    assert (line.safe, line.closed) == (2, 0)
    go.set()


def test_an_output_that_raises_goes_safe_and_refuses_from_then_on() -> None:
    go = threading.Event()

    def fail(_: Command) -> None:
        go.wait(PATIENCE_S)
        raise OSError("no such port any more")

    line = Line(fail)
    acting = actuators(line)
    acting.start()
    for number in (1, 2, 3):
        acting.submit(command(number))
    go.set()
    wait_until(lambda: len(acting.acks) == 3)
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
    wait_until(lambda: len(acting.acks) == 1)
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


def test_disarming_ends_what_is_in_progress() -> None:
    line = Line()
    acting = actuators(line)
    acting.start()
    acting.disarm()
    wait_until(lambda: line.safe == 1)
    assert acting.submit(command(1)) == "", "what comes while disarmed is suppressed by the decision"
    acting.stop()


def test_an_emergency_acts_in_its_own_thread_and_holds_until_released() -> None:
    """Also where the output's thread is inside its driver: a safe state follows what was on its way."""
    stuck, go = threading.Event(), threading.Event()

    def wait(_: Command) -> None:
        stuck.set()
        go.wait(PATIENCE_S)

    line = Line(wait)
    acting = actuators(line)
    acting.start()
    acting.submit(command(0))
    acting.submit(command(1))
    assert stuck.wait(PATIENCE_S)
    assert acting.emergency() == []
    assert line.safe == 1, "before the thread came out of its call"
    assert acting.submit(command(2)) == "emergency stop; `arm` lets commands out again"
    (waited,) = acting.acks
    assert (waited.command_id, waited.detail) == (
        1,
        "not sent: emergency stop; `arm` lets commands out again",
    )
    go.set()
    wait_until(lambda: line.safe == 2)
    acting.release()
    assert acting.submit(command(3)) == ""
    wait_until(lambda: 3 in line.sent)
    acting.stop()
    assert line.sent == [0, 3]


def test_an_output_that_hangs_does_not_keep_the_others_high() -> None:
    never = threading.Event()

    class Hanging(Line):
        def open(self) -> OutputInfo:
            return OutputInfo("hanging", "line", "2", delay_ms=0.0, echoes=True)

        def safe_state(self) -> None:
            self.safe += 1
            never.wait(PATIENCE_S)

    line, hanging = Line(), Hanging()
    acting = Actuators([(hanging.open(), hanging), (line.open(), line)], FakeClock())
    (problem,) = acting.emergency()
    assert problem == "output 'hanging': no safe state within 0.25 s"
    (notice,) = acting.notices
    assert (notice.output, notice.text) == (
        "hanging",
        "the emergency stop may not have reached it (no safe state within 0.25 s): check that its lines are "
        "low",
    )
    assert line.safe == 1
    never.set()


class Watched(Line):
    """A line whose device wants to hear from us."""

    def __init__(self, act: Callable[[Command], None] = lambda command: None) -> None:
        super().__init__(act)
        self.beats: list[bool] = []
        self.says: list[str] = []

    def open(self) -> OutputInfo:
        return OutputInfo("laser", "watched", "1", delay_ms=0.0, echoes=True, heartbeat_ms=1.0)

    def heartbeat(self, alive: bool) -> list[str]:
        self.beats.append(alive)
        if "gone" in self.says:
            raise OSError("gone")
        messages, self.says = self.says, []
        return messages


def test_heartbeats_say_whether_the_loop_turns() -> None:
    line, heartbeat, clock = Watched(), Heartbeat(), HostClock()
    acting = Actuators([(line.open(), line)], clock, heartbeat, heartbeat_within_ns=10**12)
    acting.start()
    wait_until(lambda: len(line.beats) > 2)
    assert not any(line.beats), "the loop has not turned yet"
    heartbeat.t_ns = clock.now_ns()
    wait_until(lambda: line.beats[-1])
    heartbeat.t_ns = clock.now_ns() - 2 * 10**12
    wait_until(lambda: not line.beats[-1])
    acting.stop()


def test_what_a_device_says_becomes_a_notice_and_its_silence_a_fault() -> None:
    line = Watched()
    acting = Actuators([(line.open(), line)], HostClock())
    acting.start()
    line.says = ["interlock open"]
    wait_until(lambda: len(acting.notices) == 1)
    line.says = ["gone"]
    wait_until(lambda: bool(acting.faults()))
    assert acting.faults() == {"laser": "OSError: gone"}
    wait_until(lambda: len(acting.notices) == 2)
    assert [n.text for n in acting.notices] == ["interlock open", "output failed: OSError: gone"]
    assert acting.submit(command(1)) == "output failed: OSError: gone"
    beats = len(line.beats)
    assert acting.stop() == ["output 'laser' failed: OSError: gone"]
    assert len(line.beats) == beats, "a failed device is left alone"
