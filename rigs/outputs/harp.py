"""Digital outputs of a Harp Behavior board.

Every line that goes high is a pulse of the board's own clock: of the command's length, so that this
computer can only end it earlier; or, where it is to stay high, of `watchdog_ms`, begun anew with each
heartbeat. So the board drops its lines by itself where this computer falls silent.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from rigs.device_clock import DeviceClock, hold_between
from rigs.harp import (
    BEHAVIOR,
    OUTPUTS,
    HarpLink,
    HarpMessage,
    Kind,
    Register,
    read_register,
    write_register,
)
from rigs.option_checks import check_delay, check_watchdog
from rigs.serial_link import Answer, DeviceFault, check_answers, heartbeat_ms
from rigs.serial_ports import check_serial_port, find_boards
from rigs.shared_port import SharedPort, shared_port
from rigs.timed_lines import ON_OFF, TimedLines, Undelivered, Written
from rt_pose.clock import NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError, nearest
from rt_pose.types import Ack, Command, OutputInfo

FTDI = {0x0403}
"""USB vendor of the board's serial chip."""
OPEN_TIMEOUT_NS = 4 * NS_PER_S
ASK_EVERY_S = 0.25
CLOCK_SAMPLES = 8
LATEST_ANSWER_NS = NS_PER_S
"""No answer is older when it comes: the output would have failed before."""
LONGEST_PULSE_MS = 65_535
US_MASK = 0xFFFFFFFF
BEGUN_AGAIN = "the board has begun again: its outputs went low"


@dataclass
class HarpOptions:
    """Which board and which outputs. Give `serial` or `port`."""

    serial: str = ""
    """USB serial number of the board (`rt-pose devices` lists them): it stays the same in any socket."""
    port: str = ""
    """Path of the port, for a board without a serial number."""
    baud: int = 1_000_000
    """That of the board."""
    outputs: list[str] = field(default_factory=lambda: ["DO0"])
    """The board's names of lines 0, 1, ...: DOPort0 to DOPort2, SupplyPort0 to SupplyPort2, Led0, Led1, Rgb0,
    Rgb1, DO0 to DO3."""
    delay_ms: float = 1.0
    """From the command to the effect: mostly the USB chip's turn."""
    watchdog_ms: int = 200
    """The board drops a line that is to stay high where it hears nothing for so long."""
    answer_ms: int = 100
    """How long an answer is waited for; less than the watchdog."""


@output_driver("harp")
class HarpOutput:
    """Outputs of a Behavior board that are high or low."""

    Options: ClassVar[type] = HarpOptions

    def __init__(self, name: str, options: HarpOptions, context: DriverContext) -> None:
        _check(options, f"outputs.{name}.options")
        self._name, self._options, self._context = name, options, context
        self._where, self._clock = f"outputs.{name}", context.clock
        self._bits = [OUTPUTS.index(output) for output in options.outputs]
        self._mask = sum(1 << bit for bit in self._bits)
        self._timed = write_register(Register.PULSE_ENABLE, self._mask)
        """Makes all that is set a pulse; goes before each, since a board that was reset has forgotten it."""
        self._port: SharedPort[HarpLink] | None = None
        self._link: HarpLink | None = None
        self._lines = TimedLines(name, len(self._bits), context.clock, self._write, self._off, ON_OFF)
        self._hold_lock = threading.Lock()
        """No heartbeat may raise a line again that another thread has just made low, or be sent while a
        command waits for its answer."""
        self._unanswered_ns = 0
        """When the first heartbeat went out that has no answer yet; 0 where there is none."""
        self._reset()

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`. Lists boards with the same USB chip; only `open` finds out what they are."""
        return find_boards("harp", FTDI, " (if it is a Harp Behavior board; not run on a device yet)")

    def open(self) -> OutputInfo:
        """See `Output.open`. Finds the board and makes its outputs low.

        Raises
        ------
        UserError
            Where no Behavior board answers.
        """
        self.close()
        self._reset()
        port = shared_port(self._options, self._context, self._where, HarpLink)
        self._link = port.attach("output", self._where, self._take)
        self._port = port
        try:
            version = self._identify(self._link, f"{self._where}: board at {port.path}")
            self._confirm(self._timed, Register.PULSE_ENABLE)
            self._lines.open()
        except (DeviceFault, Undelivered) as error:
            self.close()
            raise UserError(f"{self._where}: board at {port.path}: {error}") from error
        except BaseException:
            self.close()
            raise
        return OutputInfo(
            name=self._name,
            driver="harp",
            serial=self._options.serial or self._options.port,
            delay_ms=self._options.delay_ms,
            echoes=True,
            detail=f"Behavior, firmware {version}, {', '.join(self._options.outputs)}, watchdog "
            f"{self._options.watchdog_ms} ms, at {port.path}; not run on a device yet",
            heartbeat_ms=heartbeat_ms(self._options.watchdog_ms),
            lines=len(self._bits),
            actions=self._lines.actions,
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`.

        Raises
        ------
        DeviceFault
            Where the port is gone.
        """
        self._limits_ms[command.line] = _pulse_ms(command)
        ack = self._lines.send(command)
        if ack.ok and self._t_us is not None:
            ack.t_device_us = self._t_us
            t_ns = self._device.host_ns(self._device.unwrap(self._t_us & US_MASK))
            ack.t_effect_ns = hold_between(t_ns, ack.t_sent_ns, ack.t_ack_ns)
        return ack

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. While the loop turns, lines that are to stay high are held.

        Raises
        ------
        DeviceFault
            Where the port is gone, where the board has been silent for half a second, or where it was reset.
        """
        link = self._link
        if link is None:
            return []
        if self._begun_again and not link.fault:
            raise DeviceFault(BEGUN_AGAIN)
        self._unanswered_ns = check_answers(link.fault, self._unanswered_ns, self._clock.now_ns())
        with self._hold_lock:
            held = sum(1 << bit for bit in self._held) if alive else 0
            if held:
                self._beats.append(None)
                link.write(self._timed + _set_bits(held))
        if not held:
            link.write(read_register(Register.SECONDS))
        return self._lines.heartbeat(alive)

    def safe_state(self) -> None:
        """See `Output.safe_state`. All outputs are low and the board has confirmed it.

        Raises
        ------
        Undelivered
            Where the board does not confirm.
        DeviceFault
            Where the port is gone.
        """
        self._lines.all_off()

    def close(self) -> None:
        """See `Output.close`. Makes the outputs low where the board still listens, and releases the port."""
        self._lines.close()
        port, self._port, self._link = self._port, None, None
        if port is not None:
            port.detach("output")

    def _reset(self) -> None:
        self._device = DeviceClock()
        self._limits_ms: dict[int, int | None] = {}
        """By line: the length of the board's pulse under the present command; None: held by heartbeats."""
        self._held: set[int] = set()
        """Bits of the outputs that heartbeats keep high."""
        self._beats: deque[None] = deque()
        """An entry for each heartbeat that has set outputs and is not answered yet."""
        self._late = False
        """Whether the last answer did not come in time: it may still come."""
        self._begun_again = False
        """Whether the board was reset since it was opened."""
        self._t_us: int | None = None
        """The board's time of the last write."""
        self._unanswered_ns = 0

    def _identify(self, link: HarpLink, where: str) -> str:
        end_ns = self._clock.now_ns() + OPEN_TIMEOUT_NS
        who: HarpMessage | None = None
        while who is None and self._clock.now_ns() < end_ns:
            who = self._ask(link, Register.WHO_AM_I, ASK_EVERY_S).message
        if who is None:
            raise UserError(
                f"{where}: no answer within {OPEN_TIMEOUT_NS // NS_PER_S} s; is it a Harp device, and `baud` "
                f"({self._options.baud}) its own?"
            )
        if who.value != BEHAVIOR:
            raise UserError(f"{where}: expected a Behavior board ({BEHAVIOR}), got Harp device {who.value}")
        for _ in range(CLOCK_SAMPLES):
            answer = self._ask(link, Register.SECONDS, ASK_EVERY_S)
            if answer.message is not None and answer.message.t_us is not None:
                self._device.sample(answer.message.t_us & US_MASK, answer.t_sent_ns, answer.t_ns)
        numbers = (
            self._ask(link, register, ASK_EVERY_S).message
            for register in (Register.FIRMWARE_HIGH, Register.FIRMWARE_LOW)
        )
        return ".".join("?" if number is None else str(number.value) for number in numbers)

    def _ask(self, link: HarpLink, register: Register, timeout_s: float) -> Answer[HarpMessage]:
        return link.ask(read_register(register), _is_reply(Kind.READ, register), timeout_s)

    def _write(self, line: int, level: float) -> Written:
        """Set a line, with the length of the board's pulse before it."""
        bit = self._bits[line]
        with self._hold_lock:
            self._held.discard(bit)
        if level == 0.0:
            return self._confirm(write_register(Register.OUTPUT_CLEAR, 1 << bit), Register.OUTPUT_CLEAR)
        if level != 1.0:
            raise Undelivered("an output of this board is high or low: leave `amplitude` out")
        limit_ms = self._limits_ms.get(line)
        length = write_register(Register.FIRST_PULSE + bit, limit_ms or self._options.watchdog_ms)
        written = self._confirm(self._timed + length + _set_bits(1 << bit), Register.OUTPUT_SET)
        if limit_ms is None:
            self._held.add(bit)
        return written

    def _off(self) -> None:
        with self._hold_lock:
            self._held.clear()
        self._confirm(write_register(Register.OUTPUT_CLEAR, self._mask), Register.OUTPUT_CLEAR)

    def _confirm(self, message: bytes, register: Register) -> Written:
        """Write, and wait for the answer; no heartbeat goes out meanwhile, whose answer is the same."""
        if self._link is None:
            raise Undelivered("the output is not open")
        with self._hold_lock:
            if self._late:
                self._catch_up(self._link, message if register == Register.OUTPUT_CLEAR else b"")
            timeout_ms = self._options.answer_ms
            answer = self._link.ask(message, self._is_answer(register), timeout_ms / 1000)
            self._late = answer.message is None
        reply = answer.message
        if reply is None:
            raise Undelivered(
                f"no answer within {timeout_ms} ms; whether it acted is not known", answer.t_sent_ns
            )
        if reply.error:
            raise Undelivered(f"the board refused to write its register {int(register)}", answer.t_sent_ns)
        self._unanswered_ns = 0
        self._t_us = reply.t_us
        if reply.t_us is not None:
            t_us = reply.t_us & US_MASK
            asked_ns = answer.t_sent_ns - LATEST_ANSWER_NS
            self._begun_again = self._begun_again or self._device.begun_again(t_us, asked_ns, answer.t_ns)
            if not self._begun_again:
                self._device.sample(t_us, answer.t_sent_ns, answer.t_ns)
        if self._begun_again and register == Register.OUTPUT_SET:
            raise DeviceFault(BEGUN_AGAIN)
        return Written(answer.t_sent_ns, answer.t_ns)

    def _is_answer(self, register: Register) -> Callable[[HarpMessage], bool]:
        """Whether a message answers what is written now: the board answers the heartbeats before it first."""
        is_reply = _is_reply(Kind.WRITE, register)
        return lambda message: is_reply(message) and not (register == Register.OUTPUT_SET and self._beats)

    def _catch_up(self, link: HarpLink, first: bytes) -> None:
        """Wait until all that was sent before is answered, as it is in turn; what makes low goes first."""
        timeout_ms = self._options.answer_ms
        question, is_reply = read_register(Register.WHO_AM_I), _is_reply(Kind.READ, Register.WHO_AM_I)
        if link.ask(first + question, is_reply, timeout_ms / 1000).message is None:
            raise Undelivered(f"no answer within {timeout_ms} ms to what was sent before")
        self._beats.clear()

    def _take(self, message: HarpMessage, now_ns: int) -> None:
        if message.kind == Kind.EVENT:  # events come by themselves
            return
        self._unanswered_ns = 0
        if self._beats and _is_reply(Kind.WRITE, Register.OUTPUT_SET)(message):
            self._beats.popleft()
        if message.t_us is not None and self._device.begun_again(
            message.t_us & US_MASK, now_ns - LATEST_ANSWER_NS, now_ns
        ):
            self._begun_again = True


def _set_bits(bits: int) -> bytes:
    """Encode the order that makes outputs high, for the length of their pulses."""
    return write_register(Register.OUTPUT_SET, bits)


def _pulse_ms(command: Command) -> int | None:
    """The length of the board's pulse, whole ms and not shorter than asked; None where it is to be held."""
    ms = -(-command.duration_us // 1000)
    return ms if 0 < ms <= LONGEST_PULSE_MS else None


def _is_reply(kind: Kind, register: int) -> Callable[[HarpMessage], bool]:
    return lambda message: (message.kind, message.address) == (kind, register)


def _check(options: HarpOptions, where: str) -> None:
    check_serial_port(options, where)
    check_delay(where, options.delay_ms)
    for name in options.outputs:
        if name not in OUTPUTS:
            raise UserError(f"{where}.outputs: the board has no output '{name}'{nearest(name, OUTPUTS)}")
    if not options.outputs or len(set(options.outputs)) < len(options.outputs):
        raise UserError(f"{where}.outputs: expected different outputs, at least one, got {options.outputs}")
    check_watchdog(where, options.watchdog_ms, options.answer_ms)
