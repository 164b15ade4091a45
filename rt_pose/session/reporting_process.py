"""A process of a run that reports to the supervisor: started, followed, and called silent where it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import msgspec

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.session import processes

SILENT_NS = 3 * NS_PER_S
"""So long after its last report a process counts as hanging."""
SUSPENDED_NS = NS_PER_S
"""A supervisor that did not look for this long was itself held up."""

Report = TypeVar("Report")


class ReportingProcess(ABC, Generic[Report]):
    """The supervisor's side of a process that reports; what is said of it is each kind's own."""

    def __init__(
        self, name: str, target: Callable[..., None], args: tuple[Any, ...], last: Report, clock: Clock
    ) -> None:
        """Start the process.

        Parameters
        ----------
        name
            Its name among those of the system.
        target
            Its main function, which takes `args` and then the end of a pipe for its reports.
        args
            Of the main function.
        last
            Stands for its report until the first one comes.
        clock
            Times the silence between reports.
        """
        self.reports, theirs = processes.context.Pipe(duplex=False)
        """Becomes readable with each report, and at the end of the process."""
        self.process: BaseProcess = processes.context.Process(target=target, args=(*args, theirs), name=name)
        self.process.start()
        theirs.close()
        self.last = last
        """What it said last."""
        self.over = False
        """Whether its end has been noticed."""
        self._clock = clock
        self._has_reported = self._unresponsive = False
        self._warned: set[str] = set()
        self._heard_ns = self._checked_ns = clock.now_ns()

    def news(self) -> Iterator[str]:
        """Look what has become of it; to be called all the time.

        Yields
        ------
        str
            A warning.
        """
        now_ns = self._clock.now_ns()
        if now_ns - self._checked_ns > SUSPENDED_NS:
            self._heard_ns = now_ns
        self._checked_ns = now_ns
        alive = self.process.is_alive()  # before its last words are read
        if self._receive(now_ns) and self._unresponsive:
            self._unresponsive = False
            yield self._format_return()
        for problem in self._problems():
            if problem not in self._warned:
                self._warned.add(problem)
                yield problem
        if self.over:
            return
        if not alive:
            self.over = True
            if death := self._format_death():
                yield death
        elif self._has_reported and not self._unresponsive and now_ns - self._heard_ns > SILENT_NS:
            self._unresponsive = True
            yield self._format_hang((now_ns - self._heard_ns) / NS_PER_S)

    def _expect_report(self) -> None:
        """From now on its silence counts."""
        self._heard_ns = self._checked_ns = self._clock.now_ns()

    def _receive(self, now_ns: int) -> bool:
        """Take the newest report; whether one has come."""
        came = False
        try:
            while self.reports.poll():
                self.last = msgspec.msgpack.decode(self.reports.recv_bytes(), type=type(self.last))
                self._heard_ns, came, self._has_reported = now_ns, True, True
        except (EOFError, OSError):
            return came
        return came

    @abstractmethod
    def _problems(self) -> Iterator[str]:
        """What its last report complains of; each is said once."""

    @abstractmethod
    def _format_return(self) -> str:
        """Say that it reports again."""

    @abstractmethod
    def _format_death(self) -> str:
        """Say that it has ended; empty where it was to end, or has said so itself."""

    @abstractmethod
    def _format_hang(self, since_s: float) -> str:
        """Say for how long it has not reported."""
