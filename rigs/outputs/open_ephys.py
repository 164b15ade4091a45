"""TTL events of the Open Ephys GUI, through its plugin Network Events (requests and answers over ZeroMQ).

A TTL event gets into the recording with the next block of data that the GUI processes, some 20 ms later. The
plugin answers `TTLHandled` also while nothing is acquired and the event goes nowhere, so that is asked too.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import ClassVar

import zmq

from rigs.command_messages import NOT_OPEN, refuse
from rigs.hang_guard import HEARTBEAT_MS
from rigs.option_checks import check_delay, check_port
from rigs.timed_lines import TimedLines, Undelivered, Written, failed
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError
from rt_pose.types import Ack, Command, OutputInfo

LONGEST_ANSWER_BYTES = 65536
MOST_LINES = 256
NOT_ACQUIRING = "Open Ephys acquires nothing, so that the event is not recorded; start its acquisition"
_HANDLED = re.compile(r"TTLHandled: \w+=(\d+) \w+=([01])")


@dataclass
class OpenEphysOptions:
    """Where the GUI is."""

    host: str = "127.0.0.1"
    """Name or address of the machine."""
    port: int = 5556
    """Port that Network Events shows in the GUI."""
    lines: int = 8
    """How many TTL lines are ours: our 0 is line 1 there."""
    answer_ms: int = 200
    """How long an answer is waited for."""
    delay_ms: float = 20.0
    """From the request to the event: measure it in a recording beside a line of the TTL box."""


@output_driver("open_ephys")
class OpenEphys:
    """Pulses, trains and levels on TTL lines; a `message` is sent as it is (`StartRecord`, `StopRecord`)."""

    Options: ClassVar[type] = OpenEphysOptions

    def __init__(self, name: str, options: OpenEphysOptions, context: DriverContext) -> None:
        where = f"outputs.{name}.options"
        check_delay(where, options.delay_ms)
        check_port(where, options.port)
        if not 1 <= options.lines <= MOST_LINES:
            raise UserError(f"{where}.lines: expected 1 to {MOST_LINES}, got {options.lines}")
        if not 10 <= options.answer_ms <= 10_000:
            raise UserError(f"{where}.answer_ms: expected 10 to 10000, got {options.answer_ms}")
        self._name, self._options, self._clock = name, options, context.clock
        self._address = f"tcp://{options.host}:{options.port}"
        self._lines = TimedLines(name, options.lines, context.clock, self._write, self._all_off)
        self._high: set[int] = set()
        """Lines that are on, or may be."""
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] | None = None
        self._open = False

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`. Asks nobody: what comes to the plugin may get into a recording."""
        description = "TTL events of the Open Ephys GUI with Network Events (tested on an emulator)"
        return [FoundDevice("open_ephys", "", description)]

    def open(self) -> OutputInfo:
        """See `Output.open`.

        Raises
        ------
        UserError
            Where the plugin does not answer.
        """
        self.close()
        self._high = set(range(self._options.lines))
        try:
            acquiring = self._is_acquiring()
            self._lines.open()
        except Undelivered as error:
            self.close()
            raise UserError(
                f"outputs.{self._name}: {error}; is the Open Ephys GUI running, with Network Events in its "
                "signal chain, and the port the one that it shows?"
            ) from error
        except zmq.ZMQError as error:
            self.close()
            raise UserError(
                f"outputs.{self._name}.options.host: no address {self._address} ({error})"
            ) from error
        self._open = True
        return OutputInfo(
            name=self._name,
            driver="open_ephys",
            serial=self._address,
            delay_ms=self._options.delay_ms,
            echoes=True,
            detail="acquiring" if acquiring else "not acquiring yet: until then no event is recorded",
            heartbeat_ms=HEARTBEAT_MS,
            lines=self._options.lines,
            actions=[*self._lines.actions, "message"],
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`. A TTL event that came while nothing is acquired has failed."""
        if not self._open:
            return refuse(command, self._name, NOT_OPEN)
        if command.action == "message":
            return self._send_text(command)
        ack = self._lines.send(command)
        try:
            if ack.ok and not self._is_acquiring():
                ack.ok, ack.detail = False, NOT_ACQUIRING
        except Undelivered:
            pass  # the event was confirmed before
        return ack

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. Sends nothing while all is well."""
        return self._lines.heartbeat(alive)

    def safe_state(self) -> None:
        """See `Output.safe_state`. Waits for a request under way, then switches off what is on.

        Raises
        ------
        Undelivered
            Where the plugin does not answer.
        """
        self._lines.all_off()

    def close(self) -> None:
        """See `Output.close`."""
        self._open = False
        self._lines.close()
        with self._lock:
            self._disconnect()

    def _send_text(self, command: Command) -> Ack:
        try:
            answer, written = self._request(command.message)
        except Undelivered as error:
            return failed(command, self._name, error)
        ok = answer != "NotHandled"
        detail = answer if ok else f"Network Events knows no {command.message!r}"
        return Ack(command.id, self._name, *written, None, ok=ok, detail=detail)

    def _is_acquiring(self) -> bool:
        return self._request("IsAcquiring")[0] == "1"

    def _write(self, line: int, level: float) -> Written:
        on = level > 0.0
        if on:
            self._high.add(line)
        answer, written = self._request(f"TTL Line={line + 1} State={int(on)}")
        if not answer.startswith("TTLHandled"):
            raise Undelivered(f"Network Events answered {answer[:80]!r}", *written)
        understood = _HANDLED.match(answer)
        if understood and (int(understood[1]), understood[2] == "1") != (line + 1, on):
            raise Undelivered(
                f"Network Events took line {line + 1}, {int(on)} for {understood[1]}, {understood[2]}: it is "
                "of an older form; update the plugin in Open Ephys",
                *written,
            )
        if not on:
            self._high.discard(line)
        return written

    def _all_off(self) -> None:
        for line in sorted(self._high):
            self._write(line, 0.0)

    def _request(self, text: str) -> tuple[str, Written]:
        """Send a text and wait for its answer, as long as is allowed.

        A request that nobody answered goes with its socket: it must not be carried out some time later.
        """
        answer_ms = self._options.answer_ms
        with self._lock:
            socket = self._socket or self._connect()
            try:
                if not socket.poll(answer_ms, zmq.POLLOUT):
                    raise Undelivered(f"nobody answers at {self._address}")
                socket.send_string(text, zmq.NOBLOCK)
                t_sent_ns = self._clock.now_ns()
                if not socket.poll(answer_ms):
                    raise Undelivered(
                        f"no answer within {answer_ms} ms; whether it acted is not known", t_sent_ns
                    )
                answer = socket.recv(zmq.NOBLOCK)
            except (Undelivered, zmq.ZMQError):
                self._disconnect()
                raise
            return answer.decode(errors="replace"), Written(t_sent_ns, self._clock.now_ns())

    def _connect(self) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits for a GUI that may come later
        socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_ANSWER_BYTES)
        self._socket = socket
        socket.connect(self._address)
        return socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
