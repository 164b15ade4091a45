"""From events to commands to outputs. Each output has a thread of its own, so that none delays the loop.

A command that is not sent by its deadline is not sent at all; one that finds its output's queue full is
refused. Disarming ends what is in progress as well: the line goes low with what waits for it. After an
emergency nothing goes out until `arm`. A device with a watchdog hears a heartbeat only while the loop turns,
so that a hung loop drops the line like a dead one. Whatever way the program ends, every output is put into
its safe state.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.drivers import Output, WatchedOutput
from rt_pose.loop.decide import Rule
from rt_pose.types import Ack, Command, Event, OutputInfo, OutputNotice

QUEUE_COMMANDS = 16
"""More waiting than this means that the output has stopped: a stimulus that late is none."""
SAFE_TIMEOUT_S = 0.5
"""How long the safe state of all outputs is waited for, in all."""
EMERGENCY = "emergency stop; `arm` lets commands out again"
_MAKE_SAFE: Final = object()
"""In a queue: not a command, but the safe state."""


class Beat:
    """When the loop last turned. It only stores the time; others look at it."""

    __slots__ = ("t_ns",)

    def __init__(self) -> None:
        self.t_ns = 0
        """Host time; 0 before the first turn."""

    def fresh(self, now_ns: int, within_ns: int) -> bool:
        """Whether the loop has turned within that time."""
        return self.t_ns > 0 and now_ns - self.t_ns <= within_ns


def command_for(event: Event, rule: Rule) -> Command:
    """The command of a fired event. It bears the event's id, so replay gives the same ones."""
    do = rule.plan
    return Command(
        id=event.id,
        event_id=event.id,
        output=do.output,
        line=do.line,
        action=do.action,
        duration_us=do.duration_us,
        period_us=do.period_us,
        count=do.count,
        amplitude=do.amplitude,
        t_deadline_ns=event.t_cause_ns + rule.deadline_ns if rule.late == "suppress" else None,
        message=do.message,
        ramp_up_us=do.ramp_up_us,
        ramp_down_us=do.ramp_down_us,
    )


class OutputThread:
    """Carries out the commands of one output in order, until told to stop or the output fails."""

    def __init__(
        self,
        info: OutputInfo,
        output: Output,
        clock: Clock,
        acks: deque[Ack],
        notices: deque[OutputNotice],
        alive: Callable[[], bool],
    ) -> None:
        """`alive`: whether the loop turns, so that the device may be kept from dropping its lines."""
        self.info = info
        self.fault = ""
        self._output, self._clock, self._acks, self._notices = output, clock, acks, notices
        self._alive = alive
        self._watched: WatchedOutput | None = output if isinstance(output, WatchedOutput) else None
        self._beat_s = (
            info.heartbeat_ms / 1000 if self._watched is not None and info.heartbeat_ms > 0 else None
        )
        self._commands: queue.Queue[Command | object | None] = queue.Queue(QUEUE_COMMANDS)
        self._stopping = False
        self._held = ""
        self._thread = threading.Thread(target=self._run, name=f"rt-pose-output-{info.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, command: Command) -> str:
        """Queue a command; why it was refused, or nothing."""
        if self._held:
            return self._held
        if self.fault:
            return f"output failed: {self.fault}"
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            return f"{QUEUE_COMMANDS} commands are waiting for the output already"
        return ""

    def forget(self, why: str) -> None:
        """Refuse what is waiting, each with an ack."""
        ending = False
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                break
            ending = ending or command is None
            if isinstance(command, Command):
                self._acks.append(_refused(command, f"not sent: {why}"))
        if ending:  # the word to end is not for us
            self._commands.put_nowait(None)

    def disarm(self) -> None:
        """Nothing that waits goes out, and what is in progress ends; the thread sees to it."""
        self.forget("disarmed")
        self._commands.put_nowait(_MAKE_SAFE)

    def hold(self, why: str) -> None:
        """Let nothing out, neither what waits nor what comes, until `release`. From any thread."""
        self._held = why
        self.forget(why)

    def release(self) -> None:
        self._held = ""

    def make_safe(self) -> None:
        """The safe state at once, whatever the thread is doing. From any thread."""
        self._output.safe_state()

    def begin_stop(self) -> None:
        """Send nothing more."""
        self._stopping = True
        self.forget("the run ended")
        self._commands.put_nowait(None)

    def end_stop(self, timeout_s: float) -> str:
        """Wait for the thread, make the output safe once more and close it; what went wrong, or nothing."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._output.safe_state()
        if self._thread.is_alive():
            # Its driver is inside a call: closing it under its feet could leave the line as it is.
            return (
                f"output '{self.info.name}' did not answer within {timeout_s:g} s; check that its line is low"
            )
        self._output.close()
        return f"output '{self.info.name}' failed: {self.fault}" if self.fault else ""

    def _run(self) -> None:
        next_beat_ns = self._clock.now_ns()
        while True:
            wait_s = None
            if self._beat_s is not None and not self.fault:
                wait_s = (next_beat_ns - self._clock.now_ns()) / NS_PER_S
                if wait_s <= 0.0:
                    self._heartbeat()
                    next_beat_ns = self._clock.now_ns() + round(self._beat_s * NS_PER_S)
                    continue
            try:
                command = self._commands.get(timeout=wait_s)
            except queue.Empty:
                continue
            if command is None:
                return
            if isinstance(command, Command):
                self._acks.append(self._carry_out(command))
            else:
                self._safe_or_fault()

    def _carry_out(self, command: Command) -> Ack:
        refusal = self._refusal(command)
        if refusal:
            return _refused(command, refusal)
        try:
            ack = self._output.send(command)
            if self._held or self._stopping:
                # It was on its way when everything was to go low.
                self._output.safe_state()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the line goes low and later commands are refused
            self._fail(error)
            return _refused(command, f"output failed: {self.fault}")
        return ack

    def _refusal(self, command: Command) -> str:
        """Why a command must not be sent any more, or nothing."""
        if self._stopping:
            return "not sent: the run ended"
        if self._held:
            return f"not sent: {self._held}"
        if self.fault:
            return f"not sent: the output failed: {self.fault}"
        now = self._clock.now_ns()
        if command.t_deadline_ns is not None and now > command.t_deadline_ns:
            return f"not sent: late by {(now - command.t_deadline_ns) / NS_PER_MS:.2f} ms"
        return ""

    def _heartbeat(self) -> None:
        """Keep the device's watchdog content while the loop turns, and take in what the device says."""
        assert self._watched is not None
        try:
            for text in self._watched.heartbeat(self._alive()):
                self._notice(text)
        except Exception as error:  # noqa: BLE001 - as for a command
            self._fail(error)

    def _safe_or_fault(self) -> None:
        try:
            self._output.safe_state()
        except Exception as error:  # noqa: BLE001 - the thread must live to refuse what comes
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        fault = f"{type(error).__name__}: {error}"
        try:
            self._output.safe_state()
        except Exception as second:  # noqa: BLE001 - the thread must live to refuse what comes
            again = f"{type(second).__name__}: {second}"
            fault += "; so does its safe state" if again == fault else f"; and its safe state failed: {again}"
        self.fault = self.fault or fault
        self._notice(f"output failed: {fault}")

    def _notice(self, text: str) -> None:
        self._notices.append(OutputNotice(self.info.name, self._clock.now_ns(), text))


class Actuators:
    """All outputs of a run."""

    def __init__(
        self,
        outputs: Iterable[tuple[OutputInfo, Output]],
        clock: Clock,
        beat: Beat | None = None,
        beat_within_ns: int = 0,
    ) -> None:
        """`beat`: the loop's; older than `beat_within_ns` the loop counts as hung, and heartbeats end."""
        self.acks: deque[Ack] = deque()
        """Filled by the outputs' threads, drained by the loop."""
        self.notices: deque[OutputNotice] = deque()
        """What outputs say besides acks: a dropped line, a fault. Filled and drained as `acks`."""

        def alive() -> bool:
            return beat is not None and beat.fresh(clock.now_ns(), beat_within_ns)

        self._threads = {
            info.name: OutputThread(info, output, clock, self.acks, self.notices, alive)
            for info, output in outputs
        }

    def start(self) -> None:
        for thread in self._threads.values():
            thread.start()

    def submit(self, command: Command) -> str:
        """Hand a command to its output's thread; why it was refused, or nothing. Never waits."""
        return self._threads[command.output].submit(command)

    def faults(self) -> dict[str, str]:
        """Outputs that have failed, with why."""
        return {name: thread.fault for name, thread in self._threads.items() if thread.fault}

    def disarm(self) -> None:
        """Nothing that waits goes out, and pulses, trains and levels in progress end. Never waits."""
        for thread in self._threads.values():
            thread.disarm()

    def hold(self, why: str) -> None:
        """Let nothing out until `release`. Never waits."""
        for thread in self._threads.values():
            thread.hold(why)

    def release(self) -> None:
        """Commands may go out again, after an emergency."""
        for thread in self._threads.values():
            thread.release()

    def emergency(self) -> list[str]:
        """Everything low at once, from any thread; nothing goes out until `release`. What went wrong."""
        self.hold(EMERGENCY)
        return self._all_safe()

    def stop(self, timeout_s: float = 1.0) -> list[str]:
        """Every output into its safe state, all of them before any is waited for; what went wrong."""
        for thread in self._threads.values():
            thread.begin_stop()
        problems = self._all_safe()
        for name, thread in self._threads.items():
            try:
                problem = thread.end_stop(timeout_s)
            except Exception as error:  # noqa: BLE001 - the other outputs must still become safe
                problem = f"output '{name}': {type(error).__name__}: {error}"
            if problem and problem not in problems:
                problems.append(problem)
        return problems

    def _all_safe(self) -> list[str]:
        """All outputs side by side: one that hangs must not keep the others' lines high."""
        problems: deque[str] = deque()
        helpers = {
            name: threading.Thread(
                target=_make_safe, args=(thread, problems), name=f"rt-pose-safe-{name}", daemon=True
            )
            for name, thread in self._threads.items()
        }
        for helper in helpers.values():
            helper.start()
        for name, helper in helpers.items():
            helper.join(SAFE_TIMEOUT_S / len(helpers))
            if helper.is_alive():
                problems.append(f"output '{name}': no safe state within {SAFE_TIMEOUT_S:g} s")
        return list(problems)


def _make_safe(thread: OutputThread, problems: deque[str]) -> None:
    try:
        thread.make_safe()
    except Exception as error:  # noqa: BLE001 - told to whoever asked
        problems.append(f"output '{thread.info.name}': {type(error).__name__}: {error}")


def _refused(command: Command, detail: str) -> Ack:
    return Ack(command.id, command.output, None, None, None, ok=False, detail=detail)
