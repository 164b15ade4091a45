"""The suites that every output driver passes. Point them at your own:

    from rt_pose.contracts.outputs import OutputCase, OutputContract


    class TestMine(OutputContract):
        cases = {"mine": OutputCase({"delay_ms": 0.0})}

The key is the name under which the driver is registered, or any other with `driver=`. Where the device can be
made to misbehave (a simulator of it), `IllOutputContract` asks what becomes of the commands meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.contracts.suite import Suite
from rt_pose.drivers import DriverContext, Output, WatchedOutput, make_output, outputs
from rt_pose.errors import UserError
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.outputs.output_thread import Recovery
from rt_pose.types import Ack, Command

NAME = "laser"
PATIENCE_S = 30.0
"""How long a change may be in coming."""
LATE_MS = 300.0
"""By how much an ill device answers too late."""
NOT_FOR_EVER_NS = 2000 * NS_PER_MS
Illness = Literal["silent", "garbage", "late", "unplugged"]
ILLNESSES: tuple[Illness, ...] = ("silent", "garbage", "late", "unplugged")
ACTIONS: tuple[dict[str, Any], ...] = (
    {"action": "train", "duration_us": 1000, "period_us": 3000, "count": 3},
    {"action": "level"},
    {"action": "level", "duration_us": 2000},
    {"action": "analog", "duration_us": 1000, "ramp_up_us": 1000, "ramp_down_us": 1000, "amplitude": 0.5},
    {"action": "aim", "duration_us": 1000, "x": 0.5, "y": -0.5},
    {"action": "stop"},
)


@dataclass(frozen=True)
class OutputCase:
    """How a driver is opened in the suite, and what its device can do."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """The driver's options."""
    driver: str = ""
    """Name of the driver, where several cases have the same."""
    around: Callable[[], AbstractContextManager[dict[str, Any]]] = lambda: nullcontext({})
    """What must be there while the output is open: a board on a pseudo-terminal, a server. It gives further
    options, its port for instance; `pytest.skip` inside it says why the case cannot run here."""
    device_clock: bool = False
    """Whether its acknowledgements bear the time of a clock of the device's own."""
    refusals: frozenset[str] = frozenset()
    """Details of commands that it may refuse when the safe state is asked for in the middle of them."""


@dataclass(frozen=True)
class IllOutputCase:
    """A driver whose device can be made ill."""

    options: Mapping[str, Any]
    """The driver's options but for its port; it waits for answers for less than `LATE_MS`, by whichever
    option."""
    device: Callable[[], AbstractContextManager[Any]]
    """The device; it has a `port`."""
    ail: Callable[[Any, Illness | Literal["well"]], None]
    """Makes the device ill, or well again: `silent` takes commands and answers nothing, `unplugged` refuses
    connections until it is `well` where it was."""
    driver: str = ""
    """Name of the driver, where several cases have the same."""


class OutputContract(Suite):
    """The suite; a subclass whose name begins with Test, with `cases`, runs it."""

    cases: ClassVar[dict[str, OutputCase]] = {}

    @pytest.fixture
    def output(self, case: OutputCase) -> Iterator[Output]:
        """The case's output, not opened; closed at the end."""
        with case.around() as further:
            options = {**case.options, **further}
            made = make_output(NAME, self.driver_of(case), options, DriverContext(HostClock()))
            yield made
            made.close()

    def test_info_describes_the_output(self, output: Output) -> None:
        info = output.open()
        assert info.name == NAME
        assert info.driver in outputs()
        assert info.delay_ms >= 0.0

    def test_every_command_is_acknowledged_in_order(self, case: OutputCase, output: Output) -> None:
        clock = HostClock()
        info = output.open()
        last_us = -1
        for number in range(1, 6):
            before = clock.now_ns()
            ack = output.send(pulse(number))
            after = clock.now_ns()
            assert ack.ok, ack.detail
            assert (ack.command_id, ack.output) == (number, NAME)
            assert ack.t_sent_ns is not None
            assert before <= ack.t_sent_ns <= after
            if info.echoes:
                assert ack.t_ack_ns is not None
                assert ack.t_sent_ns <= ack.t_ack_ns <= after
            if case.device_clock:
                assert ack.t_device_us is not None
                assert ack.t_device_us > last_us
                last_us = ack.t_device_us

    def test_every_action_is_acknowledged_or_refused_by_name(self, output: Output) -> None:
        info = output.open()
        for number, action in enumerate(ACTIONS):
            ack = output.send(Command(id=number, event_id=None, output=NAME, line=0, **action))
            able = not info.actions or action["action"] in info.actions
            assert ack.ok == able, (action, ack.detail)
            assert ack.ok or action["action"] in ack.detail

    def test_safe_state_may_come_from_another_thread_during_a_send(
        self, case: OutputCase, output: Output
    ) -> None:
        output.open()
        with ThreadPoolExecutor(2) as pool:
            sending = pool.submit(lambda: [output.send(pulse(i)) for i in range(30)])
            safe = pool.submit(_make_safe_often, output)
            acks = sending.result(timeout=30)
            assert {ack.detail for ack in acks if not ack.ok} <= case.refusals
            safe.result(timeout=30)

    def test_heartbeats_are_taken(self, output: Output) -> None:
        info = output.open()
        if not isinstance(output, WatchedOutput):
            assert info.heartbeat_ms == 0.0
            return
        assert info.heartbeat_ms > 0.0
        for alive in (False, True, True, False):
            assert all(isinstance(text, str) for text in output.heartbeat(alive))

    def test_a_closed_output_sends_nothing(self, output: Output) -> None:
        output.open()
        output.close()
        output.close()
        ack = output.send(pulse(1))
        assert not ack.ok
        assert ack.t_sent_ns is None
        assert "not open" in ack.detail

    def test_it_opens_again_after_close(self, output: Output) -> None:
        for number in range(2):
            output.open()
            assert output.send(pulse(number)).ok
            output.close()

    def test_safe_state_works_at_any_time(self, output: Output) -> None:
        output.open()
        output.safe_state()
        output.close()
        output.safe_state()
        output.open()
        assert output.send(pulse(1)).ok, "the safe state must not keep it from being used again"

    def test_an_unknown_option_is_refused(self, case: OutputCase) -> None:
        with pytest.raises(UserError, match=r"outputs\.laser\.options.*'no_such_option'"):
            make_output(NAME, self.driver_of(case), {"no_such_option": 1.0}, DriverContext(HostClock()))


class IllOutputContract(Suite):
    """What becomes of commands while the device is ill; a subclass with `cases` runs it."""

    cases: ClassVar[dict[str, IllOutputCase]] = {}

    @pytest.fixture
    def device(self, case: IllOutputCase) -> Iterator[Any]:
        """The device, well."""
        with case.device() as device:
            yield device

    @pytest.fixture
    def output(self, case: IllOutputCase, device: Any) -> Iterator[Output]:
        """The output, not opened; closed at the end."""
        options = {**case.options, "port": device.port}
        made = make_output(NAME, self.driver_of(case), options, DriverContext(HostClock()))
        yield made
        made.close()

    @pytest.mark.parametrize("illness", ILLNESSES)
    def test_it_acknowledges_nothing_and_answers_no_safe_state(
        self, case: IllOutputCase, device: Any, output: Output, illness: Illness
    ) -> None:
        clock = HostClock()
        output.open()
        case.ail(device, illness)
        threading.Event().wait(0.05)
        begun_ns = clock.now_ns()
        ack = _ack_or_fault(output, illness)
        if ack is not None:
            assert not ack.ok
            assert ack.detail, "a failed command says why"
            assert ack.t_effect_ns is None
        with pytest.raises(Exception, match=r"."):
            output.safe_state()
        assert clock.now_ns() - begun_ns < NOT_FOR_EVER_NS, "neither waits for ever"

    @pytest.mark.parametrize("illness", ["silent", "garbage"])
    def test_its_thread_refuses_and_recovers(
        self, case: IllOutputCase, device: Any, output: Output, illness: Illness
    ) -> None:
        _want_heartbeat(output)
        actuators = _actuators(output, Recovery(50, 50 * NS_PER_MS))
        assert actuators.submit(pulse(1)) == ""
        wait_for(lambda: len(actuators.acks) == 1)
        assert actuators.acks[0].ok
        case.ail(device, illness)
        wait_for(actuators.faults)
        assert actuators.submit(pulse(2)).startswith("output failed: ")
        assert any(notice.text.startswith("output failed: ") for notice in actuators.notices)
        case.ail(device, "well")
        wait_for(lambda: not actuators.faults())
        assert any(notice.text.startswith("works again, ") for notice in actuators.notices)
        assert actuators.submit(pulse(3)) == ""
        wait_for(lambda: actuators.acks[-1].command_id == 3)
        assert actuators.acks[-1].ok, actuators.acks[-1].detail
        assert [ack.command_id for ack in actuators.acks] == [1, 3], "what was refused is never sent"
        assert actuators.stop() == []

    def test_its_thread_fails_what_is_late_and_stays_in_use(
        self, case: IllOutputCase, device: Any, output: Output
    ) -> None:
        actuators = _actuators(output, Recovery(50, 50 * NS_PER_MS))
        case.ail(device, "late")
        assert actuators.submit(pulse(1)) == ""
        wait_for(lambda: len(actuators.acks) == 1)
        ack = actuators.acks[0]
        if ack.ok:  # its thread was kept from the processor for as long, and finds the answer there
            assert ack.t_sent_ns is not None
            assert ack.t_ack_ns is not None
            assert ack.t_ack_ns - ack.t_sent_ns >= LATE_MS * NS_PER_MS
        else:
            assert ack.detail, "a failed command says why"
        case.ail(device, "well")
        threading.Event().wait(2 * LATE_MS / 1000)
        wait_for(lambda: not actuators.faults())
        assert actuators.submit(pulse(2)) == ""
        wait_for(lambda: actuators.acks[-1].command_id == 2)
        assert actuators.acks[-1].ok, actuators.acks[-1].detail
        actuators.stop()

    def test_its_thread_gives_up_as_configured_where_it_is_unplugged(
        self, case: IllOutputCase, device: Any, output: Output
    ) -> None:
        _want_heartbeat(output)
        clock = HostClock()
        actuators = _actuators(output, Recovery(2, 20 * NS_PER_MS))
        case.ail(device, "unplugged")
        wait_for(lambda: any("still fails after 2 attempts" in notice.text for notice in actuators.notices))
        assert actuators.submit(pulse(1)).startswith("output failed: ")
        begun_ns = clock.now_ns()
        assert any(f"output '{NAME}'" in problem for problem in actuators.stop())
        assert clock.now_ns() - begun_ns < NOT_FOR_EVER_NS


def pulse(number: int) -> Command:
    """Make the command of a pulse of 5 ms on line 0.

    Parameters
    ----------
    number
        The command's id.

    Returns
    -------
    Command
        The command.
    """
    return Command(id=number, event_id=None, output=NAME, line=0, action="pulse", duration_us=5000)


def wait_for(done: Callable[[], object]) -> None:
    """Wait until something has come about, with patience.

    Parameters
    ----------
    done
        Asked again and again until what it returns is true.

    Raises
    ------
    AssertionError
        Where it does not.
    """
    for _ in range(round(PATIENCE_S / 0.005)):
        if done():
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"did not come about within {PATIENCE_S:g} s")


def _want_heartbeat(output: Output) -> None:
    if not isinstance(output, WatchedOutput):
        pytest.skip("without `heartbeat` a fault is found by the next command, not before")


def _make_safe_often(output: Output) -> None:
    for _ in range(30):
        output.safe_state()


def _ack_or_fault(output: Output, illness: Illness) -> Ack | None:
    """The acknowledgement; None where the port is gone and the driver says so."""
    try:
        return output.send(Command(1, 1, NAME, 0, "level"))
    except Exception:
        if illness != "unplugged":
            raise
        return None


def _actuators(output: Output, recovery: Recovery) -> Actuators:
    """The output's thread, under way, with a loop that never hangs."""
    clock, heartbeat = HostClock(), Heartbeat()
    heartbeat.t_ns = clock.now_ns()
    actuators = Actuators([(output.open(), output)], clock, heartbeat, 10**12, {NAME: recovery})
    actuators.start()
    return actuators
