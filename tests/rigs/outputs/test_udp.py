"""The output of datagrams against a real receiver."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from support.free_port import free_port
from support.peers import UdpReceiver

import rigs
from rigs.outputs.udp import UdpOutput
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()


def make(**options: Any) -> UdpOutput:
    made = make_output("tone", "udp", options, DriverContext(HostClock()))
    assert isinstance(made, UdpOutput)
    return made


def pulse(number: int = 1) -> Command:
    return Command(number, number, "tone", 2, "pulse", duration_us=5000)


@pytest.fixture
def receiver() -> Iterator[UdpReceiver]:
    with UdpReceiver() as peer:
        yield peer


def test_a_command_is_json_and_the_safe_state_a_message_of_its_own(receiver: UdpReceiver) -> None:
    output = make(port=receiver.port)
    output.open()
    assert output.send(pulse()).ok
    output.safe_state()
    output.close()
    first, command, last = (msgspec.json.decode(d) for d in receiver.wait_for(lambda all_: len(all_) == 3))
    assert first == last == {"action": "safe", "output": "tone"}
    assert (command["action"], command["line"], command["duration_us"]) == ("pulse", 2, 5000)


def test_a_text_with_fields_of_the_command(receiver: UdpReceiver) -> None:
    output = make(port=receiver.port, text="{action} {line} {duration_us}", safe="quiet")
    output.open()
    output.send(pulse())
    output.send(Command(2, 2, "tone", 0, "message", message="näher {line}"))
    output.close()
    assert receiver.wait_for(lambda all_: len(all_) == 3) == [
        b"quiet", b"pulse 2 5000", "näher {line}".encode(),
    ]  # fmt: skip


def test_that_nobody_has_the_port_is_said_at_once() -> None:
    port = free_port(socket.SOCK_DGRAM)
    with pytest.raises(
        UserError, match=rf"outputs\.tone: nobody takes datagrams at 127\.0\.0\.1:{port} .*start"
    ):
        make(port=port).open()
    output = make(port=port, text="{action}")  # there is nothing to send at the start
    output.open()
    ack = output.send(pulse())
    assert (ack.ok, ack.t_sent_ns) == (False, None)
    assert "nobody takes datagrams" in ack.detail
    with UdpReceiver(port) as receiver:
        assert output.send(pulse(2)).ok, "it works again without being opened again"
        receiver.wait_for(lambda all_: all_ == [b"pulse"])
    assert not output.send(pulse(3)).ok
    output.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"port": 0}, r"outputs\.tone\.options\.port: expected 1 to 65535, got 0"),
        ({"port": 65536}, "expected 1 to 65535"),
        ({"delay_ms": float("nan")}, "delay_ms: expected a number, got nan"),
        ({"text": "{lin}"}, r"options\.text: .*got 'lin', did you mean 'line'"),
        ({"text": "{line.__class__}"}, "the name of a field and no more"),
        ({"text": "{line:99999999}"}, "the name of a field and no more"),
        ({"text": "{line"}, "a brace itself is written twice"),
        ({"text": "{}"}, "the name of a field and no more"),
        ({"safe": "off"}, "give `text`"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make(**options)


def test_a_host_that_is_not_known() -> None:
    with pytest.raises(UserError, match=r"options\.host: 'no-such-host\.invalid' cannot be found"):
        make(host="no-such-host.invalid").open()


def test_a_hung_loop_ends_everything_once(receiver: UdpReceiver) -> None:
    output = make(port=receiver.port, text="{action}", safe="off")
    assert output.open().heartbeat_ms > 0
    said = [output.heartbeat(alive) for alive in (False, True, False, False, True)]
    assert said == [[], [], ["the loop does not turn: the other program was asked to end everything"], [], []]
    assert receiver.wait_for(lambda all_: len(all_) == 2) == [b"off", b"off"]
    output.close()
    without = make(port=receiver.port, text="{action}")
    without.open()
    assert [without.heartbeat(alive) for alive in (True, False)] == [[], []]
    without.close()
