"""A digital pin of any Arduino with StandardFirmata, as an input.

Firmata neither stamps nor numbers its reports: an edge has the time at which its report arrived, and one that
was over before the board came round to it is not known. For better times use the TTL box.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import ClassVar

from rigs.firmata import (
    PINS_A_PORT,
    FirmataLink,
    FirmataMessage,
    PinMode,
    PortValue,
    check_pin,
    identify,
    report_port,
    set_mode,
)
from rigs.input_thread import InputThread
from rigs.serial_link import DeviceFault
from rigs.serial_ports import check_serial_port, find_boards
from rigs.shared_port import SharedPort, shared_port
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, input_driver
from rt_pose.errors import UserError, check_range
from rt_pose.types import Edge, InputInfo

FIRST_REPORT_S = 1.0
ASK_EVERY_NS = 250 * NS_PER_MS
"""How often the port is asked for its levels besides its own reports, so that a lost one is mended."""
NO_ANSWER_NS = NS_PER_S
RETRY_NS = NS_PER_S
LAST_PIN = 127


@dataclass
class FirmataInputOptions:
    """Which pin of which board. Give `serial` or `port`, as for an output on the same board."""

    serial: str = ""
    """USB serial number of the board (`rt-pose devices` lists them)."""
    port: str = ""
    """Path of the port, for a board without a serial number."""
    baud: int = 57_600
    """That of StandardFirmata; boards with USB of their own ignore it."""
    pin: int = 7
    """Number of the pin."""
    pullup: bool = False
    """Whether the board's own pull-up is on, for a switch to ground (with `invert: true`)."""
    invert: bool = False
    """Whether a low level means on."""
    debounce_ms: float = 5.0
    """Changes that follow an edge so closely are not edges; where the level differs at their end, it is one
    then. An edge itself is never delayed."""


@input_driver("firmata")
class FirmataInput(InputThread):
    """One pin of a board with StandardFirmata."""

    Options: ClassVar[type] = FirmataInputOptions

    def __init__(self, name: str, options: FirmataInputOptions, context: DriverContext) -> None:
        _check(options, f"inputs.{name}.options")
        super().__init__(name)
        self._options, self._context = options, context
        self._where, self._clock = f"inputs.{name}", context.clock
        self._place = f"pin {options.pin}"
        self._board_port, self._bit = divmod(options.pin, PINS_A_PORT)
        self._shared: SharedPort[FirmataLink] | None = None
        self._link: FirmataLink | None = None
        self._levels: SimpleQueue[tuple[bool, int] | None] = SimpleQueue()
        self.notices: deque[str] = deque()
        """See `ReportingInput.notices`."""
        self.lost = 0
        """See `ReportingInput.lost`. Firmata cannot know: always 0."""
        self._on, self._edge_ns, self._trouble, self._answered_ns = False, 0, False, 0

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Input.find`. Lists serial ports on USB; only `open` finds out whether Firmata runs there."""
        return find_boards("firmata", note=" (if StandardFirmata is on it)")

    def open(self) -> InputInfo:
        """See `Input.open`.

        Raises
        ------
        UserError
            Where no Firmata board answers, or the pin cannot be an input.
        """
        self.close()
        shared = shared_port(self._options, self._context, self._where, FirmataLink)
        link = shared.attach(self._place, self._where, self._take)
        self._shared, self._trouble = shared, False
        try:
            level = self._set_up(link, f"{self._where}: board at {shared.path}")
        except DeviceFault as fault:
            self.close()
            raise UserError(f"{self._where}: board at {shared.path}: {fault}") from fault
        except BaseException:
            self.close()
            raise
        self._link, self._on = link, level
        return InputInfo(
            self._name,
            "firmata",
            self._options.serial or self._options.port,
            f"pin {self._options.pin} at {shared.path}; edges have the time of their arrival",
            level,
        )

    def start(self, deliver: Callable[[Edge], None]) -> None:
        """See `Input.start`."""
        self._levels = SimpleQueue()
        self._edge_ns, self._next_ns = 0, self._clock.now_ns()
        self._answered_ns = self._next_ns
        super().start(deliver)

    def stop(self) -> None:
        """See `Input.stop`."""
        self._end.set()
        self._levels.put(None)
        super().stop()

    def close(self) -> None:
        """See `Input.close`. The port stays open for the others that use it."""
        self.stop()
        shared, self._shared, self._link = self._shared, None, None
        if shared is not None:
            shared.detach(self._place)

    def _take(self, message: FirmataMessage, now_ns: int) -> None:
        if isinstance(message, PortValue) and message.port == self._board_port:
            self._answered_ns = now_ns
            self._levels.put((self._is_on(message), now_ns))

    def _is_on(self, report: PortValue) -> bool:
        return bool(report.value >> self._bit & 1) != self._options.invert

    def _set_up(self, link: FirmataLink, where: str) -> bool:
        """Make the pin an input and return whether it is on."""
        mode = PinMode.PULLUP if self._options.pullup else PinMode.INPUT
        _, capabilities = identify(link, self._clock, where)
        check_pin(capabilities, self._options.pin, mode, where)
        link.write(set_mode(self._options.pin, mode))
        report = link.ask(report_port(self._board_port), self._is_of_port, FIRST_REPORT_S).message
        if not isinstance(report, PortValue):
            raise UserError(f"{where}: the board does not report its pins; is it StandardFirmata?")
        return self._is_on(report)

    def _is_of_port(self, message: FirmataMessage) -> bool:
        return isinstance(message, PortValue) and message.port == self._board_port

    # ------------------------------------------------------------ the thread

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        debounce_ns = round(self._options.debounce_ms * NS_PER_MS)
        level = self._on
        while not self._end.is_set():
            now_ns = self._clock.now_ns()
            if now_ns >= self._next_ns:
                self._ask()
                continue
            settled_ns = self._edge_ns + debounce_ns
            wait_ns = self._next_ns - now_ns
            if level != self._on:  # it changed within the debounce time
                wait_ns = min(wait_ns, max(0, settled_ns - now_ns))
            try:
                item = self._levels.get(timeout=wait_ns / NS_PER_S)
            except Empty:
                item = (level, self._clock.now_ns())
            if item is None:
                continue
            level, t_ns = item
            if level != self._on and t_ns >= settled_ns:
                self._on, self._edge_ns = level, t_ns
                deliver(Edge(self._name, level, t_ns))

    def _ask(self) -> None:
        """Ask for the port's levels, over a port that is opened again where it was lost."""
        assert self._shared is not None
        now_ns = self._clock.now_ns()
        self._next_ns = now_ns + ASK_EVERY_NS
        try:
            link = self._shared.link(self._where)
            if link is not self._link:
                self._levels.put((self._set_up(link, self._where), self._clock.now_ns()))
                self._link = link
            link.write(report_port(self._board_port))
        except (DeviceFault, UserError) as error:
            self._next_ns = self._clock.now_ns() + RETRY_NS
            self._report(str(error))
            return
        if now_ns - self._answered_ns > NO_ANSWER_NS:
            self._report(f"the board has not answered for {NO_ANSWER_NS / NS_PER_S:g} s")
        elif self._trouble:
            self._trouble = False
            self.notices.append("the board answers again")

    def _report(self, trouble: str) -> None:
        if not self._trouble:
            self._trouble = True
            self.notices.append(f"{trouble}; its line stays as it was until the board answers again")


def _check(options: FirmataInputOptions, where: str) -> None:
    check_serial_port(options, where)
    check_range(where, "pin", options.pin, 0, LAST_PIN)
    check_range(where, "debounce_ms", options.debounce_ms, 0.0, 1000.0)
