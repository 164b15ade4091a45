"""Trainings in processes of their own, some at a time, each with one thread.

Two trainings of one thread get more out of two cores than one training of two threads. A process that dies
takes no other with it. The lines that each reports go to the caller; its bars and warnings to
FOLDER/training.log.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Literal

from rt_pose.console import format_line, line_prefix, log_to
from rt_pose.errors import UserError
from train.config import TrainConfig
from train.fitting.ensemble_member import MemberTraining, train_member
from train.support.interrupts import block_sigint, on_stop_signal, unblock_sigint

_LOG = logging.getLogger(__name__)

LOG = "training.log"
GRACE_S = 20.0
"""A process that is asked to end does so within this time: after its step."""
How = Literal["trained", "interrupted", "failed"]


@dataclass
class MemberResult:
    """A member whose training is over."""

    member: MemberTraining
    how: How
    reason: str = ""


def run_sequentially(config: TrainConfig, members: Sequence[MemberTraining]) -> Iterator[MemberResult]:
    """Train members in this process, one after another.

    Parameters
    ----------
    config
        Of the ensemble.
    members
        Those to train, in order.

    Yields
    ------
    MemberResult
        Each as it ends. A member that fails does not end the others; an interrupted one is the last.
    """
    for member in members:
        try:
            with line_prefix(f"{member.name}: "):
                whole = train_member(member, config)
        except (UserError, OSError) as error:
            yield MemberResult(member, "failed", str(error))
            continue
        yield MemberResult(member, "trained" if whole else "interrupted")
        if not whole:
            return


def run_in_parallel(
    config: TrainConfig, members: Sequence[MemberTraining], jobs: int
) -> Iterator[MemberResult]:
    """Train several members at a time, each in a process of its own.

    Parameters
    ----------
    config
        Of the ensemble; each process has one thread where it sets none.
    members
        Those to train, in order.
    jobs
        Largest number of trainings at a time.

    Yields
    ------
    MemberResult
        Each as it ends. Ctrl-C or a SIGTERM ends those that run, early, and starts no more.
    """
    config = replace(config, threads=config.threads or 1)
    waiting = deque(members)
    running: dict[Connection, tuple[MemberTraining, SpawnProcess]] = {}
    with _forward_stop(running) as asked:
        try:
            while running or (waiting and not asked.is_set()):
                while waiting and len(running) < jobs and not asked.is_set():
                    _start(config, waiting.popleft(), running)
                for link in wait(list(running)):
                    assert isinstance(link, Connection)
                    if (ended := _relay_output(link, *running[link], asked)) is not None:
                        del running[link]
                        yield ended
        finally:
            _end([process for _, process in running.values()])


def _end(processes: Sequence[SpawnProcess]) -> None:
    """End processes: ask them first, and kill those that still run after `GRACE_S`."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE_S)
        process.kill()
        process.join()


def _start(
    config: TrainConfig,
    member: MemberTraining,
    running: dict[Connection, tuple[MemberTraining, SpawnProcess]],
) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_train, args=(config, member, theirs), name=f"rt-pose-{member.name}")
    resource_tracker.ensure_running()  # starting it would unblock the signal again
    with block_sigint():  # a Ctrl-C waits until it can be passed on, and the process until it can handle it
        process.start()
        running[ours] = (member, process)
    theirs.close()


def _relay_output(
    link: Connection, member: MemberTraining, process: SpawnProcess, asked: threading.Event
) -> MemberResult | None:
    """Pass on a line of a process; return how it ended, once it has. `asked`: whether Ctrl-C came."""
    try:
        kind, text = link.recv()
    except EOFError:
        process.join()
        if asked.is_set():
            return MemberResult(member, "interrupted")
        return MemberResult(
            member, "failed", f"its process died with exit code {process.exitcode}; see {member.folder / LOG}"
        )
    if kind == "log":
        with line_prefix(f"{member.name}: "):
            _LOG.info(text)
        return None
    process.join()
    return MemberResult(member, kind, text)


def _train(config: TrainConfig, member: MemberTraining, link: Connection) -> None:
    """Train one member; for a spawned child."""
    # In a session of its own it gets Ctrl-C once, from the parent, and not a second time from the terminal.
    os.setsid()
    member.folder.mkdir(parents=True, exist_ok=True)
    with (member.folder / LOG).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        unblock_sigint()
        log_to(_LinkHandler(link))
        whole = train_member(member, config)
    except KeyboardInterrupt:  # before the training, or in its export
        link.send(("interrupted", ""))
        return
    except (UserError, OSError) as error:
        link.send(("failed", str(error)))
        return
    link.send(("trained" if whole else "interrupted", ""))


class _LinkHandler(logging.Handler):
    """Sends the log lines of this process to the one that started it."""

    def __init__(self, link: Connection) -> None:
        super().__init__()
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        self._link.send(("log", format_line(record)))


@contextmanager
def _forward_stop(
    running: dict[Connection, tuple[MemberTraining, SpawnProcess]],
) -> Iterator[threading.Event]:
    """Pass on the first signal to stop within the context to the processes; the event says that it came."""
    asked = threading.Event()

    def hand_on() -> None:
        asked.set()
        for _, process in list(running.values()):
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)

    with on_stop_signal(hand_on):
        yield asked
