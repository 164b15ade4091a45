"""Lines of any Arduino with StandardFirmata: pins that go on and off, timed by this computer.

After each write the board is asked what it last wrote to the pin: that is the echo. Firmata knows no
watchdog: where this computer dies or the cable is pulled, a line stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from rigs.firmata import (
    FirmataLink,
    FirmataMessage,
    Firmware,
    PinMode,
    PinState,
    Text,
    check_pin,
    identify,
    query_pin,
    set_mode,
    set_pin,
    set_pwm,
)
from rigs.hang_guard import HEARTBEAT_MS
from rigs.option_checks import check_delay
from rigs.serial_link import DeviceFault, check_answers
from rigs.serial_ports import check_serial_port, find_boards
from rigs.shared_port import SharedPort, shared_port
from rigs.timed_lines import ANALOG, ON_OFF, TimedLines, Undelivered, Written
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError, check_range
from rt_pose.types import Ack, Command, OutputInfo

LAST_PIN = 127
MOST_NOTICES = 16
NO_WATCHDOG = "no watchdog on the board: where this computer dies, a line stays as it is"


@dataclass
class FirmataOptions:
    """Which board and which pins. Give `serial` or `port`."""

    serial: str = ""
    """USB serial number of the board (`rt-pose devices` lists them): it stays the same in any socket."""
    port: str = ""
    """Path of the port, for a board without a serial number."""
    baud: int = 57_600
    """That of StandardFirmata; boards with USB of their own ignore it."""
    pins: list[int] = field(default_factory=lambda: [13])
    """Pins of lines 0, 1, ...; 13 is the LED on most boards."""
    pwm: list[int] = field(default_factory=list)
    """Those of `pins` that take an amplitude between 0 and 1."""
    delay_ms: float = 2.0
    """From the command to the effect: some bytes at `baud`, and the board's turn."""
    answer_ms: int = 100
    """How long the echo is waited for."""


@output_driver("firmata")
class FirmataOutput:
    """Pins of a board with StandardFirmata."""

    Options: ClassVar[type] = FirmataOptions

    def __init__(self, name: str, options: FirmataOptions, context: DriverContext) -> None:
        _check(options, f"outputs.{name}.options")
        self._name, self._options, self._context = name, options, context
        self._where, self._clock = f"outputs.{name}", context.clock
        self._port: SharedPort[FirmataLink] | None = None
        self._link: FirmataLink | None = None
        self._full: dict[int, int] = {}
        """The largest value of each PWM pin."""
        self._notices: list[str] = []
        self._ready = self._begun_again = False
        self._unanswered_ns = 0
        """When the first heartbeat went out that has no answer yet; 0 where there is none."""
        self._lines = TimedLines(
            name,
            len(options.pins),
            context.clock,
            self._write,
            self._off,
            ANALOG if options.pwm else ON_OFF,
        )

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`. Lists serial ports on USB; only `open` finds out whether Firmata runs there."""
        return find_boards("firmata", note=" (if StandardFirmata is on it)")

    def open(self) -> OutputInfo:
        """See `Output.open`. Finds the board and makes its pins low.

        Raises
        ------
        UserError
            Where no Firmata board answers, or a pin cannot be what it should.
        """
        self.close()
        port = shared_port(self._options, self._context, self._where, FirmataLink)
        self._link = port.attach("output", self._where, self._take)
        self._port, self._unanswered_ns, self._notices = port, 0, []
        self._ready = self._begun_again = False
        try:
            firmware = self._set_up(self._link, f"{self._where}: board at {port.path}")
            self._lines.open()
            self._ready = True
        except (DeviceFault, Undelivered) as error:
            self.close()
            raise UserError(f"{self._where}: board at {port.path}: {error}") from error
        except BaseException:
            self.close()
            raise
        return OutputInfo(
            name=self._name,
            driver="firmata",
            serial=self._options.serial or self._options.port,
            delay_ms=self._options.delay_ms,
            echoes=True,
            detail=f"{firmware}, pins {', '.join(map(str, self._options.pins))}, at {port.path}; "
            f"{NO_WATCHDOG}",
            heartbeat_ms=HEARTBEAT_MS,
            lines=len(self._options.pins),
            actions=self._lines.actions,
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`.

        Raises
        ------
        DeviceFault
            Where the port is gone, or the board has begun again.
        """
        return self._lines.send(command)

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. Where the loop hangs, the lines go off here; the board cannot do it.

        Raises
        ------
        DeviceFault
            Where the port is gone, or where the board has been silent for half a second.
        """
        link = self._link
        if link is None:
            return []
        if self._begun_again and not link.fault:
            raise DeviceFault("the board has begun again: its pins went low")
        self._unanswered_ns = check_answers(link.fault, self._unanswered_ns, self._clock.now_ns())
        link.write(query_pin(self._options.pins[0]))
        reported, self._notices = self._notices, []
        return [*self._lines.heartbeat(alive), *reported]

    def safe_state(self) -> None:
        """See `Output.safe_state`. All pins are low and the board has confirmed it.

        Raises
        ------
        Undelivered
            Where the board does not confirm.
        DeviceFault
            Where the port is gone.
        """
        self._lines.all_off()

    def close(self) -> None:
        """See `Output.close`. Makes the pins low where the board still listens, and releases the port."""
        self._lines.close()
        port, self._port, self._link = self._port, None, None
        if port is not None:
            port.detach("output")

    def _set_up(self, link: FirmataLink, where: str) -> str:
        firmware, capabilities = identify(link, self._clock, where)
        for pin in self._options.pins:
            mode = self._mode(pin)
            check_pin(capabilities, pin, mode, where)
            if mode == PinMode.PWM:
                self._full[pin] = (1 << min(14, capabilities.pins[pin][mode])) - 1

            link.write(set_mode(pin, mode))
        return f"{firmware.name or 'Firmata'} {firmware.major}.{firmware.minor}"

    def _mode(self, pin: int) -> PinMode:
        return PinMode.PWM if pin in self._options.pwm else PinMode.OUTPUT

    def _write(self, line: int, level: float) -> Written:
        """Set a line and ask the board for what it wrote."""
        pin = self._options.pins[line]
        if pin not in self._options.pwm and level not in (0.0, 1.0):
            raise Undelivered(f"pin {pin} is on or off; name it in `pwm` for an amplitude between")
        value = round(level * self._full[pin]) if pin in self._options.pwm else int(level)
        return self._confirm(self._message(pin, value), pin, value)

    def _message(self, pin: int, value: int) -> bytes:
        return set_pwm(pin, value) if pin in self._options.pwm else set_pin(pin, bool(value))

    def _off(self) -> None:
        pins = self._options.pins
        for pin in pins[:-1]:
            self._open_link().write(self._message(pin, 0))
        for pin in reversed(pins):  # the last one has been written when all before it have
            self._confirm(self._message(pin, 0), pin, 0)

    def _confirm(self, message: bytes, pin: int, value: int) -> Written:
        timeout_s = self._options.answer_ms / 1000
        answer = self._open_link().ask(message + query_pin(pin), _is_state(pin, value), timeout_s)
        if not isinstance(answer.message, PinState):
            raise Undelivered(
                f"no answer within {self._options.answer_ms} ms; whether it acted is not known",
                answer.t_sent_ns,
            )
        if answer.message.mode != self._mode(pin):
            raise DeviceFault(f"pin {pin} is no output any more: the board has begun again")
        return Written(answer.t_sent_ns, answer.t_ns)

    def _open_link(self) -> FirmataLink:
        if self._link is None:
            raise Undelivered("the output is not open")
        return self._link

    def _take(self, message: FirmataMessage, now_ns: int) -> None:  # noqa: ARG002 - as every `Take`
        if isinstance(message, PinState) and message.pin == self._options.pins[0]:
            self._unanswered_ns = 0
        elif isinstance(message, Firmware):  # said unasked only when it begins
            self._begun_again = self._ready
        elif isinstance(message, Text) and len(self._notices) < MOST_NOTICES:
            self._notices.append(f"the board says: {message.text}")


def _is_state(pin: int, value: int) -> Callable[[FirmataMessage], bool]:
    """Whether a message says that a value was written to a pin, or that the pin is something else by now."""

    def matches(message: FirmataMessage) -> bool:
        if not isinstance(message, PinState) or message.pin != pin:
            return False
        return message.state == value or message.mode not in (PinMode.OUTPUT, PinMode.PWM)

    return matches


def _check(options: FirmataOptions, where: str) -> None:
    check_serial_port(options, where)
    check_delay(where, options.delay_ms)
    if not options.pins or len(set(options.pins)) < len(options.pins):
        raise UserError(f"{where}.pins: expected different pins, at least one, got {options.pins}")
    for pin in options.pins:
        if not 0 <= pin <= LAST_PIN:
            raise UserError(f"{where}.pins: expected 0 to {LAST_PIN}, got {pin}")
    if stray := [pin for pin in options.pwm if pin not in options.pins]:
        raise UserError(f"{where}.pwm: expected pins of `pins` ({options.pins}), got {stray[0]}")
    check_range(where, "answer_ms", options.answer_ms, 1, 1000)
