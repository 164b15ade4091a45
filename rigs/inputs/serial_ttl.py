"""An input line of the TTL box: `rigs/firmware/` on an Arduino, a Teensy, or the simulator.

The box stamps each edge with its own microseconds and numbers it. It is asked for the line's state all the
time: the answers map its clock to the host's, and mend what was lost on the way. The last edge of a lost pair
is delivered late, the others are counted. One port serves an output and several inputs of the same run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import ClassVar

from rigs.device_clock import DeviceClock
from rigs.firmware import protocol
from rigs.firmware.link import BoxFault, BoxLink
from rigs.input_thread import InputThread
from rigs.serial_ports import check_serial_port, find_boards
from rigs.shared_port import SharedPort, shared_port
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, input_driver
from rt_pose.errors import UserError, check_range
from rt_pose.types import Edge, InputInfo

OPEN_TIMEOUT_S = 4.0
"""A board that is reset by opening its port takes up to 2 s to begin."""
FIRST_ANSWER_S = 0.25
UNANSWERED = 3
"""A box that answers, but not so many questions for an input, has a firmware without inputs."""
CLOCK_SAMPLES = 8
ASK_EVERY_NS = 50 * NS_PER_MS
RETRY_NS = NS_PER_S
NO_ANSWER_NS = 500 * NS_PER_MS
RESTART_NS = NS_PER_S
"""A box whose clock is off by more has begun again."""
COUNTS = 0x10000
MOST_ASKED = 64


@dataclass
class SerialTtlInputOptions:
    """Which line of which box. Give `serial` or `port`, as for the box's output."""

    serial: str = ""
    """USB serial number of the board (`rt-pose devices` lists them)."""
    port: str = ""
    """Path of the port, for a board without a serial number, or the simulator."""
    baud: int = 500_000
    """As in the sketch; boards with USB of their own ignore it."""
    line: int = 0
    """Number of the input line: its place in `INPUTS` of the sketch, from 0."""
    debounce_ms: float = 5.0
    """Changes that follow an edge so closely are not edges; where the level differs at their end, it is one
    then. An edge itself is never delayed."""
    invert: bool = False
    """Whether a low level means on, as for a switch to ground with a pull-up."""


@input_driver("serial_ttl")
class SerialTtlInput(InputThread):
    """One input line of a box."""

    Options: ClassVar[type] = SerialTtlInputOptions

    def __init__(self, name: str, options: SerialTtlInputOptions, context: DriverContext) -> None:
        super().__init__(name)
        _check(options, f"inputs.{name}.options")
        self._options, self._context = options, context
        self._where, self._clock = f"inputs.{name}", context.clock
        self._shared: SharedPort[BoxLink] | None = None
        self._place = f"input line {options.line}"
        self._messages: SimpleQueue[tuple[protocol.Message, int] | None] = SimpleQueue()
        self.notices: deque[str] = deque()
        """See `ReportingInput.notices`."""
        self._count: int | None = None
        """Number of the newest edge; None before the first message."""
        self.lost = 0
        """See `ReportingInput.lost`."""
        self._reset()

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Input.find`. Lists serial ports on USB; only `open` finds out whether a box answers there."""
        return find_boards("serial_ttl")

    def open(self) -> InputInfo:
        """See `Input.open`.

        Raises
        ------
        UserError
            Where no box answers, or it has no such line.
        """
        self.close()
        self._reset()
        shared = shared_port(self._options, self._context, self._where, BoxLink)
        link = shared.attach(self._place, self._where, self._take_later)
        self._shared = shared
        try:
            state = self._first_state(link, shared.path)
        except BaseException:
            self.close()
            raise
        self._on = bool(state.level) != self._options.invert
        options = self._options
        return InputInfo(
            self._name,
            "serial_ttl",
            options.serial or options.port,
            f"input line {options.line} of {state.lines}, debounced {options.debounce_ms:g} ms, "
            f"at {shared.path}",
            self._on,
        )

    def start(self, deliver: Callable[[Edge], None]) -> None:
        """See `Input.start`."""
        self._messages, self._count = SimpleQueue(), None
        self._answered_ns = self._next_ns = self._clock.now_ns()
        super().start(deliver)

    def stop(self) -> None:
        """See `Input.stop`."""
        self._end.set()
        self._messages.put(None)
        super().stop()

    def close(self) -> None:
        """See `Input.close`. The port stays open for the others that use it."""
        self.stop()
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.detach(self._place)

    def _reset(self) -> None:
        self._device = DeviceClock()
        self._asked_ns: dict[int, int] = {}
        """Questions that wait for their answer, by number."""
        self._count = None
        self._on = False
        self._edge_ns = 0
        self._trouble = False

    def _take_later(self, message: protocol.Message, now_ns: int) -> None:
        kinds = protocol.InputEdge | protocol.InputState
        if isinstance(message, kinds) and message.line == self._options.line:
            self._messages.put((message, now_ns))

    def _question(self, link: BoxLink) -> protocol.Input:
        return protocol.Input(link.next_seq(), self._options.line, round(self._options.debounce_ms * 1000))

    # ------------------------------------------------------------ opening

    def _first_state(self, link: BoxLink, path: str) -> protocol.InputState:
        where, unanswered = f"{self._where}: TTL box at {path}", 0
        begun_ns = self._clock.now_ns()
        while self._clock.now_ns() < begun_ns + round(OPEN_TIMEOUT_S * NS_PER_S):
            try:
                state = self._ask_and_wait(link)
                if state is not None:
                    _check_line(state, where)
                    for _ in range(CLOCK_SAMPLES - 1):
                        state = self._ask_and_wait(link) or state
                    return state
                link.write(protocol.Heartbeat(link.next_seq()))  # any firmware answers that
            except BoxFault as fault:
                raise UserError(f"{where}: {fault}") from fault
            unanswered += link.t_received_ns > begun_ns
            if unanswered == UNANSWERED:
                raise UserError(
                    f"{where}: its firmware has no input lines; flash rigs/firmware/ of this program onto it "
                    "(what it does as an output stays the same)"
                )
        raise UserError(
            f"{where}: no answer within {OPEN_TIMEOUT_S:g} s; is rigs/firmware/ttl_box.ino flashed, and "
            f"`baud` ({self._options.baud}) the same as there?"
        )

    def _ask_and_wait(self, link: BoxLink) -> protocol.InputState | None:
        asked_ns = self._clock.now_ns()
        exchange = link.exchange(self._question(link), FIRST_ANSWER_S)
        answer = exchange.answer
        if not isinstance(answer, protocol.InputState):
            return None
        self._device.sample(answer.t_us, asked_ns, exchange.t_answer_ns)
        return answer

    # ------------------------------------------------------------ the thread

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        while not self._end.is_set():
            wait_ns = self._next_ns - self._clock.now_ns()
            if wait_ns <= 0:
                self._ask()
                continue
            try:
                item = self._messages.get(timeout=wait_ns / NS_PER_S)
            except Empty:
                continue
            if item is None or self._end.is_set():
                continue
            message, now_ns = item
            if isinstance(message, protocol.InputEdge):
                self._take_edge(message, now_ns, deliver)
            elif isinstance(message, protocol.InputState):
                self._take_state(message, now_ns, deliver)

    def _ask(self) -> None:
        """Ask for the line's state, over a port that is opened again where it was lost."""
        assert self._shared is not None
        now_ns = self._clock.now_ns()
        self._next_ns = now_ns + ASK_EVERY_NS
        try:
            link = self._shared.link(self._where)
            question = self._question(link)
            self._asked_ns[question.seq] = self._clock.now_ns()
            link.write(question)
        except (BoxFault, UserError) as error:
            self._next_ns = self._clock.now_ns() + RETRY_NS
            self._report(str(error))
            return
        if len(self._asked_ns) > MOST_ASKED:
            with suppress(StopIteration):
                del self._asked_ns[next(iter(self._asked_ns))]
        if now_ns - self._answered_ns > NO_ANSWER_NS:
            self._report(f"the box has not answered for {NO_ANSWER_NS // NS_PER_MS} ms")

    def _report(self, trouble: str) -> None:
        if not self._trouble:
            self._trouble = True
            self.notices.append(f"{trouble}; its line stays as it was until the box answers again")

    def _take_edge(self, edge: protocol.InputEdge, now_ns: int, deliver: Callable[[Edge], None]) -> None:
        ahead = 1 if self._count is None else (edge.count - self._count) % COUNTS
        if not 0 < ahead < COUNTS // 2:
            return  # of before the line was asked for
        self._count = edge.count
        self.lost += ahead - 1
        if (bool(edge.level) != self._options.invert) == self._on and ahead > 1:
            # The one before it was lost: levels alternate all the same, so that no pulse goes uncounted.
            self.lost -= 1
            self._change(not edge.level, edge.t_us, now_ns, deliver)
        self._change(bool(edge.level), edge.t_us, now_ns, deliver)

    def _take_state(self, state: protocol.InputState, now_ns: int, deliver: Callable[[Edge], None]) -> None:
        self._answered_ns = now_ns
        if self._trouble:
            self._trouble = False
            self.notices.append("the box answers again")
        if state.begun and self._restarted(state.t_us, now_ns):
            self.notices.append("the box has begun again; edges meanwhile are not known")
            self._device, self._count = DeviceClock(), None
        asked_ns = self._asked_ns.pop(state.seq, None)
        if asked_ns is not None:
            self._device.sample(state.t_us, asked_ns, now_ns)
        changed = (bool(state.level) != self._options.invert) != self._on
        missed = 0 if self._count is None else (state.count - self._count) % COUNTS
        self._count = state.count
        if changed:
            self._change(bool(state.level), state.t_us, now_ns, deliver)
        self.lost += max(0, missed - changed)

    def _restarted(self, t_us: int, now_ns: int) -> bool:
        expected_ns = self._device.host_ns(self._device.unwrap(t_us))
        return expected_ns is None or abs(now_ns - expected_ns) > RESTART_NS

    def _change(self, high: bool, t_us: int, now_ns: int, deliver: Callable[[Edge], None]) -> None:
        self._on = high != self._options.invert
        device_us = self._device.unwrap(t_us)
        t_ns = self._device.host_ns(device_us)
        # The map of the clocks moves a little with each sample; no edge is before the last one, or to come.
        self._edge_ns = max(self._edge_ns, now_ns if t_ns is None else min(t_ns, now_ns))
        deliver(Edge(self._name, self._on, self._edge_ns, device_us))


def _check(options: SerialTtlInputOptions, where: str) -> None:
    check_serial_port(options, where)
    check_range(where, "line", options.line, 0, protocol.MAX_LINES - 1)
    check_range(where, "debounce_ms", options.debounce_ms, 0.0, 1000.0)


def _check_line(state: protocol.InputState, where: str) -> None:
    if state.result == 0:
        return
    there = f"it has {state.lines} input lines, from 0" if state.lines else "it has no input lines"
    raise UserError(f"{where}: there is no input line {state.line}: {there} (`INPUTS` of the sketch)")
