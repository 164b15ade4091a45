"""A board on a serial port that takes every command as a line of JSON: mirrors on a DAC, a valve, a lamp."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from rigs.option_checks import check_delay
from rigs.serial_ports import check_serial_port, close_port, find_boards, find_port, open_port
from rt_pose.clock import NS_PER_MS
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import check_range
from rt_pose.types import Ack, Action, Command, OutputInfo

LONGEST_LINE = 1000
"""Bytes; a board that sends more without an end of line is not one of these."""
HEARTBEAT_MS = 50.0
HEARTBEAT, SAFE = b'{"action":"heartbeat"}\n', b'{"action":"safe"}\n'


@dataclass
class SerialJsonOptions:
    """Which board, and what it can do. Give `serial` or `port`."""

    serial: str = ""
    """USB serial number of the board (`rt-pose devices` lists them): it stays the same in any socket."""
    port: str = ""
    """Path of the port, for a board without a serial number."""
    baud: int = 500_000
    """As in the board's program; boards with USB of their own ignore it."""
    delay_ms: float = 2.0
    """From the command to the effect, measured on your board; 200 bytes alone take 4 ms at 500000."""
    answer_ms: int = 40
    """How long an answer is waited for."""
    actions: list[Action] = field(default_factory=list)
    """What the board can do, e.g. [aim]; other rules are refused at the start. Empty: everything."""


class JsonAnswer(msgspec.Struct):
    """What the board says of a command."""

    id: int
    ok: bool = True
    detail: str = ""
    t_us: int | None = None
    """When it acted, by its own clock."""


@output_driver("serial_json")
class SerialJson:
    """One line of JSON a command, with all of its fields; the board answers `{"id": ID, "ok": true}`.

    A heartbeat comes every 50 ms while the loop turns: a board should darken where none comes.
    """

    Options: ClassVar[type] = SerialJsonOptions

    def __init__(self, name: str, options: SerialJsonOptions, context: DriverContext) -> None:
        where = f"outputs.{name}.options"
        check_serial_port(options, where)
        check_delay(where, options.delay_ms)
        check_range(where, "answer_ms", options.answer_ms, 1, 10_000)
        self._name, self._options, self._clock = name, options, context.clock
        self._writing = threading.Lock()
        self._port: Any = None
        self._received = bytearray()
        self._unreadable = 0

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`. Tested on an emulator."""
        return find_boards("serial_json", note=" (tested on an emulator)")

    def open(self) -> OutputInfo:
        """See `Output.open`."""
        self.close()
        where = f"outputs.{self._name}"
        path = find_port(self._options, where)
        self._port = open_port(path, self._options.baud, where)
        self._received.clear()
        self._unreadable = 0
        self.safe_state()
        return OutputInfo(
            name=self._name,
            driver="serial_json",
            serial=self._options.serial or path,
            delay_ms=self._options.delay_ms,
            echoes=True,
            detail=f"lines of JSON at {path}",
            heartbeat_ms=HEARTBEAT_MS,
            actions=list(self._options.actions),
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`. A port that is gone raises OSError."""
        ack = Ack(command.id, self._name, None, None, None, ok=False)
        able = self._options.actions
        if able and command.action not in able:
            ack.detail = f"the board takes no {command.action}"
            return ack
        if not self._write(msgspec.json.encode(command) + b"\n"):
            ack.detail = "the output is not open"
            return ack
        ack.t_sent_ns = self._clock.now_ns()
        answer = self._answer(command.id, ack.t_sent_ns + self._options.answer_ms * NS_PER_MS)
        if answer is None:
            noise = f" ({self._unreadable} lines could not be read)" if self._unreadable else ""
            ack.detail = (
                f"no answer within {self._options.answer_ms} ms{noise}; whether it acted is not known"
            )
            return ack
        ack.ok, ack.t_ack_ns, ack.t_device_us = answer.ok, self._clock.now_ns(), answer.t_us
        ack.detail = answer.detail or ("" if answer.ok else "the board refused it")
        return ack

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. A port that is gone raises OSError."""
        if alive:
            self._write(HEARTBEAT)
        return []

    def safe_state(self) -> None:
        """See `Output.safe_state`. Its answer is not waited for: a `send` may be waiting for its own."""
        self._write(SAFE)

    def close(self) -> None:
        """See `Output.close`."""
        with self._writing:
            port, self._port = self._port, None
        if port is None:
            return
        with suppress(OSError):  # it is gone; its own watchdog darkens it
            port.write(SAFE)
        close_port(port, self._clock)

    def _write(self, line: bytes) -> bool:
        """Write a line; False where the port is not open."""
        with self._writing:
            if self._port is None:
                return False
            self._port.write(line)
            return True

    def _answer(self, command_id: int, until_ns: int) -> JsonAnswer | None:
        """The answer to a command; what else the board says is passed over."""
        while True:
            for line in self._lines():
                answer = _decode(line)
                if answer is None:
                    self._unreadable += 1
                elif answer.id == command_id:
                    return answer
            if self._clock.now_ns() >= until_ns:
                return None
            port = self._port
            if port is None:
                return None
            self._received += port.read(max(port.in_waiting, 1))

    def _lines(self) -> list[bytes]:
        *lines, rest = bytes(self._received).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._received[:] = rest
        return [line for line in lines if line.strip()]


def _decode(line: bytes) -> JsonAnswer | None:
    try:
        return msgspec.json.decode(line, type=JsonAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
