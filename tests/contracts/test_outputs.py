"""One suite over every registered output driver."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
from support.firmata_board import FirmataBoard
from support.harp_board import HarpBoard
from support.json_board import JsonBoard
from support.null_sink import CARD, null_sink
from support.peers import OpenEphysServer, OscServer, Puller, UdpReceiver

import rigs
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, Output, WatchedOutput, make_output, outputs
from rt_pose.errors import UserError
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.outputs.output_thread import Recovery
from rt_pose.types import Command

rigs.register()
pytestmark = pytest.mark.alone  # the box answers in time, or the driver gives up

OPTIONS: dict[str, dict[str, Any]] = {
    "lsl": {"stream": "contract-markers", "needs_recorder": False},
    "open_ephys": {"delay_ms": 0.0, "answer_ms": 2000},
    "osc": {"preset": "open_ephys"},
    "simulated": {"delay_ms": 2.0},
    # On a pseudo-terminal bytes take no time. The watchdog is the bench's business, not this suite's.
    "serial_json": {"port": "of a board on a pseudo-terminal", "delay_ms": 0.0, "answer_ms": 4000},
    "serial_ttl": {"port": "of the simulated box", "delay_ms": 0.0, "watchdog_ms": 5000, "answer_ms": 4000},
    "firmata": {
        "port": "of the simulated board",
        "pins": [9],
        "pwm": [9],
        "delay_ms": 0.0,
        "answer_ms": 1000,
    },
    "harp": {"port": "of the simulated board", "delay_ms": 0.0, "watchdog_ms": 5000, "answer_ms": 4000},
    "sound": {"device": CARD, "sounds": ["1000 Hz"], "latency_ms": 50.0},
    "nidaq": {"device": "Dev1"},
    "udp": {},
    "zmq_push": {},
}
"""How each driver is opened here."""
BOXES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "firmata": FirmataBoard,
    "harp": HarpBoard,
    "serial_ttl": SimulatedBox,
}
"""Boards that can be made to misbehave."""
HARDWARE = {"nidaq": "not run on a device: NI's driver is not there (see tests/rigs/outputs/test_nidaq.py)"}
"""Drivers of which nothing can be opened without a device, and why."""


@contextmanager
def port_of(part: Any) -> Iterator[dict[str, Any]]:
    with part as real:
        yield {"port": real.port}


@contextmanager
def puller() -> Iterator[dict[str, Any]]:
    with Puller() as peer:
        yield {"address": peer.address}


@contextmanager
def sink() -> Iterator[dict[str, Any]]:
    with null_sink():
        yield {}


OTHER_SIDES: dict[str, Callable[[], AbstractContextManager[dict[str, Any]]]] = {
    "firmata": lambda: port_of(FirmataBoard()),
    "harp": lambda: port_of(HarpBoard()),
    "open_ephys": lambda: port_of(OpenEphysServer()),
    "osc": lambda: port_of(OscServer()),
    "serial_json": lambda: port_of(JsonBoard()),
    "serial_ttl": lambda: port_of(SimulatedBox()),
    "sound": sink,
    "udp": lambda: port_of(UdpReceiver()),
    "zmq_push": puller,
}
"""What answers a driver here; it says where it is to be found."""
WITH_CLOCK = {"harp", "serial_ttl", "simulated"}
"""Drivers whose devices have a clock of their own."""


@pytest.fixture
def options(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Of the driver that `request.param` names."""
    driver = request.param
    assert driver in OPTIONS, (
        f"say in OPTIONS of this file how the output driver '{driver}' is opened in tests"
    )
    if driver in HARDWARE:
        pytest.skip(HARDWARE[driver])
    with OTHER_SIDES.get(driver, lambda: nullcontext({}))() as found:
        yield {"driver": driver, **OPTIONS[driver], **found}


@pytest.fixture
def output(options: dict[str, Any]) -> Iterator[Output]:
    made = make_output("laser", options.pop("driver"), options, DriverContext(HostClock()))
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "output" in metafunc.fixturenames:
        metafunc.parametrize("options", sorted(outputs()), indirect=True)


def wait_for(done: Callable[[], object], timeout_s: float = 10.0) -> None:
    for _ in range(round(timeout_s / 0.005)):
        if done():
            return
        threading.Event().wait(0.005)
    raise AssertionError("did not come about")


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
        assert ack.ok, ack.detail
        assert (ack.command_id, ack.output) == (number, "laser")
        assert ack.t_sent_ns is not None
        assert before <= ack.t_sent_ns <= after
        if info.echoes:
            assert ack.t_ack_ns is not None
            assert ack.t_sent_ns + info.delay_ms * NS_PER_MS <= ack.t_ack_ns <= after
        if info.driver in WITH_CLOCK:
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
def test_every_action_is_acknowledged_or_refused_by_name(output: Output, action: dict[str, Any]) -> None:
    info = output.open()
    ack = output.send(Command(id=4, event_id=None, output="laser", line=0, **action))
    if info.actions and action["action"] not in info.actions:
        assert not ack.ok
        assert action["action"] in ack.detail
    else:
        assert ack.ok, ack.detail


def test_aimed_light_is_taken_or_refused_with_its_reason(output: Output) -> None:
    info = output.open()
    aim = Command(id=4, event_id=None, output="laser", line=0, action="aim", duration_us=1000, x=0.5, y=-0.5)
    ack = output.send(aim)
    assert ack.ok == (not info.actions or "aim" in info.actions)
    assert ack.ok or "aim" in ack.detail


def test_safe_state_may_come_from_another_thread_during_a_send(output: Output) -> None:
    output.open()
    with ThreadPoolExecutor(2) as pool:
        sending = pool.submit(lambda: [output.send(pulse(i)) for i in range(30)])
        safe = pool.submit(lambda: [output.safe_state() for _ in range(30)])
        acks = sending.result(timeout=30)
        assert {ack.detail for ack in acks if not ack.ok} <= {"made safe before it began to sound"}
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


# ------------------------------------------------------------ what a device on a port does when it is ill

ILLS = ("silent", "garbage", "late", "unplugged")
ANSWERS_MS = {
    "serial_ttl": {"watchdog_ms": 400, "answer_ms": 40},
    "firmata": {"answer_ms": 100},
    "harp": {"watchdog_ms": 400, "answer_ms": 100},
}
LATE_MS = 300


def make_ill(device: Any, how: str) -> None:
    """Each of them has its own words for it."""
    if isinstance(device, SimulatedBox):
        device.order({"unplugged": "pull", "late": f"late {LATE_MS}"}.get(how, how))
    elif how == "unplugged":
        device.unplug()
    else:
        device.ail(how, LATE_MS if how == "late" else 0.0)


@pytest.fixture(params=sorted(BOXES))
def sick(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Output]]:
    """A device, and the driver that is opened on its port."""
    driver = request.param
    with BOXES[driver]() as device:
        options = {**OPTIONS[driver], **ANSWERS_MS[driver], "port": device.port}
        output = make_output("laser", driver, options, DriverContext(HostClock()))
        output.open()
        yield device, output
        output.close()


@pytest.mark.parametrize("ill", ILLS)
def test_an_ill_device_acknowledges_nothing_and_answers_no_safe_state(
    sick: tuple[Any, Output], ill: str
) -> None:
    device, output = sick
    clock = HostClock()
    make_ill(device, ill)
    threading.Event().wait(0.05)
    begun_ns = clock.now_ns()
    try:
        ack = output.send(Command(1, 1, "laser", 0, "level"))
    except Exception:
        if ill != "unplugged":
            raise
    else:
        assert not ack.ok
        assert "no answer within" in ack.detail
        assert ack.t_effect_ns is None
    with pytest.raises(Exception, match=r"safe state|no answer within|port"):
        output.safe_state()
    assert clock.now_ns() - begun_ns < 2000 * NS_PER_MS, "neither waits for ever"


@pytest.mark.parametrize("ill", ["silent", "garbage"])
def test_the_thread_of_an_output_that_falls_ill_refuses_and_recovers(
    sick: tuple[Any, Output], ill: str
) -> None:
    device, output = sick
    clock, heartbeat = HostClock(), Heartbeat()
    heartbeat.t_ns = clock.now_ns()
    recoveries = {"laser": Recovery(50, 50 * NS_PER_MS)}
    acting = Actuators([(output.open(), output)], clock, heartbeat, 10**12, recoveries)
    acting.start()
    assert acting.submit(pulse(1)) == ""
    wait_for(lambda: len(acting.acks) == 1)
    assert acting.acks[0].ok
    make_ill(device, ill)
    wait_for(acting.faults)
    refused = acting.submit(pulse(2))
    assert refused.startswith("output failed: ")
    assert any(notice.text.startswith("output failed: ") for notice in acting.notices)
    make_ill(device, "well")
    wait_for(lambda: not acting.faults())
    assert any(notice.text.startswith("works again, ") for notice in acting.notices)
    assert acting.submit(pulse(3)) == ""
    wait_for(lambda: acting.acks[-1].command_id == 3)
    assert acting.acks[-1].ok, acting.acks[-1].detail
    assert [ack.command_id for ack in acting.acks] == [1, 3], "what was refused is never sent"
    assert acting.stop() == []


def test_the_thread_of_an_output_that_is_late_fails_its_commands_and_stays_in_use(
    sick: tuple[Any, Output],
) -> None:
    device, output = sick
    clock, heartbeat = HostClock(), Heartbeat()
    heartbeat.t_ns = clock.now_ns()
    acting = Actuators(
        [(output.open(), output)], clock, heartbeat, 10**12, {"laser": Recovery(50, 50 * NS_PER_MS)}
    )
    acting.start()
    make_ill(device, "late")
    assert acting.submit(pulse(1)) == ""
    wait_for(lambda: len(acting.acks) == 1)
    assert not acting.acks[0].ok
    assert "no answer within" in acting.acks[0].detail
    make_ill(device, "well")
    threading.Event().wait(2 * LATE_MS / 1000)
    wait_for(lambda: not acting.faults())
    assert acting.submit(pulse(2)) == ""
    wait_for(lambda: acting.acks[-1].command_id == 2)
    assert acting.acks[-1].ok, acting.acks[-1].detail
    acting.stop()


def test_the_thread_of_an_output_that_is_unplugged_gives_up_as_configured(sick: tuple[Any, Output]) -> None:
    device, output = sick
    clock, heartbeat = HostClock(), Heartbeat()
    heartbeat.t_ns = clock.now_ns()
    acting = Actuators(
        [(output.open(), output)], clock, heartbeat, 10**12, {"laser": Recovery(2, 20 * NS_PER_MS)}
    )
    acting.start()
    make_ill(device, "unplugged")
    wait_for(lambda: any("still fails after 2 attempts" in notice.text for notice in acting.notices))
    assert acting.submit(pulse(1)).startswith("output failed: ")
    begun_ns = clock.now_ns()
    assert any("output 'laser'" in problem for problem in acting.stop())
    assert clock.now_ns() - begun_ns < 2000 * NS_PER_MS
