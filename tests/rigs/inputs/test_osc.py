"""The OSC input: what counts, and that nothing that comes to a port can stop it."""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.udp_client import SimpleUDPClient

import rigs
from rigs.inputs.osc import LONGEST_DATAGRAM_BYTES, OscInput, read_states
from rt_pose import extras
from rt_pose.clock import HostClock
from rt_pose.contracts.inputs import EdgeCollector
from rt_pose.drivers import DriverContext, make_input
from rt_pose.errors import UserError

rigs.register()
Opened = tuple[OscInput, EdgeCollector, tuple[str, int]]


def make(**options: Any) -> OscInput:
    made = make_input("lever", "osc", {"port": 0, **options}, DriverContext(HostClock()))
    assert isinstance(made, OscInput)
    return made


def message(value: Any, address: str = "/lever", kind: str | None = None) -> Any:
    builder = OscMessageBuilder(address)
    builder.add_arg(value, kind)
    return builder.build()


def bundle(*messages: Any, at: float = IMMEDIATELY) -> bytes:
    builder = OscBundleBuilder(at)
    for each in messages:
        builder.add_content(each)
    return bytes(builder.build().dgram)


@pytest.mark.parametrize(
    ("value", "kind", "on"),
    [
        (1, "i", True), (0, "i", False), (-3, "i", True), (2**40, "h", True),
        (0.5, "f", True), (0.0, "f", False), (1.0, "d", True),
        (True, None, True), (False, None, False),
    ],
)  # fmt: skip
def test_one_number_or_truth_value_is_a_state(value: Any, kind: str | None, on: bool) -> None:
    assert read_states(message(value, kind=kind).dgram, "/lever") == [on]


def test_bundles_are_read_in_order_whatever_their_time() -> None:
    states = [message(1), message(0.25, "/other"), message(0)]
    assert read_states(bundle(*states), "/lever") == [True, False]
    assert read_states(bundle(*states, at=2e9), "/lever") == [True, False], "not waited for"


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"/lever",
        b"/lever\0\0",
        b"/lever\0\0,i\0\0",
        b"/lever\0\0,i\0\0\0\0",
        b"/lever\0\0,ii\0" + bytes(8),
        b"/lever\0\0,s\0\0on\0\0",
        b"/levers\0,i\0\0" + struct.pack(">i", 1),
        b"/lever\0\0,f\0\0" + struct.pack(">f", math.nan),
        b"#bundle\0",
        b"#bundle\0" + bytes(8) + struct.pack(">i", -4) + bytes(8),
        b"#bundle\0" + bytes(8) + struct.pack(">i", 2**31 - 1) + b"/lever",
        b"#bundle\0" + bytes(8) + bytes(1000),
        b"/lever\0\0,i\0\0" + struct.pack(">i", 1) + bytes(LONGEST_DATAGRAM_BYTES),
    ],
)
def test_what_says_nothing_of_the_line(datagram: bytes) -> None:
    assert read_states(datagram, "/lever") == []


@given(st.binary(max_size=100), st.booleans())
def test_no_datagram_raises(noise: bytes, in_bundle: bool) -> None:
    for head in (b"", b"/lever\0\0", b"/lever\0\0,i\0\0", b"/lever\0\0,d\0\0"):
        part = head + noise
        whole = b"#bundle\0" + bytes(8) + len(part).to_bytes(4, "big") + part + noise
        assert all(isinstance(on, bool) for on in read_states(whole if in_bundle else part, "/lever"))


@pytest.fixture
def opened() -> Iterator[Opened]:
    line, edges = make(), EdgeCollector()
    info = line.open()
    assert info.detail.startswith("/lever at 127.0.0.1:")
    line.start(edges)
    host, _, port = info.serial.rpartition(":")
    yield line, edges, (host, int(port))
    line.close()


def test_a_client_of_python_osc_presses_the_lever(
    opened: Opened,
) -> None:
    line, edges, place = opened
    with SimpleUDPClient(*place) as client:
        for value in (True, False, 1, 0.0):
            client.send_message("/lever", value)
        edges.wait_for(4)
    assert [edge.on for edge in edges.found] == [True, False, True, False]
    assert line.unreadable == 0


def test_noise_is_counted_and_what_comes_after_it_is_read(
    opened: Opened,
) -> None:
    line, edges, place = opened
    stuck = b"#bundle\0" + bytes(8) + struct.pack(">i", -4) + bytes(8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in (b"", b"x" * 5000, stuck, b"/other\0\0,i\0\0" + bytes(4), message(1).dgram):
            sender.sendto(datagram, place)
        edges.wait_for(1)
    assert [edge.on for edge in edges.found] == [True]
    assert line.unreadable == 4


def test_a_port_that_is_taken(opened: Opened) -> None:
    with pytest.raises(UserError, match=r"inputs\.lever\.options: cannot listen at .*another program have"):
        make(port=opened[2][1]).open()


def test_other_interfaces_only_where_that_is_meant() -> None:
    with pytest.raises(UserError, match=r"options\.host: .*not authenticated; .* `from_network: true`"):
        make(host="0.0.0.0")
    line = make(host="0.0.0.0", from_network=True)
    assert line.open().serial.startswith("0.0.0.0:")
    line.close()
    line = make(host="::1")
    assert line.open().serial.startswith("::1:")
    line.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"host": "localhost"}, "expected the address of an interface, such as 127.0.0.1, got 'localhost'"),
        ({"address": "lever"}, r"options\.address: expected an OSC address"),
        ({"port": 65536}, "expected 0 to 65535, got 65536"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make(**options)


def test_without_the_library_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "osc", ("no_such_module",))
    with pytest.raises(UserError, match=r"the driver osc needs no_such_module.*pip install 'rt-pose\[osc\]'"):
        make().open()
    assert OscInput.find()[0].remedy == "pip install 'rt-pose[osc]'"
