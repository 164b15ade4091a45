"""One suite over every registered input driver."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import zmq
from support.firmata_board import FirmataBoard
from support.input_edges import Edges

import rigs
from rigs.firmware.simulate import SimulatedBox
from rigs.outputs.osc import encode_osc
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext, Input, OperatedInput, input_driver, inputs, make_input
from rt_pose.errors import UserError
from rt_pose.types import InputInfo

rigs.register()


def press_by_message(info: InputInfo, press: Callable[[Callable[[Any], None]], None]) -> None:
    with zmq.Context.instance().socket(zmq.PUSH) as sender:
        sender.setsockopt(zmq.LINGER, 1000)
        sender.connect(info.serial)
        press(sender.send)


OPTIONS: dict[str, dict[str, Any]] = {
    "lsl": {"stream": "contract-lever", "on_marker": "down", "off_marker": "up"},
    "osc": {"port": 0, "address": "/lever"},
    "simulated": {"period_ms": 30.0, "on_ms": 10.0},
    "zmq": {"address": "tcp://127.0.0.1:*"},
    "serial_ttl": {"port": "of the simulated box", "debounce_ms": 1.0},
    "firmata": {"port": "of the simulated board", "debounce_ms": 1.0},
    "key": {"key": "l", "on_ms": 20.0},
}
"""How each driver is opened here."""
OUTLETS: dict[str, Any] = {}
"""The LSL stream that is open now."""
BOXES: dict[str, Callable[[], Any]] = {"serial_ttl": SimulatedBox, "firmata": FirmataBoard}
"""Drivers that are opened on a port, and what answers there."""


@pytest.fixture(params=sorted(inputs()))
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The driver's name, and what is at its port."""
    driver = request.param
    if driver not in BOXES:
        yield driver, None
        return
    with BOXES[driver]() as real:
        yield driver, real


@pytest.fixture
def line(device: tuple[str, Any]) -> Iterator[Input]:
    driver, real = device
    assert driver in OPTIONS, (
        f"say in OPTIONS of this file how the input driver '{driver}' is opened in tests"
    )
    if driver == "lsl":
        from pylsl import StreamInfo, StreamOutlet

        name = OPTIONS["lsl"]["stream"]
        OUTLETS[name] = StreamOutlet(StreamInfo(name, "Markers", 1, 0.0, "string", name))
    port = {} if real is None else {"port": real.port}
    made = make_input("lick", driver, {**OPTIONS[driver], **port}, DriverContext(HostClock()))
    yield made
    made.close()
    OUTLETS.clear()


def send_pulses(device: tuple[str, Any], line: Input, info: InputInfo, count: int) -> None:
    """Make the real part go on and off, where it does not by itself."""
    driver, real = device
    states = (True, False) * count
    if driver == "zmq":
        press_by_message(info, lambda send: [send(msgspec.msgpack.encode({"on": on})) for on in states])
    elif driver == "osc":
        host, _, port = info.serial.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for on in states:
                sender.sendto(encode_osc("/lever", [int(on)]), (host, int(port)))
    elif driver == "lsl":
        for on in states:
            OUTLETS[info.serial].push_sample(["down" if on else "up"])
    elif driver == "serial_ttl":
        real.order(f"input 0 {2 * count} 5000")
    elif driver == "firmata":
        for on in states:
            real.set_level(7, on)
            threading.Event().wait(0.01)
    elif isinstance(line, OperatedInput):
        for _ in range(count):
            line.switch("press", HostClock().now_ns())
            threading.Event().wait(0.05)


def test_edges_come_in_turn_and_in_order_of_time(device: tuple[str, Any], line: Input) -> None:
    clock, edges = HostClock(), Edges()
    info = line.open()
    assert (info.name, info.on) == ("lick", False)
    before_ns = clock.now_ns()
    line.start(edges)
    send_pulses(device, line, info, 3)
    edges.wait_for(6)
    line.stop()
    found = edges.found[:6]
    assert [edge.on for edge in found] == [True, False] * 3
    assert {edge.input for edge in found} == {"lick"}
    times = [edge.t_ns for edge in found]
    assert times == sorted(times)
    assert before_ns <= times[0] <= times[-1] <= clock.now_ns()


def test_nothing_is_delivered_after_stop(device: tuple[str, Any], line: Input) -> None:
    edges = Edges()
    info = line.open()
    line.start(edges)
    send_pulses(device, line, info, 1)
    edges.wait_for(2)
    line.stop()
    count = len(edges.found)
    threading.Event().wait(0.1)
    assert len(edges.found) == count


def test_it_can_be_closed_twice_and_opened_again(line: Input) -> None:
    line.open()
    line.close()
    line.close()
    assert line.open().name == "lick"


def test_a_driver_is_registered_once() -> None:
    with pytest.raises(ValueError, match="two drivers"):
        input_driver("simulated")(object)


@pytest.mark.parametrize("driver", sorted(inputs()))
def test_wrong_options_are_named(driver: str) -> None:
    with pytest.raises(UserError, match=r"inputs\.lick\.options.*unknown key 'serail'"):
        make_input("lick", driver, {"serail": "1"}, DriverContext(HostClock()))


def test_messages_that_say_nothing_are_counted() -> None:
    line: Any = make_input("lick", "zmq", OPTIONS["zmq"], DriverContext(HostClock()))
    edges = Edges()
    info = line.open()
    line.start(edges)
    words = [b"", b"x", b"{}", b'{"on": 1}', b'{"on": true, "off": false}', b'{"on": true}']
    press_by_message(info, lambda send: [send(word) for word in words])
    edges.wait_for(1)
    line.close()
    assert [edge.on for edge in edges.found] == [True]
    assert line.unreadable == 5


def test_a_message_from_the_future_counts_as_now() -> None:
    line: Any = make_input("lick", "zmq", OPTIONS["zmq"], DriverContext(HostClock()))
    edges, clock = Edges(), HostClock()
    info = line.open()
    line.start(edges)
    late = clock.now_ns() + 10**12
    press_by_message(info, lambda send: send(msgspec.json.encode({"on": True, "t_ns": late})))
    edges.wait_for(1)
    line.close()
    assert edges.found[0].t_ns <= clock.now_ns()


def test_other_interfaces_are_refused() -> None:
    with pytest.raises(UserError, match="not authenticated"):
        make_input("lick", "zmq", {"address": "tcp://0.0.0.0:5795"}, DriverContext(HostClock()))
