"""The messages of the TTL box.

Generated from protocol.yaml by `python -m rigs.firmware.generate`. Do not edit.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass
from typing import ClassVar

NAME = "rt-pose-ttl"
VERSION = 1
MAX_LINES = 8
FLAG_WATCHDOG = 1
FLAG_INTERLOCK = 2
ANSWERS = {0: "ok", 1: "interlock open", 2: "no such line", 3: "bad value"}


@dataclass(slots=True)
class Message:
    """What all messages share."""

    CODE: ClassVar[int]
    LAYOUT: ClassVar[struct.Struct]
    seq: int

    def pack(self) -> bytes:
        """The message without its crc."""
        return self.LAYOUT.pack(self.CODE, *astuple(self))


@dataclass(slots=True)
class Hello(Message):
    """Who are you? Sets the watchdog and makes all lines low."""

    CODE: ClassVar[int] = 0x01
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHBH")
    version: int
    watchdog_ms: int


@dataclass(slots=True)
class Heartbeat(Message):
    """All is well with the host; answered by status."""

    CODE: ClassVar[int] = 0x02
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BH")


@dataclass(slots=True)
class Safe(Message):
    """All lines low, at once."""

    CODE: ClassVar[int] = 0x03
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BH")


@dataclass(slots=True)
class Pulse(Message):
    """On for duration_us."""

    CODE: ClassVar[int] = 0x10
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHBHI")
    line: int
    amplitude: int
    duration_us: int


@dataclass(slots=True)
class Train(Message):
    """count pulses of duration_us, one each period_us."""

    CODE: ClassVar[int] = 0x11
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHBHIIH")
    line: int
    amplitude: int
    duration_us: int
    period_us: int
    count: int


@dataclass(slots=True)
class Level(Message):
    """On until told otherwise, or for at_most_us where that is not 0; amplitude 0 is off."""

    CODE: ClassVar[int] = 0x12
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHBHI")
    line: int
    amplitude: int
    at_most_us: int


@dataclass(slots=True)
class Analog(Message):
    """From the present value to amplitude, stay, and down to 0."""

    CODE: ClassVar[int] = 0x13
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHBHIII")
    line: int
    amplitude: int
    ramp_up_us: int
    duration_us: int
    ramp_down_us: int


@dataclass(slots=True)
class Stop(Message):
    """End what a line is doing."""

    CODE: ClassVar[int] = 0x14
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHB")
    line: int


@dataclass(slots=True)
class Welcome(Message):
    """Answers hello; also where the versions differ."""

    CODE: ClassVar[int] = 0x81
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHBBI12s")
    version: int
    lines: int
    t_us: int
    name: bytes


@dataclass(slots=True)
class Ack(Message):
    """Answers safe and every command, with the box's time at which it took effect."""

    CODE: ClassVar[int] = 0x82
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHBI")
    result: int
    t_us: int


@dataclass(slots=True)
class Status(Message):
    """Answers heartbeat. dropped: lines cut short since the last status, a bit each."""

    CODE: ClassVar[int] = 0x83
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BHIBBHH")
    t_us: int
    flags: int
    dropped: int
    trips: int
    bad_frames: int


_ALL: tuple[type[Message], ...] = (
    Hello,
    Heartbeat,
    Safe,
    Pulse,
    Train,
    Level,
    Analog,
    Stop,
    Welcome,
    Ack,
    Status,
)
MESSAGES = {kind.CODE: kind for kind in _ALL}


def unpack(message: bytes) -> Message | None:
    """The message without its crc; None where it is none of this version."""
    kind = MESSAGES.get(message[0]) if message else None
    if kind is None or len(message) != kind.LAYOUT.size:
        return None
    return kind(*kind.LAYOUT.unpack(message)[1:])
