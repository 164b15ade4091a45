"""The thread of one output: its commands in order, its heartbeats, its safe state."""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.drivers import Output, WatchedOutput
from rt_pose.types import Ack, Command, OutputInfo, OutputNotice

QUEUE_COMMANDS = 16
"""More waiting than this means that the output has stopped: a stimulus that late has no use."""
FAILED = "output failed: "
"""How the notice of a fault begins, and the reason why a command is refused because of one."""
_MAKE_SAFE: Final = object()
"""In a queue: not a command, but the safe state."""
_NOTHING: Final = object()
"""In a queue: it wakes the thread as a command does."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How often a failed output is opened again, after what pause, and after how many faults no more."""

    attempts: int = 0
    pause_ns: int = NS_PER_S
    in_all: float = math.inf
    """After so many faults the next one is for good."""


class OutputThread:
    """Carries out the commands of one output in order, until it is stopped or the output fails for good."""

    def __init__(
        self,
        info: OutputInfo,
        output: Output,
        clock: Clock,
        acks: deque[Ack],
        notices: deque[OutputNotice],
        alive: Callable[[], bool],
        recovery: Recovery = Recovery(),
    ) -> None:
        """Make the thread; it does not run yet.

        Parameters
        ----------
        info
            What the opened output reports.
        output
            The output.
        clock
            Host clock.
        acks
            Where acks go.
        notices
            Where faults and what the device reports go.
        alive
            Whether the loop turns, so that the device may be kept from dropping its lines.
        recovery
            What is done about a failed output.
        """
        self.info = info
        self.fault = ""
        self._recovery, self._attempts_left = recovery, recovery.attempts
        self._failed_ns = self._next_attempt_ns = self._faults = 0
        self._output, self._clock, self._acks, self._notices = output, clock, acks, notices
        self._alive = alive
        self._watched: WatchedOutput | None = output if isinstance(output, WatchedOutput) else None
        self._heartbeat_s = (
            info.heartbeat_ms / 1000 if self._watched is not None and info.heartbeat_ms > 0 else None
        )
        self._commands: queue.Queue[Command | object | None] = queue.Queue(QUEUE_COMMANDS)
        self._stopping = False
        self._held = ""
        self._thread = threading.Thread(target=self._run, name=f"rt-pose-output-{info.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, command: Command, most_waiting: int = QUEUE_COMMANDS) -> str:
        """Queue a command. Never waits.

        Parameters
        ----------
        command
            The command.
        most_waiting
            It is refused where this many are waiting already.

        Returns
        -------
        str
            Why it was refused; empty where it was taken.
        """
        return self._put(command, most_waiting)

    def pretend(self) -> str:
        """Do as `submit` does and let nothing reach the output. Never waits.

        Returns
        -------
        str
            As of `submit`.
        """
        return self._put(_NOTHING, QUEUE_COMMANDS)

    def _put(self, item: object, most_waiting: int) -> str:
        if self._held:
            return self._held
        if self.fault:
            return f"{FAILED}{self.fault}"
        try:
            if self._commands.qsize() >= most_waiting:
                raise queue.Full
            self._commands.put_nowait(item)
        except queue.Full:
            return f"{min(most_waiting, QUEUE_COMMANDS)} commands are waiting for the output already"
        return ""

    def discard_queued(self, why: str) -> None:
        """Refuse what is waiting, each with an ack.

        Parameters
        ----------
        why
            The reason.
        """
        ending = False
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                break
            ending = ending or command is None
            if isinstance(command, Command):
                self._acks.append(_refused(command, f"not sent: {why}"))
        if ending:  # the request to end is for the thread
            self._commands.put_nowait(None)

    def disarm(self) -> None:
        """Refuse what waits and let the thread end what is in progress. Never waits."""
        self.discard_queued("disarmed")
        self._commands.put_nowait(_MAKE_SAFE)

    def hold(self, why: str) -> None:
        """Refuse what waits and what comes, until `release`. From any thread.

        Parameters
        ----------
        why
            The reason, for acks.
        """
        self._held = why
        self.discard_queued(why)

    def release(self) -> None:
        """Accept commands again."""
        self._held = ""

    def make_safe(self) -> None:
        """Enter the safe state at once, whatever the thread is doing. From any thread."""
        self._output.safe_state()

    def begin_stop(self) -> None:
        """Stop sending, and let the thread end."""
        self._stopping = True
        self.discard_queued("the run ended")
        self._commands.put_nowait(None)

    def end_stop(self, timeout_s: float) -> str:
        """Wait for the thread, put the output into its safe state again and close it.

        Parameters
        ----------
        timeout_s
            How long the thread is waited for, s.

        Returns
        -------
        str
            What went wrong; empty where nothing did.
        """
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._output.safe_state()
        if self._thread.is_alive():
            # Its driver is inside a call: closing the device meanwhile could leave the line as it is.
            return (
                f"output '{self.info.name}' did not answer within {timeout_s:g} s; check that its line is low"
            )
        self._output.close()
        return f"output '{self.info.name}' failed: {self.fault}" if self.fault else ""

    def _run(self) -> None:
        next_heartbeat_ns = self._clock.now_ns()
        while True:
            wait_s = None
            if self.fault and self._attempts_left and not self._stopping:
                wait_s = (self._next_attempt_ns - self._clock.now_ns()) / NS_PER_S
                if wait_s <= 0.0:
                    self._recover()
                    continue
            elif self._heartbeat_s is not None and not self.fault:
                wait_s = (next_heartbeat_ns - self._clock.now_ns()) / NS_PER_S
                if wait_s <= 0.0:
                    self._heartbeat()
                    next_heartbeat_ns = self._clock.now_ns() + round(self._heartbeat_s * NS_PER_S)
                    continue
            try:
                command = self._commands.get(timeout=wait_s)
            except queue.Empty:
                continue
            if command is None:
                return
            if isinstance(command, Command):
                self._acks.append(self._carry_out(command))
            elif command is _MAKE_SAFE:
                self._safe_or_fault()

    def _recover(self) -> None:
        """Open a failed output once more; opening it is what makes its lines low, whatever state it is in."""
        self._attempts_left -= 1
        try:
            self._output.open()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the output stays failed
            self._next_attempt_ns = self._clock.now_ns() + self._recovery.pause_ns
            if not self._attempts_left:
                self._notice(
                    f"still fails after {self._recovery.attempts} attempts to open it again ({error}); its "
                    "commands are refused for the rest of the run"
                )
            return
        self.fault, self._attempts_left = "", self._recovery.attempts
        away_s = (self._clock.now_ns() - self._failed_ns) / NS_PER_S
        self._notice(f"works again, {away_s:.1f} s after it failed; what was refused meanwhile is not sent")

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
            return _refused(command, f"{FAILED}{self.fault}")
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
        """Send a heartbeat that says whether the loop turns, and take in what the device reports."""
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
        is_new = not self.fault
        if is_new:
            self._faults += 1
            self._failed_ns = self._clock.now_ns()
            self._next_attempt_ns = self._failed_ns + self._recovery.pause_ns
        self.fault = self.fault or fault
        self._notice(f"{FAILED}{fault}")
        if is_new and self._attempts_left and self._faults > self._recovery.in_all:
            self._attempts_left = 0
            self._notice(
                f"it has failed {self._faults} times, and `recovery.in_all` is {self._recovery.in_all:g}; "
                "its commands are refused for the rest of the run"
            )

    def _notice(self, text: str) -> None:
        self._notices.append(OutputNotice(self.info.name, self._clock.now_ns(), text))


def _refused(command: Command, detail: str) -> Ack:
    return Ack(command.id, command.output, None, None, None, ok=False, detail=detail)
