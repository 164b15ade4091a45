"""Lines of a National Instruments card: digital, and analog outputs as voltages, timed by this computer.

The NI-DAQmx driver is not part of the Python package: it is installed from NI. A card knows no watchdog in
the modes used here: where this computer dies, a line stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from rigs.hang_guard import HEARTBEAT_MS
from rigs.option_checks import check_delay
from rigs.serial_link import DeviceFault
from rigs.timed_lines import ANALOG, ON_OFF, TimedLines, Undelivered, Written
from rt_pose import extras
from rt_pose.clock import NS_PER_MS
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError, check_range, nearest
from rt_pose.types import Ack, Action, Command, OutputInfo

DRIVER_REMEDY = (
    "the NI-DAQmx driver is not installed: add NI's package source (ni.com/downloads, NI Linux Device "
    "Drivers), then `sudo apt install ni-daqmx` and start the computer again"
)
NOT_TRIED = "not run on a device yet"
NO_WATCHDOG = "no watchdog on the card: where this computer dies, a line stays as it is"
WRITE_TIMEOUT_S = 0.1
MOST_VOLTS = 10.0
MOST_SETTLE_MS = 100.0


@dataclass
class NidaqOptions:
    """Which card and which of its lines. Give `serial` or `device`."""

    serial: str = ""
    """Serial number of the card, as `rt-pose devices` lists it: it stays the same in any slot."""
    device: str = ""
    """Name of the card in NI's configuration, such as Dev1."""
    digital: list[str] = field(default_factory=lambda: ["port0/line0"])
    """Digital lines: lines 0, 1, ... of the output."""
    analog: list[str] = field(default_factory=list)
    """Analog outputs, such as ao0, ao1: the lines after the digital ones."""
    volts: float = 5.0
    """Voltage of an analog output at amplitude 1; at 0 it is 0 V."""
    mirrors: list[str] = field(default_factory=list)
    """Two analog outputs that turn a light, x and y: an `aim` makes its line low, goes there in volts, and
    pulses the line `settle_ms` later."""
    mirror_volts: float = 10.0
    """The mirrors take voltages of at most so much, of both signs; what lies beyond is refused."""
    settle_ms: float = 1.0
    """How long the mirrors take to stand still after the widest step; their light is off so long."""
    delay_ms: float = 0.5
    """From the command to the effect: a write of one sample. With mirrors it counts as `settle_ms` at
    least, which this computer waits before the pulse of an `aim`."""


@output_driver("nidaq")
class NidaqOutput:
    """Digital lines that are high or low, and analog outputs between 0 V and `volts`."""

    Options: ClassVar[type] = NidaqOptions

    def __init__(self, name: str, options: NidaqOptions, context: DriverContext) -> None:
        _check(options, f"outputs.{name}.options")
        self._name, self._options, self._clock = name, options, context.clock
        self._tasks: list[Any] = []
        """One for each line: writing one must not touch another."""
        self._mirrors: Any = None
        """The task of both mirrors, which move together."""
        self._made_safe = 0
        """How often the safe state was asked for: an aim that waits for the mirrors goes dark by it."""
        actions = ANALOG if options.analog else ON_OFF
        count = len(options.digital) + len(options.analog)
        self._lines = TimedLines(name, count, context.clock, self._write, self._off, actions)

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`."""
        if extras.missing("nidaq"):
            return [FoundDevice("nidaq", "", "NI cards", False, f"`{extras.remedy('nidaq')}`")]
        from nidaqmx.errors import DaqNotFoundError, DaqNotSupportedError
        from nidaqmx.system import System

        try:
            cards = [(card.name, card.serial_num, card.product_type) for card in System.local().devices]
        except (DaqNotFoundError, DaqNotSupportedError):
            return [FoundDevice("nidaq", "", "NI cards", False, DRIVER_REMEDY)]
        return [
            FoundDevice("nidaq", format_serial(number), f"{product}, {name} ({NOT_TRIED})")
            for name, number, product in cards
        ]

    def open(self) -> OutputInfo:
        """See `Output.open`. Makes all lines low.

        Raises
        ------
        UserError
            Where the package, NI's driver or the card is not there, or it has no such line.
        """
        where = f"outputs.{self._name}"
        extras.require("nidaq", f"{where}: driver nidaq")
        from nidaqmx.errors import DaqError, DaqNotFoundError, DaqNotSupportedError

        self.close()
        try:
            card = self._find_card(where)
            self._open_tasks(card.name)
            self._lines.open()
        except (DaqNotFoundError, DaqNotSupportedError) as error:
            self.close()
            raise UserError(f"{where}: {DRIVER_REMEDY} ({error})") from error
        except (DaqError, DeviceFault) as error:
            self.close()
            raise UserError(f"{where}: {error}; are the names of the lines those of this card?") from error
        except BaseException:
            self.close()
            raise
        options = self._options
        names = [*options.digital, *options.analog]
        settle_ms = options.settle_ms if options.mirrors else 0.0
        mirrors = f"; mirrors stand still after {settle_ms:g} ms" if options.mirrors else ""
        aims: list[Action] = ["aim"] if options.mirrors else []
        return OutputInfo(
            name=self._name,
            driver="nidaq",
            serial=format_serial(card.serial_num),
            delay_ms=max(options.delay_ms, settle_ms),
            echoes=False,
            detail=f"{card.product_type}, {card.name}: {', '.join(names)}{mirrors}; {NO_WATCHDOG}; "
            f"{NOT_TRIED}",
            heartbeat_ms=HEARTBEAT_MS,
            lines=len(names),
            actions=[*self._lines.actions, *aims],
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`.

        Raises
        ------
        DeviceFault
            Where the card fails.
        """
        if command.action == "aim" and self._mirrors is not None:
            return self._aim(command)
        return self._lines.send(command)

    def _aim(self, command: Command) -> Ack:
        """Darken the line, turn the mirrors, and light it once they stand still."""
        most, place = self._options.mirror_volts, (command.x, command.y)
        if any(volts is None or not abs(volts) <= most for volts in place):
            detail = f"the mirrors take -{most:g} to {most:g} V; got x {command.x}, y {command.y}"
            return Ack(command.id, self._name, None, None, None, ok=False, detail=detail)
        made_safe = self._made_safe
        dark = self._lines.send(msgspec.structs.replace(command, action="stop"))
        if not dark.ok:
            return dark
        self._put(self._mirrors, list(place))
        self._clock.sleep_until_ns(self._clock.now_ns() + round(self._options.settle_ms * NS_PER_MS))
        if self._made_safe != made_safe:
            detail = "made safe before the light was on"
            return Ack(command.id, self._name, None, None, None, ok=False, detail=detail)
        return self._lines.send(msgspec.structs.replace(command, action="pulse"))

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. Where the loop hangs, the lines go off here, not by the card."""
        return self._lines.heartbeat(alive)

    def safe_state(self) -> None:
        """See `Output.safe_state`.

        Raises
        ------
        DeviceFault
            Where the card fails.
        """
        self._made_safe += 1
        self._lines.all_off()

    def close(self) -> None:
        """See `Output.close`."""
        self._lines.close()
        tasks, self._tasks = self._tasks, []
        mirrors, self._mirrors = self._mirrors, None
        for task in [*tasks, *([] if mirrors is None else [mirrors])]:
            task.close()

    def _find_card(self, where: str) -> Any:
        from nidaqmx.system import System

        wanted = self._options.serial.upper() or self._options.device
        cards = list(System.local().devices)
        by_name = {format_serial(c.serial_num) if self._options.serial else c.name: c for c in cards}
        if wanted not in by_name:
            there = ", ".join(f"{c.name} ({format_serial(c.serial_num)})" for c in cards) or "none"
            raise UserError(f"{where}: no card '{wanted}'{nearest(wanted, by_name)}; there are: {there}")
        return by_name[wanted]

    def _open_tasks(self, card: str) -> None:
        import nidaqmx

        for line in self._options.digital:
            self._tasks.append(nidaqmx.Task())
            self._tasks[-1].do_channels.add_do_chan(f"{card}/{line}")
        for channel in self._options.analog:
            self._tasks.append(nidaqmx.Task())
            self._tasks[-1].ao_channels.add_ao_voltage_chan(
                f"{card}/{channel}", min_val=0.0, max_val=self._options.volts
            )
        if self._options.mirrors:
            self._mirrors = nidaqmx.Task()
            most = self._options.mirror_volts
            for channel in self._options.mirrors:
                self._mirrors.ao_channels.add_ao_voltage_chan(
                    f"{card}/{channel}", min_val=-most, max_val=most
                )
            self._mirrors.start()
        for task in self._tasks:
            task.start()

    def _write(self, line: int, level: float) -> Written:
        if not self._tasks:
            raise Undelivered("the output is not open")
        is_digital = line < len(self._options.digital)
        if is_digital and level not in (0.0, 1.0):
            raise Undelivered("a digital line is high or low: leave `amplitude` out, or use one of `analog`")
        self._put(self._tasks[line], bool(level) if is_digital else level * self._options.volts)
        return Written(self._clock.now_ns())

    def _off(self) -> None:
        fault: DeviceFault | None = None
        for number, task in enumerate(self._tasks):  # one line that fails must not keep the others high
            try:
                self._put(task, False if number < len(self._options.digital) else 0.0)
            except DeviceFault as error:
                fault = error
        if fault is not None:
            raise fault

    def _put(self, task: Any, value: bool | float | list[float | None]) -> None:
        from nidaqmx.errors import DaqError

        try:
            task.write(value, auto_start=False, timeout=WRITE_TIMEOUT_S)
        except DaqError as error:
            raise DeviceFault(f"the card cannot be written to: {error}") from error


def format_serial(number: int) -> str:
    """Format a serial number as NI prints it on its cards.

    Parameters
    ----------
    number
        The number.

    Returns
    -------
    str
        Eight hexadecimal digits.
    """
    return f"{number:08X}"


def _check(options: NidaqOptions, where: str) -> None:
    if bool(options.serial) == bool(options.device):
        raise UserError(f"{where}: expected one of `serial` and `device`; `rt-pose devices` lists the cards")
    check_delay(where, options.delay_ms)
    names = [*options.digital, *options.analog]
    if not names or len(set(names)) < len(names):
        raise UserError(
            f"{where}: expected different lines in `digital` and `analog`, at least one, got {names}"
        )
    if len(options.mirrors) not in (0, 2) or set(options.mirrors) & set(names):
        raise UserError(
            f"{where}: expected two analog outputs in `mirrors`, x and y, that are no lines besides, got "
            f"{options.mirrors}"
        )
    check_range(where, "settle_ms", options.settle_ms, 0.0, MOST_SETTLE_MS)
    for name, volts in (("mirror_volts", options.mirror_volts), ("volts", options.volts)):
        if not 0.0 < volts <= MOST_VOLTS:
            raise UserError(f"{where}: {name} must be above 0 and at most {MOST_VOLTS:g}, got {volts:g}")
