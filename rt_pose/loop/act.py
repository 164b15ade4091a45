"""From events to commands to outputs. Each output has a thread of its own, so that none delays the loop.

A command that is not sent by its deadline is not sent at all; one that finds its output's queue full is
refused. Whatever way the program ends, every output is put into its safe state.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.drivers import Output
from rt_pose.loop.decide import Rule
from rt_pose.types import Ack, Command, Event, OutputInfo

QUEUE_COMMANDS = 16
"""More waiting than this means that the output has stopped: a stimulus that late is none."""


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

    def __init__(self, info: OutputInfo, output: Output, clock: Clock, acks: deque[Ack]) -> None:
        self.info = info
        self.fault = ""
        self._output, self._clock, self._acks = output, clock, acks
        self._commands: queue.Queue[Command | None] = queue.Queue(QUEUE_COMMANDS)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"rt-pose-output-{info.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, command: Command) -> str:
        """Queue a command; why it was refused, or nothing."""
        if self.fault:
            return f"output failed: {self.fault}"
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            return f"{QUEUE_COMMANDS} commands are waiting for the output already"
        return ""

    def forget(self, why: str) -> None:
        """Refuse what is waiting, each with an ack."""
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            if command is not None:
                self._acks.append(_refused(command, f"not sent: {why}"))

    def begin_stop(self) -> None:
        """Send nothing more; the safe state at once, whatever the thread is doing."""
        self._stopping = True
        self.forget("the run ended")
        self._commands.put_nowait(None)
        self._output.safe_state()

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
        while (command := self._commands.get()) is not None:
            self._acks.append(self._carry_out(command))

    def _carry_out(self, command: Command) -> Ack:
        if self._stopping:
            return _refused(command, "not sent: the run ended")
        if self.fault:
            return _refused(command, f"not sent: the output failed: {self.fault}")
        now = self._clock.now_ns()
        if command.t_deadline_ns is not None and now > command.t_deadline_ns:
            late_ms = (now - command.t_deadline_ns) / NS_PER_MS
            return _refused(command, f"not sent: late by {late_ms:.2f} ms")
        try:
            return self._output.send(command)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the line goes low and later commands are refused
            self.fault = f"{type(error).__name__}: {error}"
            self._make_safe()
            return _refused(command, f"output failed: {self.fault}")

    def _make_safe(self) -> None:
        try:
            self._output.safe_state()
        except Exception as error:  # noqa: BLE001 - the thread must live to refuse what comes
            self.fault += f"; and its safe state failed: {type(error).__name__}: {error}"


class Actuators:
    """All outputs of a run."""

    def __init__(self, outputs: Iterable[tuple[OutputInfo, Output]], clock: Clock) -> None:
        self.acks: deque[Ack] = deque()
        """Filled by the outputs' threads, drained by the loop."""
        self._threads = {info.name: OutputThread(info, output, clock, self.acks) for info, output in outputs}

    def start(self) -> None:
        for thread in self._threads.values():
            thread.start()

    def submit(self, command: Command) -> str:
        """Hand a command to its output's thread; why it was refused, or nothing. Never waits."""
        return self._threads[command.output].submit(command)

    def disarm(self) -> None:
        """Nothing that is still waiting goes out. A command in progress ends by itself."""
        for thread in self._threads.values():
            thread.forget("disarmed")

    def stop(self, timeout_s: float = 1.0) -> list[str]:
        """Every output into its safe state, all of them before any is waited for; what went wrong."""
        problems: list[str] = []
        for name, thread in self._threads.items():
            try:
                thread.begin_stop()
            except Exception as error:  # noqa: BLE001 - the other outputs must still become safe
                problems.append(f"output '{name}': {type(error).__name__}: {error}")
        for name, thread in self._threads.items():
            try:
                problem = thread.end_stop(timeout_s)
            except Exception as error:  # noqa: BLE001 - as above
                problem = f"output '{name}': {type(error).__name__}: {error}"
            if problem and problem not in problems:
                problems.append(problem)
        return problems


def _refused(command: Command, detail: str) -> Ack:
    return Ack(command.id, command.output, None, None, None, ok=False, detail=detail)
