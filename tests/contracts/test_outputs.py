"""One suite over every registered output driver."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import rigs
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, Output, WatchedOutput, make_output, outputs
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
pytestmark = pytest.mark.alone  # the box answers in time, or the driver gives up

OPTIONS: dict[str, dict[str, Any]] = {
    "simulated": {"delay_ms": 2.0},
    # On a pseudo-terminal bytes take no time. The watchdog is the bench's business, not this suite's.
    "serial_ttl": {"port": "of the simulated box", "delay_ms": 0.0, "watchdog_ms": 5000, "answer_ms": 4000},
}
"""How each driver is opened here. A driver that needs hardware belongs in `HARDWARE` instead."""
BOXES = {"serial_ttl"}
"""Drivers that are opened on a simulated box's port."""
HARDWARE: set[str] = set()


@pytest.fixture
def options(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Of the driver that `request.param` names."""
    driver = request.param
    assert driver in OPTIONS, (
        f"say in OPTIONS of this file how the output driver '{driver}' is opened in tests"
    )
    if driver not in BOXES:
        yield {"driver": driver, **OPTIONS[driver]}
        return
    with SimulatedBox() as box:
        yield {"driver": driver, **OPTIONS[driver], "port": box.port}


@pytest.fixture
def output(options: dict[str, Any]) -> Iterator[Output]:
    made = make_output("laser", options.pop("driver"), options, DriverContext(HostClock()))
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "output" in metafunc.fixturenames:
        metafunc.parametrize("options", sorted(set(outputs()) - HARDWARE), indirect=True)


def pulse(number: int) -> Command:
    return Command(id=number, event_id=None, output="laser", line=0, action="pulse", duration_us=5000)


def test_info_describes_the_output(output: Output) -> None:
    info = output.open()
    assert info.name == "laser"
    assert info.driver in outputs()
    assert info.delay_ms >= 0.0


def test_every_command_is_acknowledged_in_order(output: Output) -> None:
    clock = HostClock()
    info = output.open()
    last_us = -1
    for number in range(1, 6):
        before = clock.now_ns()
        ack = output.send(pulse(number))
        after = clock.now_ns()
        assert ack.ok
        assert (ack.command_id, ack.output) == (number, "laser")
        assert ack.t_sent_ns is not None
        assert before <= ack.t_sent_ns <= after
        if info.echoes:
            assert ack.t_ack_ns is not None
            assert ack.t_sent_ns + info.delay_ms * NS_PER_MS <= ack.t_ack_ns <= after
            assert ack.t_device_us is not None
            assert ack.t_device_us > last_us
            last_us = ack.t_device_us


@pytest.mark.parametrize(
    "action",
    [
        {"action": "train", "duration_us": 1000, "period_us": 3000, "count": 3},
        {"action": "level"},
        {"action": "level", "duration_us": 2000},
        {"action": "analog", "duration_us": 1000, "ramp_up_us": 1000, "ramp_down_us": 1000, "amplitude": 0.5},
        {"action": "stop"},
    ],
)
def test_every_action_is_acknowledged(output: Output, action: dict[str, Any]) -> None:
    output.open()
    ack = output.send(Command(id=4, event_id=None, output="laser", line=0, **action))
    assert ack.ok, ack.detail


def test_safe_state_may_come_from_another_thread_during_a_send(output: Output) -> None:
    output.open()
    with ThreadPoolExecutor(2) as pool:
        sending = pool.submit(lambda: [output.send(pulse(i)) for i in range(30)])
        safe = pool.submit(lambda: [output.safe_state() for _ in range(30)])
        assert all(ack.ok for ack in sending.result(timeout=30))
        safe.result(timeout=30)


def test_heartbeats_are_taken(output: Output) -> None:
    info = output.open()
    if not isinstance(output, WatchedOutput):
        assert info.heartbeat_ms == 0.0
        return
    assert info.heartbeat_ms > 0.0
    for alive in (False, True, True, False):
        assert all(isinstance(text, str) for text in output.heartbeat(alive))


def test_stop_is_acknowledged(output: Output) -> None:
    output.open()
    assert output.send(Command(id=1, event_id=None, output="laser", line=0, action="stop")).ok


def test_a_closed_output_sends_nothing(output: Output) -> None:
    output.open()
    output.close()
    output.close()
    ack = output.send(pulse(1))
    assert not ack.ok
    assert ack.t_sent_ns is None
    assert "not open" in ack.detail


def test_it_opens_again_after_close(output: Output) -> None:
    for number in range(2):
        output.open()
        assert output.send(pulse(number)).ok
        output.close()


def test_safe_state_works_at_any_time(output: Output) -> None:
    output.open()
    output.safe_state()
    output.close()
    output.safe_state()
    output.open()
    assert output.send(pulse(1)).ok, "the safe state must not keep it from being used again"


@pytest.mark.parametrize("driver", sorted(OPTIONS))
def test_an_unknown_output_option_names_the_nearest(driver: str) -> None:
    with pytest.raises(UserError, match=r"outputs\.laser\.options.*'delay', did you mean 'delay_ms'"):
        make_output("laser", driver, {"delay": 1.0}, DriverContext(HostClock()))


def test_an_unknown_output_driver_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"outputs\.laser.*'simulatd', did you mean 'simulated'"):
        make_output("laser", "simulatd", {}, DriverContext(HostClock()))


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(UserError, match="delay_ms must be between 0 and 1000, got -1"):
        make_output("laser", "simulated", {"delay_ms": -1.0}, DriverContext(HostClock()))
