"""The wire between an rt-pose host and the TTL box: the one description of it.

`python -m rigs.firmware.generate` writes protocol.h, the box's side, from this file; it is checked in, and a
test compares them. A message is

    code (u8), seq (u16), its fields in order, crc (u16)        little-endian, no padding

with CRC-16/CCITT-FALSE over all that comes before the crc, the whole COBS-encoded and ended by a 0 byte. COBS
keeps 0 out of the message, so that whatever was lost or garbled, the next 0 is the beginning of a whole
message; with a length in front, one garbled length would swallow the messages after it, a heartbeat among
them.

Rules for changes: a field that is added, moved or removed raises `VERSION`; host and box refuse each other
where their versions differ. A message may be added without that, since an older box leaves it unanswered, and
the box sends none that it was not asked for; so may a result or a flag, which an older host does not know.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from enum import IntFlag
from typing import Annotated, ClassVar, TypeVar, dataclass_transform, get_args, get_type_hints

NAME = "rt-pose-ttl"
VERSION = 1
MAX_LINES = 8
FROM_BOX = 0x80
"""From this code on a message comes from the box, below it goes to the box."""
ANSWERS = {0: "ok", 1: "interlock open", 2: "no such line", 3: "bad value", 4: "no watchdog"}
"""Values of `Ack.result`."""
NO_WATCHDOG = 4

U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]
Text = Annotated[bytes, "12s"]


class Flag(IntFlag):
    """Bits of `Status.flags`."""

    WATCHDOG = 1
    """No message for watchdog_ms: all lines were dropped; the next message clears it."""
    INTERLOCK = 2
    """The interlock is open: all lines are low, and nothing can be begun."""
    NO_WATCHDOG = 4
    """No hello has set the watchdog since it began: nothing can be begun. An older box does not say so."""


@dataclass(slots=True)
class Message:
    """What all messages share."""

    CODE: ClassVar[int]
    KINDS: ClassVar[dict[str, str]]
    """`struct`'s letter of each field."""
    LAYOUT: ClassVar[struct.Struct]
    seq: U16

    def pack(self) -> bytes:
        """Return the message's bytes without its CRC."""
        return self.LAYOUT.pack(self.CODE, *astuple(self))


MESSAGES: dict[int, type[Message]] = {}
M = TypeVar("M", bound=Message)


@dataclass_transform()
def message(code: int) -> Callable[[type[M]], type[M]]:
    """Return a class decorator that makes a class a message.

    Parameters
    ----------
    code
        First byte of the message; from `FROM_BOX` on it comes from the box.

    Raises
    ------
    ValueError
        Where another message has the same code.
    """

    def register(kind: type[M]) -> type[M]:
        if code in MESSAGES:
            raise ValueError(f"{kind.__name__} and {MESSAGES[code].__name__}: two messages have one code")
        kind = dataclass(slots=True)(kind)
        hints = get_type_hints(kind, include_extras=True)
        kind.CODE = code
        kind.KINDS = {field.name: get_args(hints[field.name])[1] for field in fields(kind)}
        kind.LAYOUT = struct.Struct("<B" + "".join(kind.KINDS.values()))
        MESSAGES[code] = kind
        return kind

    return register


@message(0x01)
class Hello(Message):
    """Who are you? Sets the watchdog and makes all lines low; without a watchdog nothing can be begun."""

    version: U8
    watchdog_ms: U16


@message(0x02)
class Heartbeat(Message):
    """All is well with the host; answered by status."""


@message(0x03)
class Safe(Message):
    """All lines low, at once."""


@message(0x10)
class Pulse(Message):
    """On for duration_us."""

    line: U8
    amplitude: U16
    duration_us: U32


@message(0x11)
class Train(Message):
    """count pulses of duration_us, one each period_us."""

    line: U8
    amplitude: U16
    duration_us: U32
    period_us: U32
    count: U16


@message(0x12)
class Level(Message):
    """On until told otherwise, or for at_most_us where that is not 0; amplitude 0 is off."""

    line: U8
    amplitude: U16
    at_most_us: U32


@message(0x13)
class Analog(Message):
    """From the present value to amplitude, stay, and down to 0."""

    line: U8
    amplitude: U16
    ramp_up_us: U32
    duration_us: U32
    ramp_down_us: U32


@message(0x14)
class Stop(Message):
    """End what a line is doing."""

    line: U8


@message(0x20)
class Input(Message):
    """Report the edges of an input line from now on, debounced; answered by input_state."""

    line: U8
    debounce_us: U32


@message(0x81)
class Welcome(Message):
    """Answers hello; also where the versions differ."""

    version: U8
    lines: U8
    t_us: U32
    name: Text


@message(0x82)
class Ack(Message):
    """Answers safe and every command, with the box's time at which it took effect."""

    result: U8
    t_us: U32


@message(0x83)
class Status(Message):
    """Answers heartbeat. dropped: lines cut short since the last status, a bit each."""

    t_us: U32
    flags: U8
    dropped: U8
    trips: U16
    bad_frames: U16


@message(0x84)
class InputState(Message):
    """Answers input. lines: how many; begun: 1 where it reports edges only now; count: edges so far."""

    result: U8
    line: U8
    lines: U8
    level: U8
    begun: U8
    count: U16
    t_us: U32


@message(0x85)
class InputEdge(Message):
    """An input line changed at t_us; seq is 0. count: the number of the edge: a gap shows lost ones."""

    line: U8
    level: U8
    count: U16
    t_us: U32


def unpack(data: bytes) -> Message | None:
    """Read a message.

    Parameters
    ----------
    data
        Bytes of the message without its CRC.

    Returns
    -------
    Message or None
        None where it is no message of this version.
    """
    kind = MESSAGES.get(data[0]) if data else None
    if kind is None or len(data) != kind.LAYOUT.size:
        return None
    return kind(*kind.LAYOUT.unpack(data)[1:])
