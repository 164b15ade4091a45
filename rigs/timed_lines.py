"""Pulses, trains and levels on lines that can only be told what to be now, timed by a thread of ours.

For devices that know no durations: a network message, a digital line of a data acquisition card. As on the
TTL box a line does one thing, and what is new takes the place of what it was doing. The first level of a
command is written by the thread that sends it, those after it by the timing thread. An edge that comes late
does not move the ones after it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from rigs.hang_guard import HangGuard
from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.types import Ack, Action, Command

ON_OFF: tuple[Action, ...] = ("pulse", "train", "level", "stop")
"""What a line can do that is either on or off."""
ANALOG: tuple[Action, ...] = (*ON_OFF, "analog")
"""What a line can do that takes any level from 0 to 1."""
RAMP_STEP_US = 2000
MOST_LATE_NS = 500 * NS_PER_MS
"""Pulses that would begin later than this do not begin: the device cannot keep up with what was asked."""
ASIDE_S = 0.005


class Undelivered(Exception):
    """The device did not confirm, or cannot be reached: the command has failed, the output need not have."""

    def __init__(self, text: str, t_sent_ns: int | None = None, t_ack_ns: int | None = None) -> None:
        """Keep what went wrong.

        Parameters
        ----------
        text
            What went wrong.
        t_sent_ns
            Host time at which the message had gone out, ns; None where it had not.
        t_ack_ns
            Host time at which the device refused, ns; None where it said nothing.
        """
        super().__init__(text)
        self.t_sent_ns, self.t_ack_ns = t_sent_ns, t_ack_ns


class Written(NamedTuple):
    """When a level was written."""

    t_sent_ns: int
    t_ack_ns: int | None = None
    """When the device confirmed; None where it does not."""


@dataclass(slots=True)
class _Plan:
    """What a line has still to do."""

    begun_ns: int
    steps: Iterator[tuple[int, float]]
    due_ns: int
    level: float


class TimedLines:
    """The lines of one output. Every method may be called from any thread.

    A driver's `send`, `safe_state` and `heartbeat` are calls of those here. Give it the two functions that
    reach the device; neither is called twice at the same time, and both return within a bounded time.
    """

    def __init__(
        self,
        name: str,
        count: int,
        clock: Clock,
        write: Callable[[int, float], Written],
        off: Callable[[], None],
        actions: Sequence[Action] = ON_OFF,
    ) -> None:
        """Keep what the lines are; nothing is written and no thread runs before `open`.

        Parameters
        ----------
        name
            Name of the output.
        count
            How many lines there are.
        clock
            Host clock.
        write
            Sets a line (from 0) to a level, 0 (off) to 1. Raises `Undelivered` where the device does not
            confirm; whatever else it raises is a fault of the output.
        off
            Sets all lines to 0, whatever they are. Raises as `write`.
        actions
            What the lines can do: `ON_OFF` or `ANALOG`.
        """
        self.actions = list(actions)
        self._name, self._count, self._clock = name, count, clock
        self._write, self._off = write, off
        self._changed = threading.Condition()
        self._plans: dict[int, _Plan] = {}
        self._levels: dict[int, float] = {}
        """What each line was last set to; 0 where it is not named."""
        self._waiting: deque[None] = deque()
        """An entry for each thread that waits for its turn."""
        self._thread: threading.Thread | None = None
        self._fault: Exception | None = None
        self._guard = HangGuard(self.all_off, "all lines were switched off")

    def open(self) -> None:
        """Set all lines to 0 and start the timing thread.

        Raises
        ------
        Undelivered
            Where the device cannot be reached. Nothing runs then.
        """
        self.close()
        with self._turn():
            self._fault = None
            self._switch_off()
            self._thread = threading.Thread(target=self._run, name=f"rt-pose-lines-{self._name}", daemon=True)
            self._thread.start()

    def send(self, command: Command) -> Ack:
        """See `Output.send`.

        Parameters
        ----------
        command
            What a line is to do.

        Returns
        -------
        Ack
            Of the first level; not ok where it was refused or not delivered.
        """
        with self._turn():
            refusal = self._refusal(command)
            if refusal:
                return Ack(command.id, self._name, None, None, None, ok=False, detail=refusal)
            self._raise_fault()
            try:
                written = self._begin(command)
            except Undelivered as error:
                return failed(command, self._name, error)
            return Ack(command.id, self._name, written.t_sent_ns, written.t_ack_ns, None, ok=True)

    def all_off(self) -> None:
        """See `Output.safe_state`. Waits for a level that is being written; nothing where it is not open.

        Raises
        ------
        Undelivered
            Where the device cannot be reached.
        """
        with self._turn():
            self._plans.clear()
            if self._thread is not None:
                self._switch_off()

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. Where the loop hangs, the lines go off: the device has no watchdog.

        Parameters
        ----------
        alive
            Whether the loop turns.

        Returns
        -------
        list[str]
            What was done about it, a line each.

        Raises
        ------
        Undelivered
            Where a level of a command under way could not be written.
        """
        with self._turn():
            self._raise_fault()
            return self._guard.heartbeat(alive)

    def close(self) -> None:
        """Switch the lines off where the device still takes it, and end the thread."""
        with self._turn():
            thread, self._thread = self._thread, None
            self._plans.clear()
            self._changed.notify_all()
            if thread is not None:
                with suppress(Exception):  # whoever closes an output has been told of its faults
                    self._switch_off()
        if thread is not None:
            thread.join()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lines. The timing thread steps aside even where it is behind and would never wait."""
        self._waiting.append(None)
        with self._changed:
            self._waiting.pop()
            try:
                yield
            finally:
                self._changed.notify_all()

    def _refusal(self, command: Command) -> str:
        if self._thread is None:
            return "the output is not open"
        if command.action not in self.actions:
            return f"this output takes no {command.action}"
        return impossible(command, self._count)

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _begin(self, command: Command) -> Written:
        """Write the first level, and leave the others to the thread."""
        self._plans.pop(command.line, None)
        steps = levels(command, self._levels.get(command.line, 0.0))
        _, level = next(steps)
        try:
            written = self._set(command.line, level)
        except Exception:
            # Whether it acted is not known: the thread switches the line off as soon as it can.
            now_ns = self._clock.now_ns()
            self._plans[command.line] = _Plan(now_ns, iter(()), now_ns, 0.0)
            raise
        self._plan_next(command.line, written.t_ack_ns or written.t_sent_ns, steps)
        return written

    def _set(self, line: int, level: float) -> Written:
        written = self._write(line, level)
        self._levels[line] = level
        return written

    def _switch_off(self) -> None:
        self._off()
        self._levels.clear()

    def _plan_next(self, line: int, begun_ns: int, steps: Iterator[tuple[int, float]]) -> None:
        self._plans.pop(line, None)
        for offset_us, level in steps:
            self._plans[line] = _Plan(begun_ns, steps, begun_ns + offset_us * 1000, level)
            return

    def _run(self) -> None:
        with self._turn():
            while self._thread is threading.current_thread():
                if self._waiting:
                    self._changed.wait(ASIDE_S)
                    continue
                line = min(self._plans, key=lambda number: self._plans[number].due_ns, default=None)
                if line is None:
                    self._changed.wait()
                    continue
                wait_ns = self._plans[line].due_ns - self._clock.now_ns()
                if wait_ns > 0:
                    self._changed.wait(wait_ns / NS_PER_S)
                    continue
                self._advance(line)

    def _advance(self, line: int) -> None:
        plan = self._plans.pop(line)
        late_ns = self._clock.now_ns() - plan.due_ns
        try:
            if plan.level > 0.0 and late_ns > MOST_LATE_NS:
                raise Undelivered(
                    f"line {line} is {late_ns // NS_PER_MS} ms behind: the device cannot keep up"
                )
            self._set(line, plan.level)
        except Exception as error:  # noqa: BLE001 - raised where the output's own thread comes by
            self._fault = error
            return
        self._plan_next(line, plan.begun_ns, plan.steps)


def levels(command: Command, first: float = 0.0) -> Iterator[tuple[int, float]]:
    """List the levels of a line under a command, in the order of time.

    Parameters
    ----------
    command
        A pulse, train, level, analog value or stop; its amplitude is clipped to 0..1.
    first
        The line's level so far, from which a ramp begins.

    Yields
    ------
    tuple[int, float]
        Time since the command's beginning, us, and the level from then on, 0 to 1. The first time is 0.
    """
    top, duration_us = min(max(command.amplitude, 0.0), 1.0), command.duration_us
    match command.action:
        case "pulse" | "train":
            for number in range(command.count if command.action == "train" else 1):
                yield number * command.period_us, top
                yield number * command.period_us + duration_us, 0.0
        case "level":
            yield 0, top
            if duration_us and top:
                yield duration_us, 0.0
        case "analog":
            yield from _ramp(0, command.ramp_up_us, first, top)
            yield command.ramp_up_us, top
            down_us = command.ramp_up_us + duration_us
            yield from _ramp(down_us, command.ramp_down_us, top, 0.0)
            yield down_us + command.ramp_down_us, 0.0
        case _:
            yield 0, 0.0


def _ramp(begin_us: int, duration_us: int, first: float, last: float) -> Iterator[tuple[int, float]]:
    """A straight way from one level towards another in steps, without the other."""
    for elapsed_us in range(0, duration_us, RAMP_STEP_US):
        yield begin_us + elapsed_us, first + (last - first) * elapsed_us / duration_us


def impossible(command: Command, lines: int) -> str:
    """Find out why no device could carry a command out.

    Parameters
    ----------
    command
        The command.
    lines
        How many lines there are.

    Returns
    -------
    str
        The reason; empty where there is none.
    """
    if not 0 <= command.line < lines:
        return f"no such line: there are {lines}, from 0"
    if command.action in ("pulse", "train") and command.duration_us <= 0:
        return f"a {command.action} needs a duration"
    if command.action == "train" and (command.count < 1 or command.period_us <= command.duration_us):
        return "a train needs a count, and a period longer than its pulses"
    return ""


def failed(command: Command, output: str, error: Undelivered) -> Ack:
    """Make the ack of a command that was not delivered.

    Parameters
    ----------
    command
        The command.
    output
        Name of the output.
    error
        What went wrong.

    Returns
    -------
    Ack
        Not ok, with the times as far as it came.
    """
    return Ack(command.id, output, error.t_sent_ns, error.t_ack_ns, None, ok=False, detail=str(error))
