"""Puts outputs into their safe state after the loop's process has died with them open.

A process stands by for that through the whole run, its drivers loaded: starting one only then would cost
seconds, in which a line without a watchdog of its own stays high. It acts when the supervisor says so; where
the supervisor dies too, it waits for the loop to be gone and acts by itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from rt_pose.clock import NS_PER_S, Clock, HostClock
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.session import processes

TIMEOUT_S = 10.0
"""A board that is reset by opening its port needs up to 2 s, the process as much where the run just began."""
OUTPUT_TIMEOUT_S = 9.0
"""For all outputs together, of that."""
LOOP_EXIT_TIMEOUT_S = 20.0
POLL_S = 0.05
MOST_DEATHS = 3
"""So often a process that died is replaced by another."""
NICE = 10
"""It loads its drivers while the loop takes its first frames."""


class SafeStandby:
    """Waits to open every output again and make it safe; `close` it where that is not needed."""

    def __init__(self, config: RunConfig, register: Callable[[], None], loop_pid: int | None) -> None:
        """Start the process, where the run has outputs.

        Parameters
        ----------
        config
            The run.
        register
            Fills the registry of drivers in the new process.
        loop_pid
            The process that holds the outputs now; None where none does.
        """
        self._link: Connection | None = None
        self._config, self._register, self._loop_pid = config, register, loop_pid
        self._deaths = 0
        if config.outputs:
            self._begin()

    def news(self) -> Iterator[str]:
        """Look whether it still stands by, and begin another process where it has died.

        Yields
        ------
        str
            A warning.
        """
        if self._link is None or self._process.is_alive() or self._deaths > MOST_DEATHS:
            return
        self._deaths += 1
        died = f"the process that stands by for safe outputs died (exit code {self._process.exitcode})"
        if self._deaths > MOST_DEATHS:
            yield f"{died}, the last of {self._deaths}; if the loop dies as well, nothing makes outputs safe"
            return
        self._link.close()
        self._begin()
        yield f"{died}; another one was started"

    def make_safe(self) -> list[str]:
        """Put all outputs of the run into their safe state. The loop must be gone, its ports free.

        Returns
        -------
        list[str]
            What failed; empty where nothing did.
        """
        if self._link is None:
            return []
        problems = self._ask()
        if problems is None:  # it has died as well, so that another one has to load the drivers first
            self._link.close()
            self._begin()
            problems = self._ask()
        if problems is None:
            problems = ["the process that should have done it died"]
        self._end()
        return [f"an output may not be in its safe state: {problem}" for problem in problems]

    def close(self) -> None:
        """End the process, because the loop has made its outputs safe itself."""
        if self._link is not None:
            self._end()

    def _ask(self) -> list[str] | None:
        """What failed; None where the process died before it could say."""
        assert self._link is not None
        try:
            self._link.send("make safe")
            if self._link.poll(TIMEOUT_S):
                return list(self._link.recv())
        except (EOFError, OSError):
            return None
        return [f"no answer within {TIMEOUT_S:g} s"]

    def _begin(self) -> None:
        self._link, theirs = processes.context.Pipe()
        self._process = processes.context.Process(
            target=_main,
            args=(theirs, self._config, self._register, self._loop_pid),
            name="rt-pose-safe-outputs",
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def _end(self) -> None:
        assert self._link is not None
        self._process.kill()  # so that it takes the closed link for no death of ours
        self._process.join()
        self._link.close()
        self._link = None


def _main(link: Connection, config: RunConfig, register: Callable[[], None], loop_pid: int | None) -> None:
    for sent in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(sent, signal.SIG_IGN)  # what ends the run must not end who cleans up after it
    os.nice(NICE)
    register()
    clock = HostClock()
    try:
        link.recv()
    except (EOFError, OSError):
        if loop_pid is not None:
            _wait_for_exit(loop_pid, clock)
        _make_all_safe(config, clock)
        return
    link.send(_make_all_safe(config, clock))


def _wait_for_exit(pid: int, clock: Clock) -> None:
    end_ns = clock.now_ns() + round(LOOP_EXIT_TIMEOUT_S * NS_PER_S)
    while process_is_alive(pid) and clock.now_ns() < end_ns:
        clock.sleep_until_ns(clock.now_ns() + round(POLL_S * NS_PER_S))


def process_is_alive(pid: int) -> bool:
    """Tell whether a process runs.

    Parameters
    ----------
    pid
        Its number.

    Returns
    -------
    bool
        False also for a zombie, whose parent has not collected it yet: it holds nothing any more.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _make_all_safe(config: RunConfig, clock: Clock) -> list[str]:
    """Side by side: one that does not answer must not keep the others' lines high."""
    context, problems = DriverContext(clock, config.seed), deque[str]()
    threads = {
        name: threading.Thread(
            target=_make_safe,
            args=(name, wanted, context, problems),
            name=f"rt-pose-safe-{name}",
            daemon=True,
        )
        for name, wanted in config.outputs.items()
    }
    for thread in threads.values():
        thread.start()
    end_ns = clock.now_ns() + round(OUTPUT_TIMEOUT_S * NS_PER_S)
    for name, thread in threads.items():
        thread.join(max(0.0, (end_ns - clock.now_ns()) / NS_PER_S))
        if thread.is_alive():
            problems.append(f"output '{name}': no answer within {OUTPUT_TIMEOUT_S:g} s")
    return list(problems)


def _make_safe(name: str, wanted: OutputConfig, context: DriverContext, problems: deque[str]) -> None:
    try:
        output = make_output(name, wanted.driver, wanted.options, context)
        output.open()
        output.safe_state()
        output.close()
    except UserError as error:
        problems.append(str(error))
    except Exception as error:  # noqa: BLE001 - reported to the caller
        problems.append(f"output '{name}': {type(error).__name__}: {error}")
