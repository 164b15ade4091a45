"""An output of ZeroMQ messages: a program that binds a PULL socket gets each command."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

import zmq

from rigs.command_messages import ASKED_TO_END, NOT_OPEN, Format, encode_command, encode_safe, pass_on, refuse
from rigs.hang_guard import HEARTBEAT_MS, HangGuard
from rigs.option_checks import check_delay
from rigs.timed_lines import Undelivered
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError
from rt_pose.types import Ack, Command, OutputInfo

CONNECT_MS = 1000
"""How long the other program is waited for at the start."""
LINGER_MS = 100
"""How long the last message may take when the output is closed."""
MOST_WAITING = 100
"""Messages that may wait for a program that is connected and takes none; then commands fail."""


@dataclass
class ZmqPushOptions:
    """Where messages go."""

    address: str = "tcp://127.0.0.1:5796"
    """Where the other program has bound a PULL socket."""
    format: Format = "msgpack"
    """How a command is written: msgpack or json, a map of its fields."""
    delay_ms: float = 1.0
    """From the message to the effect."""


@output_driver("zmq_push")
class ZmqPush:
    """One message a command; the other program carries it out."""

    Options: ClassVar[type] = ZmqPushOptions

    def __init__(self, name: str, options: ZmqPushOptions, context: DriverContext) -> None:
        check_delay(f"outputs.{name}.options", options.delay_ms)
        self._name, self._options, self._clock = name, options, context.clock
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] | None = None
        self._guard = HangGuard(self.safe_state, ASKED_TO_END)

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`."""
        return [FoundDevice("zmq_push", "", "messages to a program that binds a ZeroMQ PULL socket")]

    def open(self) -> OutputInfo:
        """See `Output.open`.

        Raises
        ------
        UserError
            Where it is no address, or where nobody pulls there.
        """
        self.close()
        address = self._options.address
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        socket.setsockopt(zmq.LINGER, LINGER_MS)
        socket.setsockopt(zmq.SNDHWM, MOST_WAITING)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits for a program that may come later
        try:
            socket.connect(address)
            there = socket.poll(CONNECT_MS, zmq.POLLOUT)
        except zmq.ZMQError as error:
            socket.close()
            raise UserError(
                f"outputs.{self._name}.options.address: expected tcp://HOST:PORT, got {address!r} ({error})"
            ) from error
        if not there:
            socket.close()
            raise UserError(
                f"outputs.{self._name}: nobody pulls at {address}; start the program that binds a PULL "
                "socket there first"
            )
        self._socket = socket
        self.safe_state()
        return OutputInfo(
            name=self._name,
            driver="zmq_push",
            serial=address,
            delay_ms=self._options.delay_ms,
            echoes=False,
            detail=f"{self._options.format} to {address}",
            heartbeat_ms=HEARTBEAT_MS,
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`."""
        if self._socket is None:
            return refuse(command, self._name, NOT_OPEN)
        message = encode_command(command, self._options.format)
        return pass_on(command, self._name, self._clock, lambda: self._push(message))

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. The other program learns only that the loop hangs."""
        return self._guard.heartbeat(alive)

    def safe_state(self) -> None:
        """See `Output.safe_state`. Sends `{"action": "safe"}`.

        Raises
        ------
        Undelivered
            Where nobody takes it.
        """
        if self._socket is not None:
            self._push(encode_safe(self._name, self._options.format))

    def close(self) -> None:
        """See `Output.close`."""
        with self._lock:
            socket, self._socket = self._socket, None
            if socket is not None:
                socket.close()

    def _push(self, message: bytes) -> None:
        with self._lock:
            if self._socket is None:
                raise Undelivered(NOT_OPEN)
            try:
                self._socket.send(message, zmq.NOBLOCK)
            except zmq.Again as error:
                raise Undelivered(
                    f"nobody pulls at {self._options.address}, or takes nothing any more"
                ) from error
