"""Runs whose processes are followed from outside: their numbers, their messages, their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import rigs
from bench.torture.warm import AnnouncedContext
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import (
    CameraConfig,
    OutputConfig,
    ProcessorConfig,
    PublishConfig,
    RecordConfig,
    RunConfig,
)
from rt_pose.errors import UserError
from rt_pose.package import read_package
from rt_pose.session import processes
from rt_pose.session.run import RunObserver, run_session

SUPERVISOR = "supervisor"
PROCESSOR = "left"
ENDS_S = 60.0
"""Within which all processes of a run are gone once its supervisor is."""
SOURCE = '''"""A processor that keeps when the first keypoint was left of a line."""


class LeftOf:
    def __init__(self, x):
        self.x, self.times = x, []

    def process(self, pose, **given):
        if pose[0, 0] < self.x:
            self.times.append(given["frame_time"])
        return pose
'''


def configuration(model: Path, seconds: float, processor: Path | None = None) -> RunConfig:
    """Make a run of the simulated rig with rules that fire several times a second.

    Parameters
    ----------
    model
        Model package.
    seconds
        Length of the run, s.
    processor
        Python file with a processor `LeftOf`; None for a run without one.

    Returns
    -------
    RunConfig
        The run, armed, on free ports.
    """
    keypoint = read_package(model).manifest.keypoints[0]
    do = ActionConfig("stimulus", "2 ms")
    own = {} if processor is None else {PROCESSOR: ProcessorConfig(f"{processor}:LeftOf", {"x": 160.0})}
    return RunConfig(
        model=str(model),
        cameras={"top": CameraConfig("simulated", {"rate_hz": 60, "world": "w"})},
        outputs={"stimulus": OutputConfig("simulated", {"world": "w"})},
        rules=[
            RuleConfig("left", f"x({keypoint}) < 160", do, late="fire"),
            RuleConfig("right", f"x({keypoint}) >= 160", do, late="fire"),
            RuleConfig("fast", f"speed({keypoint}) > 60", do, late="fire"),
        ],
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        record=RecordConfig(video=False),
        processors=own,
        budget_ms=500.0,
        seconds=seconds,
        armed_at_start=True,
    )


@dataclass
class FollowedRun:
    """A run that goes on in processes of its own, and what is known of it by now."""

    link: Connection
    addresses: dict[str, str] = field(default_factory=dict)
    """Empty until everything is open."""
    ending_ns: int = 0
    """When its last frame had been decided on, host time, ns; 0 before that."""
    refused: str = ""
    """Why the run was refused."""
    outcome: dict[str, Any] = field(default_factory=dict)
    """Status, exit code, warnings and summary of a run that has ended."""
    open: bool = True
    """Whether its supervisor may say more."""
    _descriptors: dict[str, int] = field(default_factory=dict)
    """Of the processes, by name: a number alone may be another process's by now."""

    def add(self, name: str, pid: int) -> None:
        """Follow a process.

        Parameters
        ----------
        name
            Its name.
        pid
            Its number.
        """
        if name in self._descriptors:  # another took the place of one that died
            os.close(self._descriptors.pop(name))
        with suppress(ProcessLookupError):  # it has ended already
            self._descriptors[name] = os.pidfd_open(pid)

    def has(self, name: str) -> bool:
        """Tell whether a process has begun.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        bool
            Whether it has.
        """
        return name in self._descriptors

    def receive(self, timeout_s: float) -> None:
        """Take in one message, if one comes.

        Parameters
        ----------
        timeout_s
            How long to wait for it, s.
        """
        try:
            if not self.link.poll(timeout_s):
                return
            kind, content = self.link.recv()
        except (EOFError, OSError):
            self.open = False
            return
        if kind == "process":
            self.add(*content)
        elif kind == "ready":
            self.addresses = content
        elif kind == "ending":
            self.ending_ns = content
        elif kind == "refused":
            self.refused = content
        elif kind == "ended":
            self.outcome = content

    def kill(self, name: str) -> None:
        """Kill a process; nothing happens where it has ended.

        Parameters
        ----------
        name
            Its name.
        """
        with suppress(ProcessLookupError, KeyError):
            signal.pidfd_send_signal(self._descriptors[name], signal.SIGKILL)

    def await_end(self, timeout_s: float = ENDS_S) -> list[str]:
        """Wait until all processes have ended.

        Parameters
        ----------
        timeout_s
            How long, s.

        Returns
        -------
        list[str]
            Names of those that have not.
        """
        clock = HostClock()
        end_ns = clock.now_ns() + round(timeout_s * NS_PER_S)
        while True:
            if self.open:  # one that could not say more would not end
                self.receive(0.0)
            ended = wait(list(self._descriptors.values()), 0.02)
            alive = [name for name, descriptor in self._descriptors.items() if descriptor not in ended]
            if not (alive or self.open) or clock.now_ns() > end_ns:
                return alive

    def close(self) -> None:
        """Kill what is left."""
        for name, descriptor in self._descriptors.items():
            self.kill(name)
            os.close(descriptor)
        self.link.close()


@contextmanager
def followed(config: RunConfig, out: Path, errors: Path) -> Iterator[FollowedRun]:
    """Begin a run whose supervisor is a process of its own.

    Parameters
    ----------
    config
        The run.
    out
        The session's folder.
    errors
        The file to which standard error of all its processes is appended.

    Yields
    ------
    FollowedRun
        The run; what is left of it at the end is killed.
    """
    numbers: list[tuple[str, int]] = []
    context = AnnouncedContext(errors, lambda name, pid: numbers.append((name, pid)))
    ours, theirs = context.Pipe()
    context.Process(target=supervise, args=(config, out, errors, theirs), name=SUPERVISOR).start()
    theirs.close()
    run = FollowedRun(ours)
    run.add(*numbers[0])
    try:
        yield run
    finally:
        run.close()


def run_whole(config: RunConfig, out: Path) -> None:
    """Record a session in processes of its own.

    Parameters
    ----------
    config
        The run.
    out
        The session's folder.

    Raises
    ------
    UserError
        Where the run did not end well.
    """
    errors = out.with_name(f"{out.name}.errors.txt")
    with followed(config, out, errors) as run:
        while run.open:
            run.receive(1.0)
        run.await_end()
        if run.outcome.get("status") != "complete":
            raise UserError(f"the run did not end well: {run.refused or run.outcome}; see {errors}")


def supervise(config: RunConfig, out: Path, errors: Path, link: Connection) -> None:
    """Run, and tell what happens; the target of a process.

    Parameters
    ----------
    config
        The run.
    out
        The session's folder.
    errors
        The file to which standard error of its processes is appended.
    link
        Takes the messages.
    """
    context = AnnouncedContext(errors, lambda name, pid: link.send(("process", (name, pid))))
    processes.context = context  # type: ignore[assignment]
    try:
        result = run_session(config, out, rigs.register, HostClock(), _Announcer(link))
    except UserError as error:
        link.send(("refused", str(error)))
        return
    kept = {"status": result.status, "exit_code": int(result.exit_code)}
    link.send(("ended", {**kept, "warnings": result.warnings, "summary": result.summary}))


class _Announcer(RunObserver):
    """Tells when the run is ready, and when it ends."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def ready(self, description: dict[str, Any]) -> None:
        """See `RunObserver.ready`."""
        self._link.send(("ready", description["addresses"]))

    def ending(self) -> None:
        """See `RunObserver.ending`."""
        self._link.send(("ending", HostClock().now_ns()))
