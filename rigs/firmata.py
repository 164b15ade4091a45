"""The Firmata protocol, version 2.5, as StandardFirmata speaks it: messages to bytes and back.

Bytes below 0x80 are data, the others begin a message; a message of any length stands between 0xf0 and 0xf7.
There are no checksums and no numbers: an answer is known by what it is about.
(https://github.com/firmata/protocol)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from rigs.serial_link import SerialLink
from rt_pose.clock import NS_PER_S, Clock
from rt_pose.errors import UserError

SYSEX, END = 0xF0, 0xF7
DIGITAL, REPORT_DIGITAL, ANALOG = 0x90, 0xD0, 0xE0
PIN_MODE, PIN_VALUE, VERSION, RESET = 0xF4, 0xF5, 0xF9, 0xFF
CAPABILITY_QUERY, CAPABILITIES = 0x6B, 0x6C
PIN_STATE_QUERY, PIN_STATE = 0x6D, 0x6E
EXTENDED_ANALOG, STRING, FIRMWARE = 0x6F, 0x71, 0x79
LONGEST = 4096
"""Data bytes of a message; noise without an end must not pile up."""
PINS_A_PORT = 8
NEEDED = (2, 5)
"""The protocol's first version that can set one pin, `PIN_VALUE`."""


class PinMode(IntEnum):
    """Modes of a pin that are used here."""

    INPUT = 0
    OUTPUT = 1
    PWM = 3
    PULLUP = 11


@dataclass(frozen=True, slots=True)
class Version:
    """The version of the protocol that the board speaks."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Firmware:
    """The board's sketch."""

    major: int
    minor: int
    name: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What each pin can be: resolutions in bits by mode."""

    pins: tuple[dict[int, int], ...]


@dataclass(frozen=True, slots=True)
class PinState:
    """What was last written to a pin."""

    pin: int
    mode: int
    state: int


@dataclass(frozen=True, slots=True)
class PortValue:
    """The levels of the eight pins of a port, a bit each; those that are no inputs are 0."""

    port: int
    value: int


@dataclass(frozen=True, slots=True)
class Text:
    """What the board says, usually an error."""

    text: str


FirmataMessage = Version | Firmware | Capabilities | PinState | PortValue | Text


def set_mode(pin: int, mode: PinMode) -> bytes:
    """Encode the mode of a pin."""
    return bytes([PIN_MODE, pin, mode])


def set_pin(pin: int, high: bool) -> bytes:
    """Encode the level of an output pin."""
    return bytes([PIN_VALUE, pin, high])


def set_pwm(pin: int, value: int) -> bytes:
    """Encode the value of a PWM pin, at most 14 bits."""
    return bytes([SYSEX, EXTENDED_ANALOG, pin, value & 0x7F, value >> 7 & 0x7F, END])


def report_port(port: int) -> bytes:
    """Encode the request to report a port now and with each change of its inputs."""
    return bytes([REPORT_DIGITAL | port, 1])


def query_pin(pin: int) -> bytes:
    """Encode the question for what was last written to a pin."""
    return bytes([SYSEX, PIN_STATE_QUERY, pin, END])


QUERY_VERSION = bytes([VERSION])
QUERY_FIRMWARE = bytes([SYSEX, FIRMWARE, END])
QUERY_CAPABILITIES = bytes([SYSEX, CAPABILITY_QUERY, END])


class FirmataParser:
    """Turns bytes from a board into messages. What belongs to none is passed over and counted in `bad`."""

    def __init__(self) -> None:
        self.bad = 0
        self._message = bytearray()

    def feed(self, data: bytes) -> list[FirmataMessage]:
        """Take in bytes and return the messages that they complete.

        Parameters
        ----------
        data
            The next bytes of the line; may begin and end within a message.

        Returns
        -------
        list of FirmataMessage
            In the order of their arrival.
        """
        found = []
        for byte in data:
            message = self._take(byte)
            if message is not None:
                found.append(message)
        return found

    def _take(self, byte: int) -> FirmataMessage | None:
        begun = self._message
        if byte == END and begun[:1] == bytes([SYSEX]):
            self._message = bytearray()
            return self._read(bytes(begun[1:]))
        if byte & 0x80:
            self.bad += len(begun)
            self._message = bytearray([byte])
            return None
        if not begun or len(begun) > LONGEST:
            self.bad += 1
            self._message = bytearray()
            return None
        begun.append(byte)
        if begun[0] == SYSEX or len(begun) < 3:
            return None
        self._message = bytearray()
        return self._read_short(*begun)

    def _read_short(self, command: int, low: int, high: int) -> FirmataMessage | None:
        if command == VERSION:
            return Version(low, high)
        if command & 0xF0 == DIGITAL:
            return PortValue(command & 0x0F, low | high << 7)
        if command & 0xF0 != ANALOG:
            self.bad += 3
        return None

    def _read(self, data: bytes) -> FirmataMessage | None:
        match data[:1]:
            case b"\x79" if len(data) >= 3:
                return Firmware(data[1], data[2], _text(data[3:]))
            case b"\x6c":
                return Capabilities(_capabilities(data[1:]))
            case b"\x6e" if len(data) >= 4:
                state = sum(bits << 7 * i for i, bits in enumerate(data[3:]))
                return PinState(data[1], data[2], state)
            case b"\x71":
                return Text(_text(data[1:]))
        self.bad += len(data)
        return None


def _text(data: bytes) -> str:
    pairs = zip(data[::2], data[1::2], strict=False)
    return bytes((low | high << 7) & 0xFF for low, high in pairs).decode("latin-1")


def _capabilities(data: bytes) -> tuple[dict[int, int], ...]:
    pins = []
    for text in data.split(b"\x7f")[:-1]:
        pins.append(dict(zip(text[::2], text[1::2], strict=False)))
    return tuple(pins)


class FirmataLink(SerialLink[FirmataMessage]):
    """One open port with a Firmata board on it."""

    def __init__(self, serial: Any, clock: Clock, name: str, unasked: Any) -> None:
        """See `SerialLink`."""
        super().__init__(serial, clock, name, unasked, FirmataParser())


OPEN_TIMEOUT_NS = 5 * NS_PER_S
"""A board that is reset by opening its port takes up to 2 s to begin."""
ASK_EVERY_S = 0.25
CAPABILITIES_S = 1.0


def identify(link: FirmataLink, clock: Clock, where: str) -> tuple[Firmware, Capabilities]:
    """Find out which firmware a board has, and what its pins can be.

    Parameters
    ----------
    link
        The open port.
    clock
        Host clock.
    where
        The output or input with its port, for messages.

    Returns
    -------
    tuple[Firmware, Capabilities]
        What the board says.

    Raises
    ------
    UserError
        Where it does not answer, or its firmware is too old.
    DeviceFault
        Where the port is gone.
    """
    end_ns = clock.now_ns() + OPEN_TIMEOUT_NS
    while clock.now_ns() < end_ns:
        version = link.ask(QUERY_VERSION, lambda m: isinstance(m, Version), ASK_EVERY_S).message
        if isinstance(version, Version):
            break
    else:
        raise UserError(
            f"{where}: no answer within {OPEN_TIMEOUT_NS // NS_PER_S} s; is StandardFirmata on it (Arduino "
            "IDE: File, Examples, Firmata), and `baud` the same as there (57600)?"
        )
    if (version.major, version.minor) < NEEDED:
        raise UserError(
            f"{where}: its firmware speaks Firmata {version.major}.{version.minor}; 2.5 is needed: upload "
            "StandardFirmata of the present Firmata library"
        )
    firmware = link.ask(QUERY_FIRMWARE, lambda m: isinstance(m, Firmware), CAPABILITIES_S).message
    pins = link.ask(QUERY_CAPABILITIES, lambda m: isinstance(m, Capabilities), CAPABILITIES_S).message
    if not isinstance(firmware, Firmware) or not isinstance(pins, Capabilities):
        raise UserError(f"{where}: the board does not say what its pins can be; is it StandardFirmata?")
    return firmware, pins


def check_pin(capabilities: Capabilities, pin: int, mode: PinMode, where: str) -> None:
    """Check that a board's pin can be used in a mode.

    Parameters
    ----------
    capabilities
        What the board says.
    pin
        Number of the pin.
    mode
        The mode.
    where
        Place in the configuration, for messages.

    Raises
    ------
    UserError
        Where it cannot, with the pins that can.
    """
    able = [number for number, modes in enumerate(capabilities.pins) if mode in modes]
    if pin not in able:
        there = ", ".join(map(str, able)) or "none"
        raise UserError(f"{where}: pin {pin} of this board cannot be {mode.name}; those that can: {there}")
