"""An input of Open Sound Control messages: a tablet, Max or Bonsai says that a line goes on or off."""

from __future__ import annotations

import ipaddress
import math
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from rigs.input_thread import POLL_S, InputThread
from rigs.option_checks import check_osc_address, check_port
from rt_pose.drivers import DriverContext, FoundDevice, input_driver
from rt_pose.errors import UserError
from rt_pose.extras import missing, remedy, require
from rt_pose.types import Edge, InputInfo

LONGEST_DATAGRAM_BYTES = 1024
BUNDLE, BUNDLE_HEAD_BYTES = b"#bundle\0", 16
STATE_TAGS = (b",i\0\0", b",f\0\0", b",T\0\0", b",F\0\0", b",h\0\0", b",d\0\0")
"""Types of a single argument that can be on or off."""


@dataclass
class OscInputOptions:
    """Where messages come in, and which one is meant."""

    port: int = 9001
    """UDP port to listen at; 0 takes a free one."""
    address: str = "/lever"
    """OSC address; its one argument is a number or truth value, and on where it is not 0."""
    host: str = "127.0.0.1"
    """Address of the interface to listen at."""
    from_network: bool = False
    """Whether other machines may send. OSC does not authenticate: whoever reaches the port sets the line."""


@input_driver("osc")
class OscInput(InputThread):
    """Datagrams with one argument; those of other addresses and forms are passed over and counted."""

    Options: ClassVar[type] = OscInputOptions

    def __init__(self, name: str, options: OscInputOptions, context: DriverContext) -> None:
        super().__init__(name)
        where = f"inputs.{name}.options"
        check_port(where, options.port, least=0)
        check_osc_address(f"{where}.address", options.address)
        _check_host(where, options)
        self._options, self._clock = options, context.clock
        self._socket: socket.socket | None = None
        self.unreadable = 0
        """Datagrams that were passed over."""

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Input.find`."""
        description = "Open Sound Control messages of another program"
        return [FoundDevice("osc", "", description, usable=not missing("osc"), remedy=remedy("osc"))]

    def open(self) -> InputInfo:
        """See `Input.open`.

        Raises
        ------
        UserError
            Where python-osc is missing, or another program has the port.
        """
        require("osc", f"inputs.{self._name}: the driver osc")
        self.close()
        host, port = self._options.host, self._options.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        try:
            receiver.bind((host, port))
        except OSError as error:
            receiver.close()
            raise UserError(
                f"inputs.{self._name}.options: cannot listen at {host}:{port} ({error.strerror}); does "
                "another program have the port?"
            ) from error
        receiver.settimeout(POLL_S)
        self._socket = receiver
        place = f"{host}:{receiver.getsockname()[1]}"
        return InputInfo(self._name, "osc", place, f"{self._options.address} at {place}")

    def close(self) -> None:
        """See `Input.close`."""
        self.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        assert self._socket is not None
        while not self._end.is_set():
            try:
                datagram = self._socket.recv(LONGEST_DATAGRAM_BYTES + 1)
            except TimeoutError:
                continue
            now_ns = self._clock.now_ns()
            states = read_states(datagram, self._options.address)
            self.unreadable += not states
            for on in states:
                deliver(Edge(self._name, on, now_ns))


def read_states(datagram: bytes, address: str) -> list[bool]:
    """Read what a datagram says of a line. Time tags of bundles are not waited for.

    Parameters
    ----------
    datagram
        A message, or a bundle of messages.
    address
        OSC address of the line.

    Returns
    -------
    list[bool]
        On or off, in order; empty where it says nothing of the line, or is too long.
    """
    if len(datagram) > LONGEST_DATAGRAM_BYTES:
        return []
    states = (_read_state(message, address) for message in _split(datagram))
    return [state for state in states if state is not None]


def _split(datagram: bytes) -> Iterator[bytes]:
    """The messages of a datagram.

    By ourselves, not by python-osc, which never returns from a bundle whose element has a negative size.
    """
    if not datagram.startswith(BUNDLE):
        yield datagram
        return
    place = BUNDLE_HEAD_BYTES
    while place + 4 <= len(datagram):
        size = int.from_bytes(datagram[place : place + 4], "big")
        yield datagram[place + 4 : place + 4 + size]
        place += 4 + size


def _read_state(message: bytes, address: str) -> bool | None:
    from pythonosc.osc_message import OscMessage, ParseError

    padded = address.encode() + b"\0" * (4 - len(address) % 4)
    if not message.startswith(padded) or message[len(padded) : len(padded) + 4] not in STATE_TAGS:
        return None
    try:
        (value,) = OscMessage(message).params
    except ParseError:
        return None
    return None if math.isnan(value) else bool(value)


def _check_host(where: str, options: OscInputOptions) -> None:
    try:
        local = ipaddress.ip_address(options.host).is_loopback
    except ValueError:
        raise UserError(
            f"{where}.host: expected the address of an interface, such as 127.0.0.1, got {options.host!r}"
        ) from None
    if not local and not options.from_network:
        raise UserError(
            f"{where}.host: at {options.host} every machine that reaches the port could set the line, since "
            "OSC is not authenticated; where that is meant, say `from_network: true`"
        )
