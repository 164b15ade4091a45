"""From events to commands to outputs. Each output has a thread of its own, so that none delays the loop.

A command that is not sent by its deadline is not sent at all; one that finds its output's queue full is
refused. Whatever way the program ends, every output is put into its safe state.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable

from rt_pose.clock import Clock
from rt_pose.config import duration_ns
from rt_pose.drivers import Output
from rt_pose.loop.decide import Rule
from rt_pose.types import Ack, Command, Event, OutputInfo

QUEUE_COMMANDS = 16
"""More waiting than this means that the output has stopped: a stimulus that late is none."""


def command_for(event: Event, rule: Rule) -> Command:
    """The command of a fired event. It bears the event's id, so replay gives the same ones."""
    do = rule.config.do
    return Command(
        id=event.id,
        event_id=event.id,
        output=do.output,
        line=do.line,
        action="pulse",
        duration_us=duration_ns(do.pulse, rule.name) // 1000,
        amplitude=do.amplitude,
        t_deadline_ns=event.t_cause_ns + rule.deadline_ns if rule.late == "suppress" else None,
    )


class OutputThread:
    """Carries out the commands of one output in order."""

    def __init__(self, info: OutputInfo, output: Output, clock: Clock, acks: deque[Ack]) -> None:
        self.info = info
        self.fault = ""
        self._output, self._clock, self._acks = output, clock, acks
        self._commands: queue.Queue[Command | None] = queue.Queue(QUEUE_COMMANDS)
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

    def stop(self, timeout_s: float) -> None:
        """Forget what is waiting, end the thread, put the output into its safe state and close it."""
        while True:
            try:
                self._commands.get_nowait()
            except queue.Empty:
                break
        self._commands.put_nowait(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        try:
            self._output.safe_state()
        finally:
            self._output.close()

    def _run(self) -> None:
        while (command := self._commands.get()) is not None:
            self._acks.append(self._carry_out(command))

    def _carry_out(self, command: Command) -> Ack:
        def refused(detail: str) -> Ack:
            return Ack(command.id, command.output, None, None, None, ok=False, detail=detail)

        now = self._clock.now_ns()
        if command.t_deadline_ns is not None and now > command.t_deadline_ns:
            return refused(f"late by {(now - command.t_deadline_ns) / 1e6:.2f} ms: not sent")
        try:
            return self._output.send(command)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the line goes low and all later commands are refused
            self.fault = f"{type(error).__name__}: {error}"
            self._output.safe_state()
            return refused(f"output failed: {self.fault}")


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

    def stop(self, timeout_s: float = 1.0) -> list[str]:
        """Every output into its safe state; what went wrong on the way."""
        problems = []
        for name, thread in self._threads.items():
            try:
                thread.stop(timeout_s)
            except Exception as error:  # noqa: BLE001 - the other outputs must still become safe
                problems.append(f"output '{name}': {type(error).__name__}: {error}")
        return problems
