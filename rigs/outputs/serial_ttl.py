"""The TTL box on a serial port: `rigs/firmware/` on an Arduino, a Teensy, or the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rigs.device_clock import DeviceClock, hold_between
from rigs.firmware import protocol
from rigs.firmware.link import BoxFault, BoxLink
from rigs.firmware.monitor import BoxMonitor
from rigs.option_checks import check_delay, check_watchdog
from rigs.serial_link import NO_ANSWER_NS, heartbeat_ms
from rigs.serial_ports import check_serial_port, find_boards
from rigs.shared_port import SharedPort, shared_port
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError
from rt_pose.types import Ack, Command, OutputInfo

OPEN_TIMEOUT_S = 4.0
"""A board that is reset by opening its port takes up to 2 s to begin."""
HELLO_EVERY_S = 0.25
CLOCK_SAMPLES = 8
SAFE_TIMEOUT_S = 0.1
BEGUN_AGAIN = "the box has begun again: its lines went low, and it has no watchdog until it is opened anew"
FULL = 65535
"""The amplitude 1 on the wire."""


@dataclass
class SerialTtlOptions:
    """Which box, and how it is watched. Give `serial` or `port`."""

    serial: str = ""
    """USB serial number of the board (`rt-pose devices` lists them): it stays the same in any socket."""
    port: str = ""
    """Path of the port, for a board without a serial number, or the simulator."""
    baud: int = 500_000
    """As in the sketch; boards with USB of their own ignore it."""
    delay_ms: float = 0.5
    """From the command to the effect: 14 bytes of 10 bits over the line, and the box's turn."""
    watchdog_ms: int = 70
    """The box drops all lines where it hears nothing for so long."""
    answer_ms: int = 40
    """How long an answer is waited for; less than the watchdog."""


@output_driver("serial_ttl")
class SerialTtl:
    """A box with some lines that go high and low, or to a PWM value between."""

    Options: ClassVar[type] = SerialTtlOptions

    def __init__(self, name: str, options: SerialTtlOptions, context: DriverContext) -> None:
        _check(name, options)
        self._name, self._options, self._context = name, options, context
        self._clock = context.clock
        self._port: SharedPort[BoxLink] | None = None
        self._link: BoxLink | None = None
        self._alive_since_ns = 0
        self._unreadable_warned = False
        self._drop_link()

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`. Lists serial ports on USB; only `open` finds out whether a box answers there."""
        return find_boards("serial_ttl")

    def open(self) -> OutputInfo:
        """See `Output.open`. Finds the box, makes its lines low and sets its watchdog."""
        self.close()
        self._drop_link()
        where = f"outputs.{self._name}"
        port = shared_port(self._options, self._context, where, BoxLink)
        self._link = port.attach("output", where, self._monitor.take)
        self._port = port
        try:
            welcome = self._shake_hands(self._link)
            self._set_clock(self._link)
        except BaseException:
            self.close()
            raise
        return OutputInfo(
            name=self._name,
            driver="serial_ttl",
            serial=self._options.serial or self._options.port,
            delay_ms=self._options.delay_ms,
            echoes=True,
            detail=f"{welcome.lines} lines, watchdog {self._options.watchdog_ms} ms, at {port.path}",
            heartbeat_ms=heartbeat_ms(self._options.watchdog_ms),
            lines=welcome.lines,
            actions=["pulse", "train", "level", "analog", "stop"],
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`.

        Raises
        ------
        BoxFault
            Where the port is gone, or where the box was reset.

        Notes
        -----
        A command that is not answered in time has failed as far as is known; the box itself counts as failed
        only once it has been silent for half a second.
        """
        link = self._link
        if link is None:
            return self._not_sent(command, "the output is not open")
        message = to_message(command, link.next_seq())
        if message is None:
            return self._not_sent(command, f"a TTL box takes no {command.action}")
        asked_ns = self._clock.now_ns()
        exchange = link.exchange(message, self._options.answer_ms / 1000)
        ack = Ack(command.id, self._name, exchange.t_sent_ns, None, None, ok=False)
        answer = exchange.answer
        if not isinstance(answer, protocol.Ack):
            self._monitor.gave_up(message.seq, exchange.t_sent_ns)
            ack.detail = f"no answer within {self._options.answer_ms} ms; whether it acted is not known"
            return ack
        if self._was_reset(answer, asked_ns, exchange.t_answer_ns):
            raise BoxFault(BEGUN_AGAIN)
        ack.ok, ack.t_ack_ns = answer.result == 0, exchange.t_answer_ns
        ack.t_device_us = self._device.unwrap(answer.t_us)
        if ack.ok:
            t_ns = self._device.host_ns(ack.t_device_us)
            ack.t_effect_ns = hold_between(t_ns, ack.t_sent_ns, ack.t_ack_ns)
        ack.detail = "" if ack.ok else protocol.ANSWERS.get(answer.result, f"refused ({answer.result})")
        return ack

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`.

        Raises
        ------
        BoxFault
            Where the port is gone, where the box has been silent for half a second, or where it was reset.
        """
        link = self._link
        if link is None:
            return []
        if link.fault:
            raise BoxFault(link.fault)
        if self._monitor.begun_again:
            raise BoxFault(BEGUN_AGAIN)
        now = self._clock.now_ns()
        if alive:
            self._alive_since_ns = self._alive_since_ns or now
            if now - max(link.t_received_ns, self._alive_since_ns) > NO_ANSWER_NS:
                raise BoxFault(f"no message came from the box for {NO_ANSWER_NS // NS_PER_MS} ms")
            heartbeat = protocol.Heartbeat(link.next_seq())
            self._monitor.asked(heartbeat.seq, now)
            link.write(heartbeat)
        elif self._alive_since_ns:
            self._alive_since_ns = 0
            self._monitor.notice(
                "the loop does not turn: no heartbeat any more, so that the box drops its lines"
            )
        if link.unreadable and not self._unreadable_warned:
            self._unreadable_warned = True
            self._monitor.notice("what the box sends cannot be read; is `baud` right, the cable shielded?")
        return self._monitor.notices()

    def safe_state(self) -> None:
        """See `Output.safe_state`. All lines are low and the box has confirmed it.

        Raises
        ------
        BoxFault
            Where the box does not confirm within `SAFE_TIMEOUT_S`, or where the port is gone.
        """
        link = self._link
        if link is None:
            return
        if link.exchange(protocol.Safe(link.next_seq()), SAFE_TIMEOUT_S).answer is None:
            raise BoxFault(
                f"the box did not confirm its safe state within {SAFE_TIMEOUT_S * 1000:g} ms; without us it "
                f"drops its lines after {self._options.watchdog_ms} ms"
            )

    def close(self) -> None:
        """See `Output.close`. Makes the lines low where the box still listens, and releases the port."""
        link, self._link = self._link, None
        port, self._port = self._port, None
        if link is not None and port is not None:
            port.detach("output", protocol.Safe(link.next_seq()))

    def _drop_link(self) -> None:
        self._device = DeviceClock()
        self._monitor = BoxMonitor(self._device, self._options.watchdog_ms)
        self._alive_since_ns = 0
        self._unreadable_warned = False

    def _shake_hands(self, link: BoxLink) -> protocol.Welcome:
        assert self._port is not None
        options, where = self._options, f"outputs.{self._name}: TTL box at {self._port.path}"
        end_ns = self._clock.now_ns() + round(OPEN_TIMEOUT_S * NS_PER_S)
        while self._clock.now_ns() < end_ns:
            hello = protocol.Hello(link.next_seq(), protocol.VERSION, options.watchdog_ms)
            try:
                answer = link.exchange(hello, HELLO_EVERY_S).answer
            except BoxFault as fault:
                raise UserError(f"{where}: {fault}") from fault
            if isinstance(answer, protocol.Welcome):
                _check_firmware(answer, where)
                return answer
        noise = f" ({link.unreadable} messages could not be read)" if link.unreadable else ""
        raise UserError(
            f"{where}: no answer within {OPEN_TIMEOUT_S:g} s{noise}; is rigs/firmware/ttl_box.ino flashed, "
            f"and `baud` ({options.baud}) the same as there?"
        )

    def _set_clock(self, link: BoxLink) -> None:
        for _ in range(CLOCK_SAMPLES):
            asked_ns = self._clock.now_ns()
            exchange = link.exchange(protocol.Heartbeat(link.next_seq()), self._options.answer_ms / 1000)
            if isinstance(exchange.answer, protocol.Status):
                self._device.sample(exchange.answer.t_us, asked_ns, exchange.t_answer_ns)

    def _was_reset(self, answer: protocol.Ack, asked_ns: int, answered_ns: int) -> bool:
        if answer.result == protocol.NO_WATCHDOG:
            return True
        return self._device.begun_again(answer.t_us, asked_ns, answered_ns)

    def _not_sent(self, command: Command, detail: str) -> Ack:
        return Ack(command.id, self._name, None, None, None, ok=False, detail=detail)


def to_message(command: Command, seq: int) -> protocol.Message | None:
    """Translate a command into a message of the box's protocol.

    Parameters
    ----------
    command
        The command; its amplitude is clipped to 0..1 and scaled to 0..65535.
    seq
        Number of the message.

    Returns
    -------
    protocol.Message or None
        None for an action that the box does not know.
    """
    line, amplitude = command.line, round(min(max(command.amplitude, 0.0), 1.0) * FULL)
    duration = command.duration_us
    match command.action:
        case "pulse":
            return protocol.Pulse(seq, line, amplitude, duration)
        case "train":
            return protocol.Train(seq, line, amplitude, duration, command.period_us, command.count)
        case "level":
            return protocol.Level(seq, line, amplitude, duration)
        case "analog":
            return protocol.Analog(seq, line, amplitude, command.ramp_up_us, duration, command.ramp_down_us)
        case "stop":
            return protocol.Stop(seq, line)
    return None


def _check_firmware(welcome: protocol.Welcome, where: str) -> None:
    name = welcome.name.rstrip(b"\0").decode("ascii", "replace")
    if name != protocol.NAME:
        raise UserError(f"{where}: expected the firmware '{protocol.NAME}', got '{name}'")
    if welcome.version != protocol.VERSION:
        raise UserError(
            f"{where}: its firmware implements version {welcome.version} of the protocol, this program "
            f"version {protocol.VERSION}; flash rigs/firmware/ of this program onto it"
        )


def _check(name: str, options: SerialTtlOptions) -> None:
    where = f"outputs.{name}.options"
    check_serial_port(options, where)
    check_delay(where, options.delay_ms)
    check_watchdog(where, options.watchdog_ms, options.answer_ms)
