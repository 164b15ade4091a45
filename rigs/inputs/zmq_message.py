"""An input of messages: another program says over ZeroMQ that its line goes on or off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import zmq

from rigs.input_thread import POLL_S, InputThread
from rt_pose.clock import Clock
from rt_pose.drivers import DriverContext, FoundDevice, input_driver
from rt_pose.errors import UserError
from rt_pose.types import Edge, InputInfo

LONGEST_MESSAGE_BYTES = 1024


@dataclass
class ZmqInputOptions:
    """Where messages come in."""

    address: str = "tcp://127.0.0.1:5795"
    """A PULL socket on the loopback interface, to which PUSH sockets connect."""


class EdgeMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A message, as msgpack or JSON."""

    on: bool
    t_ns: int | None = None
    """When it happened, on this machine's monotonic clock; the arrival where it is not given."""


@input_driver("zmq")
class ZmqInput(InputThread):
    """`{"on": true}` and `{"on": false}`, as msgpack or JSON; anything else is passed over and counted."""

    Options: ClassVar[type] = ZmqInputOptions

    def __init__(self, name: str, options: ZmqInputOptions, context: DriverContext) -> None:
        if not options.address.startswith("tcp://127.0.0.1:"):
            raise UserError(
                f"inputs.{name}.options.address: expected tcp://127.0.0.1:PORT, since messages are not "
                f"authenticated, got {options.address!r}"
            )
        super().__init__(name)
        self._options, self._clock = options, context.clock
        self._socket: zmq.Socket[bytes] | None = None
        self.unreadable = 0
        """Messages that were passed over."""

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Input.find`."""
        return [FoundDevice("zmq", "", "another program's messages")]

    def open(self) -> InputInfo:
        """See `Input.open`.

        Raises
        ------
        UserError
            Where the address cannot be bound.
        """
        self.close()
        self._socket = zmq.Context.instance().socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_MESSAGE_BYTES)
        try:
            self._socket.bind(self._options.address)
        except zmq.ZMQError as error:
            self.close()
            raise UserError(
                f"inputs.{self._name}.options.address: {self._options.address} cannot be bound ({error}); "
                "does another program have the port?"
            ) from error
        address: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return InputInfo(self._name, "zmq", address, f"messages at {address}")

    def close(self) -> None:
        """See `Input.close`."""
        self.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        assert self._socket is not None
        while not self._end.is_set():
            if not self._socket.poll(round(POLL_S * 1000)):
                continue
            edge = read_edge(self._name, self._socket.recv_multipart(), self._clock)
            if edge is None:
                self.unreadable += 1
            else:
                deliver(edge)


def read_edge(name: str, parts: list[bytes], clock: Clock) -> Edge | None:
    """Read a message.

    Parameters
    ----------
    name
        Name of the input.
    parts
        The message's parts.
    clock
        Stamps a message that bears no time, and bounds one that does: nothing comes from the future.

    Returns
    -------
    Edge or None
        None where it is no message of an edge.
    """
    if len(parts) != 1:
        return None
    decode = msgspec.json.decode if parts[0][:1] == b"{" else msgspec.msgpack.decode
    try:
        message = decode(parts[0], type=EdgeMessage)
    except msgspec.MsgspecError:
        return None
    now_ns = clock.now_ns()
    return Edge(name, message.on, now_ns if message.t_ns is None else min(message.t_ns, now_ns))
