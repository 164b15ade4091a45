"""An output of Open Sound Control messages: to Max, SuperCollider, Bonsai, Open Ephys' OSC Events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rigs.command_messages import ASKED_TO_END, NOT_OPEN, pass_on, refuse
from rigs.hang_guard import HEARTBEAT_MS, HangGuard
from rigs.option_checks import check_delay, check_osc_address, check_port
from rigs.timed_lines import TimedLines, Undelivered, Written
from rigs.udp_peer import UdpPeer
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError
from rt_pose.extras import missing, remedy, require
from rt_pose.types import Ack, Command, OutputInfo

Argument = int | float | str
ADDRESSES = {"commands": "/rt-pose", "open_ephys": "/ttl"}
US_PER_MS = 1000.0
MOST_LINES = 256


@dataclass
class OscOptions:
    """Where messages go, and what they say."""

    host: str = "127.0.0.1"
    """Name or address of the machine."""
    port: int = 9000
    """UDP port that the program has there."""
    preset: Literal["commands", "open_ephys"] = "commands"
    """commands: one message a command, which the other program carries out. open_ephys: a message for each
    time that a line goes on or off, as the plugin OSC Events takes it."""
    address: str = ""
    """OSC address: `/rt-pose` of commands and `/ttl` of open_ephys where it is not given."""
    lines: int = 8
    """Lines of open_ephys: our 0 is line 1 there."""
    delay_ms: float = 1.0
    """From the message to the effect."""


@output_driver("osc")
class OscOutput:
    """OSC over UDP. Nobody answers; that nobody has the port is noticed on the same machine."""

    Options: ClassVar[type] = OscOptions

    def __init__(self, name: str, options: OscOptions, context: DriverContext) -> None:
        where = f"outputs.{name}.options"
        check_delay(where, options.delay_ms)
        check_port(where, options.port)
        self._address = options.address or ADDRESSES[options.preset]
        check_osc_address(f"{where}.address", self._address)
        if not 1 <= options.lines <= MOST_LINES:
            raise UserError(f"{where}.lines: expected 1 to {MOST_LINES}, got {options.lines}")
        self._name, self._where, self._options, self._clock = name, where, options, context.clock
        self._lines = (
            TimedLines(name, options.lines, context.clock, self._write, self._all_off)
            if options.preset == "open_ephys"
            else None
        )
        self._peer: UdpPeer | None = None
        self._guard = HangGuard(self.safe_state, ASKED_TO_END)

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`."""
        return [
            FoundDevice(
                driver="osc",
                serial="",
                description="Open Sound Control messages to a program that has a UDP port",
                usable=not missing("osc"),
                remedy=remedy("osc"),
            )
        ]

    def open(self) -> OutputInfo:
        """See `Output.open`.

        Raises
        ------
        UserError
            Where python-osc is missing, the host cannot be found, or it is known that nobody has the port.
        """
        require("osc", f"outputs.{self._name}: the driver osc")
        self.close()
        self._peer = UdpPeer(self._where, self._options.host, self._options.port)
        try:
            if self._lines is not None:
                self._lines.open()
            else:
                self.safe_state()
        except Undelivered as error:
            self.close()
            raise UserError(f"outputs.{self._name}: {error}; start the other program first") from error
        return OutputInfo(
            name=self._name,
            driver="osc",
            serial=self._peer.address,
            delay_ms=self._options.delay_ms,
            echoes=False,
            detail=f"{self._address} to {self._peer.address}",
            heartbeat_ms=HEARTBEAT_MS,
            lines=self._options.lines if self._lines is not None else None,
            actions=self._lines.actions if self._lines is not None else [],
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`."""
        if self._lines is not None:
            return self._lines.send(command)
        peer = self._peer
        if peer is None:
            return refuse(command, self._name, NOT_OPEN)
        message = encode_osc(f"{self._address}/{command.action}", arguments(command))
        return pass_on(command, self._name, self._clock, lambda: peer.send(message))

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. The other program learns only that the loop hangs."""
        return (self._guard if self._lines is None else self._lines).heartbeat(alive)

    def safe_state(self) -> None:
        """See `Output.safe_state`. Sends `ADDRESS/safe`, or 0 for each line of open_ephys.

        Raises
        ------
        Undelivered
            Where it is known that nobody takes it.
        """
        peer = self._peer
        if self._lines is not None:
            self._lines.all_off()
        elif peer is not None:
            peer.send(encode_osc(f"{self._address}/safe", []))

    def close(self) -> None:
        """See `Output.close`."""
        if self._lines is not None:
            self._lines.close()
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()

    def _write(self, line: int, level: float) -> Written:
        assert self._peer is not None
        self._peer.send(encode_osc(self._address, [line + 1, int(level > 0.0)]))
        return Written(self._clock.now_ns())

    def _all_off(self) -> None:
        problem: Undelivered | None = None
        for line in range(self._options.lines):
            try:
                self._write(line, 0.0)
            except Undelivered as error:
                problem = error
        if problem is not None:
            raise problem


def arguments(command: Command) -> list[Argument]:
    """List the arguments of a command's message. Times are in ms.

    Parameters
    ----------
    command
        The command.

    Returns
    -------
    list[Argument]
        Line first, amplitude last; of a message its text.
    """
    line, amplitude = int(command.line), float(command.amplitude)
    duration_ms = command.duration_us / US_PER_MS
    match command.action:
        case "pulse" | "level":
            return [line, duration_ms, amplitude]
        case "train":
            return [line, duration_ms, command.period_us / US_PER_MS, int(command.count), amplitude]
        case "aim":
            assert command.x is not None
            assert command.y is not None
            return [line, float(command.x), float(command.y), duration_ms, amplitude]
        case "analog":
            ramps = (command.ramp_up_us / US_PER_MS, command.ramp_down_us / US_PER_MS)
            return [line, ramps[0], duration_ms, ramps[1], amplitude]
        case "message":
            return [command.message]
        case _:
            return [line]


def encode_osc(address: str, values: Sequence[Argument]) -> bytes:
    """Encode a message.

    Parameters
    ----------
    address
        OSC address.
    values
        Numbers of Python (numpy's are refused) and texts; whole numbers go out as int32, others as float32.

    Returns
    -------
    bytes
        The datagram.
    """
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return bytes(builder.build().dgram)
