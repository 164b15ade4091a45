"""The supervisor's side of the processors: made beside the loop, followed, and ended in bounded time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config.schema import ProcessorConfig, RunConfig
from rt_pose.errors import ErrorCollector, UserError
from rt_pose.loop.curve import ClientKeys, read_keys
from rt_pose.loop.ports import is_local
from rt_pose.session import processes, processor
from rt_pose.session.processes import end_process
from rt_pose.session.processor import ProcessorReport, ProcessorTask
from rt_pose.session.processor_files import discard_files, keep_prints_short
from rt_pose.session.reporting_process import ReportingProcess

READY_S = 60.0
"""How long a processor may take to be made: it may load libraries, or open a port."""
END_S = 5.0
"""How long all of them may take to save and end."""
KILL_S = 1.0
COUNTED = ("calls", "skipped", "exceptions", "first_exception", "slowest_ms", "saved", "problem", "ended")
"""What is kept of a `ProcessorReport`."""


class Processors:
    """All processors of a run. Nothing happens where it has none."""

    def __init__(self, config: RunConfig, clock: Clock) -> None:
        """Start a process for each.

        Parameters
        ----------
        config
            The run.
        clock
            Times the silence between reports.
        """
        self._config, self._clock = config, clock
        self._session: Path | None = None
        first = next(iter(config.cameras), "")
        self._all = [
            ProcessorWatch(name, one, one.camera or first, clock) for name, one in config.processors.items()
        ]

    def await_ready(self) -> None:
        """Wait until all have been made.

        Raises
        ------
        UserError
            With every one that cannot be.
        """
        errors = ErrorCollector()
        for one in self._all:
            errors.run(one.await_ready)
        errors.check()

    def begin(self, addresses: dict[str, str], session: Path | None) -> None:
        """Let them take poses.

        Parameters
        ----------
        addresses
            Of the loop's sockets: `publish`, and `keys`, the file with the keys of the run.
        session
            The session's folder; None where nothing is recorded.

        Raises
        ------
        UserError
            Where the keys of the run cannot be read.
        """
        self._session, publish = session, addresses["publish"]
        keys = None
        if self._all and not is_local(publish):
            keys = read_keys(Path(addresses["keys"]), ClientKeys, "processors")
        folder = "" if session is None else str(session.absolute())
        in_json = self._config.publish.format == "json"
        for one in self._all:
            one.begin(ProcessorTask(one.name, one.camera, publish, keys, in_json, folder))

    def news(self) -> Iterator[str]:
        """Look what has become of them; to be called all the time.

        Yields
        ------
        str
            A warning.
        """
        for one in self._all:
            if self._session is not None:
                keep_prints_short(self._session, one.name)
            yield from one.news()

    def end(self, patience_s: float = END_S) -> Iterator[str]:
        """Let them save and end; kill those that do not.

        Parameters
        ----------
        patience_s
            How long they may take together, s.

        Yields
        ------
        str
            A warning.
        """
        for one in self._all:
            one.stop()
        end_ns = self._clock.now_ns() + round(patience_s * NS_PER_S)
        for one in self._all:
            yield from one.end(max(0.0, (end_ns - self._clock.now_ns()) / NS_PER_S))

    def close(self) -> None:
        """Kill those that still run."""
        for one in self._all:
            one.kill()

    def discard(self, session: Path) -> None:
        """Remove their files, where no frame was taken.

        Parameters
        ----------
        session
            The session's folder.
        """
        for one in self._all:
            discard_files(session, one.name)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say which there are.

        Returns
        -------
        dict[str, dict[str, Any]]
            `source` and `camera` by name.
        """
        return {one.name: {"source": one.config.source, "camera": one.camera} for one in self._all}

    def summary(self) -> dict[str, dict[str, Any]]:
        """Sum up what they did so far.

        Returns
        -------
        dict[str, dict[str, Any]]
            By name what `describe` gives, and the counts of `ProcessorReport`.
        """
        counts = {one.name: msgspec.to_builtins(one.last) for one in self._all}
        return {
            name: found | {key: counts[name][key] for key in COUNTED}
            for name, found in self.describe().items()
        }


class ProcessorWatch(ReportingProcess[ProcessorReport]):
    """One processor: its process, and what it last said."""

    def __init__(self, name: str, config: ProcessorConfig, camera: str, clock: Clock) -> None:
        """Start its process.

        Parameters
        ----------
        name
            Its name in the configuration.
        config
            Which one.
        camera
            Whose poses it is handed.
        clock
            Times the silence between reports.
        """
        self.name, self.config, self.camera = name, config, camera
        orders, self._orders = processes.context.Pipe(duplex=False)
        super().__init__(
            f"rt-pose-processor-{name}", processor.main, (config, orders), ProcessorReport(), clock
        )
        orders.close()

    def await_ready(self) -> None:
        """Wait until it has been made.

        Raises
        ------
        UserError
            Where it cannot be, or takes too long.
        """
        where = f"configuration: processors.{self.name}.source"
        if not self.reports.poll(READY_S):
            raise UserError(f"{where}: {self.config.source} was not ready within {READY_S:g} s")
        self._receive(self._clock.now_ns())
        if self.last.refused:
            raise UserError(f"{where}: {self.last.refused}")
        if not self.last.ready:
            self.process.join(KILL_S)
            raise UserError(
                f"{where}: the process of {self.config.source} ended while it was being made (exit code "
                f"{self.process.exitcode})"
            )

    def begin(self, task: ProcessorTask) -> None:
        """Let it take poses.

        Parameters
        ----------
        task
            Where they come from.
        """
        self._expect_report()
        try:
            self._orders.send(task)
        except OSError:
            return  # it has died meanwhile, which `news` sees

    def stop(self) -> None:
        """Tell it that the run has ended."""
        self._orders.close()

    def end(self, patience_s: float) -> Iterator[str]:
        """Wait for its end, and bring it about where it does not come.

        Parameters
        ----------
        patience_s
            How long it may take, s.

        Yields
        ------
        str
            A warning.
        """
        self.process.join(patience_s)
        if self.process.is_alive():
            self.kill()
            yield f"processor '{self.name}' did not end in time and was killed"
        yield from self.news()
        if self.last.exceptions > 1:
            yield f"processor '{self.name}' raised {self.last.exceptions} times"

    def kill(self) -> None:
        """End its process, where it still runs."""
        self._orders.close()
        if self.process.is_alive():
            self.over = True
            end_process(self.process, 0.0, KILL_S)

    def _problems(self) -> Iterator[str]:
        last = self.last
        raised = f"raised {last.first_exception}; what follows is counted" if last.exceptions else ""
        for problem in (raised, last.problem):
            if problem:
                yield f"processor '{self.name}': {problem}"

    def _format_return(self) -> str:
        return f"processor '{self.name}' goes on"

    def _format_death(self) -> str:
        if self.last.ended:
            return ""
        return f"processor '{self.name}' died (exit code {self.process.exitcode}); it is not called any more"

    def _format_hang(self, since_s: float) -> str:
        return f"processor '{self.name}' has not returned for {since_s:.1f} s; poses are skipped meanwhile"
