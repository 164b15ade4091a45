"""Every registered input driver passes the suite, each with its real part on the other side."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import zmq
from support.firmata_board import FirmataBoard

import rigs
from rigs.firmware.simulate import SimulatedBox
from rigs.outputs.osc import encode_osc
from rt_pose.clock import HostClock
from rt_pose.contracts.inputs import EdgeCollector, InputCase, InputContract
from rt_pose.drivers import DriverContext, Input, OperatedInput, input_driver, inputs, make_input
from rt_pose.errors import UserError
from rt_pose.types import InputInfo

rigs.register()
STREAM = "contract-lever"


@contextmanager
def pusher() -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context.instance().socket(zmq.PUSH) as sender:
        sender.setsockopt(zmq.LINGER, 1000)
        yield sender


def pulse_by_message(device: zmq.Socket[bytes], line: Input, info: InputInfo) -> None:
    if not device.getsockopt(zmq.LAST_ENDPOINT):
        device.connect(info.serial)
    for on in (True, False):
        device.send(msgspec.msgpack.encode({"on": on}))


def pulse_by_osc(device: None, line: Input, info: InputInfo) -> None:
    host, _, port = info.serial.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for on in (True, False):
            sender.sendto(encode_osc("/lever", [int(on)]), (host, int(port)))


@contextmanager
def outlet() -> Iterator[Any]:
    from pylsl import StreamInfo, StreamOutlet

    yield StreamOutlet(StreamInfo(STREAM, "Markers", 1, 0.0, "string", STREAM))


def pulse_stream(device: Any, line: Input, info: InputInfo) -> None:
    for marker in ("down", "up"):
        device.push_sample([marker])


def pulse_box(device: SimulatedBox, line: Input, info: InputInfo) -> None:
    made = len(device.input_edges)
    device.order("input 0 2 5000")
    device.wait_for_inputs(made + 2)


def pulse_board(device: FirmataBoard, line: Input, info: InputInfo) -> None:
    for on in (True, False):
        device.set_level(7, on)


def switch(device: None, line: Input, info: InputInfo) -> None:
    assert isinstance(line, OperatedInput)
    for order in ("on", "off"):
        line.switch(order, HostClock().now_ns())  # type: ignore[arg-type]


CASES = {
    "firmata": InputCase(
        {"debounce_ms": 0.0}, around=FirmataBoard, reach=lambda board: {"port": board.port}, pulse=pulse_board
    ),
    "key": InputCase({"key": "l", "on_ms": 20.0}, pulse=switch),
    "lsl": InputCase(
        {"stream": STREAM, "on_marker": "down", "off_marker": "up", "wait_s": 30.0},
        around=outlet,
        pulse=pulse_stream,
    ),
    "osc": InputCase({"port": 0, "address": "/lever"}, pulse=pulse_by_osc),
    "serial_ttl": InputCase(
        {"debounce_ms": 0.0}, around=SimulatedBox, reach=lambda box: {"port": box.port}, pulse=pulse_box
    ),
    "simulated": InputCase({"period_ms": 30.0, "on_ms": 10.0}),
    "zmq": InputCase({"address": "tcp://127.0.0.1:*"}, around=pusher, pulse=pulse_by_message),
}


class TestInputs(InputContract):
    cases = CASES


def test_every_registered_driver_has_a_case() -> None:
    ours = {name for name, kind in inputs().items() if kind.__module__.startswith("rigs.")}
    assert set(CASES) == ours, "say in CASES of this file how each input driver is opened in tests"


def test_a_driver_is_registered_once() -> None:
    with pytest.raises(ValueError, match="two drivers"):
        input_driver("simulated")(object)


def test_wrong_options_are_named() -> None:
    for driver in CASES:
        with pytest.raises(UserError, match=r"inputs\.lick\.options.*unknown key 'serail'"):
            make_input("lick", driver, {"serail": "1"}, DriverContext(HostClock()))


@contextmanager
def zmq_line() -> Iterator[tuple[Any, EdgeCollector, zmq.Socket[bytes]]]:
    """A line that is under way, its edges, and what sends to it."""
    line: Any = make_input("lick", "zmq", dict(CASES["zmq"].options), DriverContext(HostClock()))
    edges = EdgeCollector()
    info = line.open()
    line.start(edges)
    with pusher() as sender:
        sender.connect(info.serial)
        yield line, edges, sender
    line.close()


def test_messages_that_say_nothing_are_counted() -> None:
    with zmq_line() as (line, edges, sender):
        for word in (b"", b"x", b"{}", b'{"on": 1}', b'{"on": true, "off": false}', b'{"on": true}'):
            sender.send(word)
        edges.wait_for(1)
    assert [edge.on for edge in edges.found] == [True]
    assert line.unreadable == 5


def test_a_message_from_the_future_counts_as_now() -> None:
    clock = HostClock()
    with zmq_line() as (_, edges, sender):
        sender.send(msgspec.json.encode({"on": True, "t_ns": clock.now_ns() + 10**12}))
        edges.wait_for(1)
    assert edges.found[0].t_ns <= clock.now_ns()


def test_other_interfaces_are_refused() -> None:
    with pytest.raises(UserError, match="not authenticated"):
        make_input("lick", "zmq", {"address": "tcp://0.0.0.0:5795"}, DriverContext(HostClock()))
