"""A board with StandardFirmata as the protocol's text describes it, on a pseudo-terminal."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from support.patience import PATIENCE_S
from support.pty_device import PtyDevice

INPUT, OUTPUT, ANALOG, PWM, PULLUP = 0, 1, 2, 3, 11
PWM_PINS = (3, 5, 6, 9, 10, 11)
NAME = "StandardFirmata.ino"


@dataclass(frozen=True, slots=True)
class PinChange:
    """What was written to a pin that had another value before."""

    t_ns: int
    pin: int
    value: int


class FirmataBoard(PtyDevice):
    """An Arduino Uno: pins 0 and 1 are its port, 2 to 13 digital, 14 to 19 analog as well."""

    def __init__(self, version: tuple[int, int] = (2, 5)) -> None:
        self._version = version
        self.changes: list[PinChange] = []
        self._changed = threading.Condition()
        self._begin()
        super().__init__()

    def _begin(self) -> None:
        self._bytes = bytearray()
        self._modes = {pin: ANALOG if pin >= 14 else OUTPUT for pin in range(2, 20)}
        self._states = dict.fromkeys(range(2, 20), 0)
        self._levels = dict.fromkeys(range(2, 20), False)
        self._reported: set[int] = set()

    def restart(self) -> None:
        """As after a short loss of power: pins low, and it says who it is."""
        with self._lock:
            for pin in self._states:
                self._write(pin, 0)
            self._begin()
            self._say_version()
            self._say_firmware()

    def say(self, text: str) -> None:
        """Send a string, as a board does with its errors."""
        self._sysex(0x71, _wide(text))

    def set_level(self, pin: int, high: bool) -> None:
        """What is wired to an input pin changes."""
        with self._lock:
            self._levels[pin] = high
            if pin // 8 in self._reported and self._modes[pin] in (INPUT, PULLUP):
                self._report(pin // 8)

    def bounce(self, pin: int, *levels: bool) -> None:
        """What is wired to an input pin changes so fast that all of it is reported together."""
        with self._lock:
            for high in levels:
                self.set_level(pin, high)

    def value(self, pin: int) -> int:
        """What the pin gives out now."""
        return self._states[pin]

    def wait_for(
        self, pin: int, value: int, after_ns: int = 0, timeout_s: float = PATIENCE_S
    ) -> PinChange | None:
        """The first change of a pin to a value; None where it does not come in time."""

        def found() -> PinChange | None:
            return next(
                (c for c in self.changes if (c.pin, c.value) == (pin, value) and c.t_ns > after_ns), None
            )

        with self._changed:
            return self._changed.wait_for(found, timeout_s)

    def receive(self, data: bytes) -> None:
        with self._lock:
            for byte in data:
                self._take(byte)

    def _take(self, byte: int) -> None:
        begun = self._bytes
        if byte == 0xF7 and begun[:1] == b"\xf0":
            self._bytes = bytearray()
            self._answer_sysex(bytes(begun[1:]))
            return
        if byte & 0x80:
            self._bytes = bytearray([byte])
        elif begun:
            begun.append(byte)
        command = bytes(self._bytes)
        if command == b"\xf9":
            self._bytes = bytearray()
            self._say_version()
        elif command == b"\xff":
            self.restart()
        elif command[:1] != b"\xf0" and len(command) == (
            2 if command[:1] and command[0] & 0xF0 == 0xD0 else 3
        ):
            self._bytes = bytearray()
            self._obey(*command)

    def _obey(self, command: int, first: int, second: int = 0) -> None:
        if command == 0xF4 and first in self._modes:
            self._modes[first] = second
            self._write(first, 0)
        elif command == 0xF5 and self._version >= (2, 5) and self._modes.get(first) == OUTPUT:
            self._write(first, second)
        elif command & 0xF0 == 0xD0:
            (self._reported.add if first else self._reported.discard)(command & 0x0F)
            if first:
                self._report(command & 0x0F)

    def _answer_sysex(self, data: bytes) -> None:
        match data[0]:
            case 0x79:
                self._say_firmware()
            case 0x6B:
                self._sysex(0x6C, b"".join(self._capabilities(pin) + b"\x7f" for pin in range(20)))
            case 0x6D:
                pin, state = data[1], self._states.get(data[1], 0)
                mode = self._modes.get(pin, 0)
                self._sysex(0x6E, bytes([pin, mode, state & 0x7F, *([state >> 7] if state > 0x7F else [])]))
            case 0x6F if self._modes.get(data[1]) == PWM:
                self._write(data[1], sum(bits << 7 * i for i, bits in enumerate(data[2:])))

    def _write(self, pin: int, value: int) -> None:
        with self._changed:
            if self._states[pin] != value:
                self._states[pin] = value
                self.changes.append(PinChange(self.clock.now_ns(), pin, value))
                self._changed.notify_all()

    def _report(self, port: int) -> None:
        value = 0
        for pin in range(port * 8, port * 8 + 8):
            if self._modes.get(pin) in (INPUT, PULLUP) and self._levels[pin]:
                value |= 1 << pin % 8
        self.send(bytes([0x90 | port, value & 0x7F, value >> 7]))

    def _say_version(self) -> None:
        self.send(bytes([0xF9, *self._version]))

    def _say_firmware(self) -> None:
        self._sysex(0x79, bytes(self._version) + _wide(NAME))

    def _sysex(self, command: int, data: bytes) -> None:
        self.send(bytes([0xF0, command]) + data + b"\xf7")

    @staticmethod
    def _capabilities(pin: int) -> bytes:
        if pin < 2:
            return b""
        modes = bytes([INPUT, 1, PULLUP, 1, OUTPUT, 1])
        modes += bytes([ANALOG, 10]) if pin >= 14 else b""
        return modes + (bytes([PWM, 8]) if pin in PWM_PINS else b"")


def _wide(text: str) -> bytes:
    return b"".join(bytes([ord(c) & 0x7F, ord(c) >> 7]) for c in text)
