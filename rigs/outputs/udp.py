"""An output of datagrams: whoever has the port gets each command, as JSON or as a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rigs.command_messages import ASKED_TO_END, NOT_OPEN, encode_command, encode_safe, pass_on, refuse
from rigs.hang_guard import HEARTBEAT_MS, HangGuard
from rigs.option_checks import check_delay, check_port, check_template, fill_template
from rigs.timed_lines import Undelivered
from rigs.udp_peer import UdpPeer
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError
from rt_pose.types import Ack, Command, OutputInfo


@dataclass
class UdpOptions:
    """Where datagrams go, and what they hold."""

    host: str = "127.0.0.1"
    """Name or address of the machine."""
    port: int = 5797
    """Port that the program has there."""
    text: str = ""
    """Text of a datagram, with fields of the command in braces: `{action} {line}`. JSON where it is empty."""
    safe: str = ""
    """Text that makes the other program end everything; in JSON `{"action": "safe"}` does."""
    delay_ms: float = 1.0
    """From the datagram to the effect."""


@output_driver("udp")
class UdpOutput:
    """One datagram a command; the other program carries it out."""

    Options: ClassVar[type] = UdpOptions

    def __init__(self, name: str, options: UdpOptions, context: DriverContext) -> None:
        where = f"outputs.{name}.options"
        check_delay(where, options.delay_ms)
        check_port(where, options.port)
        if options.text:
            check_template(f"{where}.text", options.text)
        elif options.safe:
            raise UserError(
                f'{where}.safe: JSON datagrams have {{"action": "safe"}}; give `text`, or leave it out'
            )
        self._name, self._where, self._options, self._clock = name, where, options, context.clock
        self._peer: UdpPeer | None = None
        self._guard = HangGuard(self.safe_state, ASKED_TO_END)
        self._can_end = bool(options.safe) or not options.text

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`."""
        return [FoundDevice("udp", "", "datagrams to a program that has a UDP port")]

    def open(self) -> OutputInfo:
        """See `Output.open`.

        Raises
        ------
        UserError
            Where the host cannot be found, or where it is known that nobody has the port.
        """
        self.close()
        self._peer = UdpPeer(self._where, self._options.host, self._options.port)
        try:
            self.safe_state()
        except Undelivered as error:
            self.close()
            raise UserError(f"outputs.{self._name}: {error}; start the other program first") from error
        return OutputInfo(
            name=self._name,
            driver="udp",
            serial=self._peer.address,
            delay_ms=self._options.delay_ms,
            echoes=False,
            detail=f"{'text' if self._options.text else 'JSON'} to {self._peer.address}",
            heartbeat_ms=HEARTBEAT_MS,
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`."""
        peer = self._peer
        if peer is None:
            return refuse(command, self._name, NOT_OPEN)
        text = self._options.text
        datagram = fill_template(text, command).encode() if text else encode_command(command, "json")
        return pass_on(command, self._name, self._clock, lambda: peer.send(datagram))

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. The other program learns only that the loop hangs."""
        return self._guard.heartbeat(alive) if self._can_end else []

    def safe_state(self) -> None:
        """See `Output.safe_state`. Sends what ends everything; nothing where no text does.

        Raises
        ------
        Undelivered
            Where nobody takes it.
        """
        peer, safe = self._peer, self._options.safe
        if peer is None or not self._can_end:
            return
        peer.send(safe.encode() if safe else encode_safe(self._name, "json"))

    def close(self) -> None:
        """See `Output.close`."""
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()
