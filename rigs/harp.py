"""The Harp binary protocol (8 bit), as the Behavior board speaks it: messages to bytes and back.

A message is

    type, length, address, port, payload type, [seconds (u32), 32 us (u16)], payload, sum of all bytes before

in little-endian bytes; `length` counts what follows it. Each command is answered with the same type and
address, and the device's time. (https://harp-tech.org/protocol/BinaryProtocol-8bit.html, and device.yml of
https://github.com/harp-tech/device.behavior)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from rigs.serial_link import SerialLink
from rt_pose.clock import Clock

ERROR = 0x08
"""Bit of a reply's type."""
TIMESTAMPED = 0x10
"""Bit of the payload type."""
THIS_DEVICE = 0xFF
"""The port, where the device is no hub."""
SHORTEST, EXTENDED = 4, 255
"""The least length, and the one that says that two bytes of length follow; no such message comes here."""
TICK_US = 32
BEHAVIOR = 1216
"""`WHO_AM_I` of the Behavior board."""


class Kind(IntEnum):
    """Types of messages."""

    READ = 1
    WRITE = 2
    EVENT = 3


class Register(IntEnum):
    """Registers of the core and of the Behavior board that are used here."""

    WHO_AM_I = 0
    FIRMWARE_HIGH = 6
    FIRMWARE_LOW = 7
    SECONDS = 8
    OUTPUT_SET = 34
    OUTPUT_CLEAR = 35
    PULSE_ENABLE = 45
    FIRST_PULSE = 46
    """Length of a pulse of the output of bit 0, ms; those of the others follow in the order of their bits."""


FORMATS = {1: "<B", 2: "<H", 4: "<I"}
SIZES: dict[int, int] = {
    Register.WHO_AM_I: 2,
    Register.FIRMWARE_HIGH: 1,
    Register.FIRMWARE_LOW: 1,
    Register.SECONDS: 4,
}
"""Bytes of what is read; registers of outputs have two."""
OUTPUTS = (
    *("DOPort0", "DOPort1", "DOPort2", "SupplyPort0", "SupplyPort1", "SupplyPort2"),
    *("Led0", "Led1", "Rgb0", "Rgb1", "DO0", "DO1", "DO2", "DO3"),
)
"""Digital outputs of the Behavior board, in the order of their bits."""


@dataclass(frozen=True, slots=True)
class HarpMessage:
    """A reply or an event."""

    kind: int
    address: int
    value: int
    """Its payload's first number; 0 where it has none that is an unsigned integer."""
    t_us: int | None
    """The device's time, us; None where it has none."""
    error: bool = False


def read_register(register: int) -> bytes:
    """Encode the question for a register.

    Parameters
    ----------
    register
        Its address.

    Returns
    -------
    bytes
        The message.
    """
    return _frame(bytes([Kind.READ, SHORTEST, register, THIS_DEVICE, SIZES.get(register, 2)]))


def write_register(register: int, value: int) -> bytes:
    """Encode a number of 16 bits for a register.

    Parameters
    ----------
    register
        Its address.
    value
        0 to 65535.

    Returns
    -------
    bytes
        The message.
    """
    payload = struct.pack("<H", value)
    return _frame(bytes([Kind.WRITE, SHORTEST + len(payload), register, THIS_DEVICE, 2]) + payload)


def _frame(message: bytes) -> bytes:
    return message + bytes([sum(message) & 0xFF])


class HarpParser:
    """Turns bytes from a device into messages. What belongs to none is passed over and counted in `bad`."""

    def __init__(self) -> None:
        self.bad = 0
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[HarpMessage]:
        """Take in bytes and return the messages that they complete.

        Parameters
        ----------
        data
            The next bytes of the line; may begin and end within a message.

        Returns
        -------
        list of HarpMessage
            In the order of their arrival.
        """
        self._pending += data
        found = []
        while len(self._pending) >= 2:
            size = self._size()
            if size > len(self._pending):
                break
            message = bytes(self._pending[:size])
            if size and sum(message[:-1]) & 0xFF == message[-1]:
                del self._pending[:size]
                found.append(_read(message))
            else:  # there is no mark where a message begins: try from the next byte on
                del self._pending[0]
                self.bad += 1
        return found

    def _size(self) -> int:
        """Bytes of the message that may begin here; 0 where none can."""
        kind, length = self._pending[0] & ~ERROR, self._pending[1]
        if kind not in (Kind.READ, Kind.WRITE, Kind.EVENT) or not SHORTEST <= length < EXTENDED:
            return 0
        return length + 2


def _read(message: bytes) -> HarpMessage:
    payload_type, payload, t_us = message[4], message[5:-1], None
    if payload_type & TIMESTAMPED and len(payload) >= 6:
        seconds, ticks = struct.unpack_from("<IH", payload)
        t_us, payload = seconds * 1_000_000 + ticks * TICK_US, payload[6:]
    form = FORMATS.get(payload_type & ~TIMESTAMPED, "")
    value = struct.unpack_from(form, payload)[0] if form and len(payload) >= struct.calcsize(form) else 0
    return HarpMessage(message[0] & ~ERROR, message[2], value, t_us, bool(message[0] & ERROR))


class HarpLink(SerialLink[HarpMessage]):
    """One open port with a Harp device on it."""

    def __init__(self, serial: Any, clock: Clock, name: str, unasked: Any) -> None:
        """See `SerialLink`."""
        super().__init__(serial, clock, name, unasked, HarpParser())
