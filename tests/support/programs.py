"""Programs of ours, and the processes that they spawn, that begin in milliseconds: see `warm_processes`.

With `install` a program is started as ever, by `subprocess`: `python -m rt_pose.cli ...`, for instance, or a
script that imports ours. What it is told, what it says, its signals and its end are those of any program.
"""

from __future__ import annotations

import atexit
import inspect
import multiprocessing
import os
import random
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from support.warm_processes import PROGRAMS, RUNS, get_context

from bench.torture import warm
from bench.warm_processes import Surroundings, WarmContext, WarmPopen, WarmProcess
from rt_pose.session import processes

PACKAGES = ("rt_pose", "train", "bench", "submitit")
FLAGS = ("-P", "-u")
ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
real_popen = subprocess.Popen
_parameters = inspect.signature(real_popen._execute_child)  # type: ignore[attr-defined]


def install(replace: Callable[[Any, str, Any], object]) -> None:
    """Let programs and their processes begin warm; `replace` is `setattr`, or that of a `MonkeyPatch`."""
    replace(processes, "context", WarmContext(RUNS))
    replace(warm, "IMPORTS", RUNS)
    replace(multiprocessing, "get_context", get_context)
    replace(subprocess, "Popen", Program)


def words_of(given: dict[str, Any]) -> list[str] | None:
    """What follows the interpreter where a command is a program of ours; None: it is not."""
    args = given["args"]
    if given["shell"] or given["preexec_fn"] or given["pass_fds"] or not isinstance(args, list | tuple):
        return None
    if os.fspath(args[0]) != sys.executable:
        return None
    words = [os.fspath(word) for word in args[1:]]
    while words and words[0] in FLAGS:
        words.pop(0)
    module = len(words) > 1 and words[0] == "-m" and words[1].partition(".")[0] in PACKAGES
    script = bool(words) and words[0].endswith(".py")
    return words if module or script else None


class Program(real_popen[Any]):
    """Stands in for `subprocess.Popen`; what is no program of ours is started by that."""

    _forked: WarmPopen | None = None
    _reading: threading.Lock

    def _warm(self, given: dict[str, Any]) -> tuple[Callable[..., None], list[str]] | None:
        """What is to be called in the process, and with which words; None: it is to begin cold."""
        words = words_of(given)
        return None if words is None else (run_program, words)

    def _execute_child(self, *args: Any) -> None:
        given = _parameters.bind(self, *args).arguments
        warm = self._warm(given)
        if warm is None:
            super()._execute_child(*args)  # type: ignore[misc]
            return
        target, words = warm
        own = (given["p2cread"], given["c2pwrite"], given["errwrite"])
        streams = {number: number if fd == -1 else fd for number, fd in enumerate(own)}
        here = Surroundings(streams, given["env"], given["cwd"] and os.fspath(given["cwd"]))
        process = WarmProcess(target=target, args=(here, words, bool(given["start_new_session"])))
        process.imports, process.knows_main = PROGRAMS, False
        self._reading = threading.Lock()
        self._forked = WarmPopen(process)
        self.pid = self._forked.pid
        self._child_created = True
        self._close_pipe_fds(*(given[end] for end in ENDS))  # type: ignore[attr-defined]

    def _internal_poll(self, *args: Any, **named: Any) -> int | None:
        if self._forked is None:
            return super()._internal_poll(*args, **named)  # type: ignore[misc,no-any-return]
        with self._reading:  # how it ended is said once, whichever thread asks
            self.returncode = self._forked.poll()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self._forked is None:
            return super()._wait(timeout)  # type: ignore[misc,no-any-return]
        if self.returncode is None and not wait([self._forked.sentinel], timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        while (ended := self._internal_poll()) is None:
            pass
        return ended


@contextmanager
def as_a_program(here: Surroundings, new_session: bool) -> Iterator[None]:
    """In the surroundings of who started it, with its streams; at the end, do what an interpreter does."""
    if new_session:
        os.setsid()
    here.enter()
    random.seed()  # each its own, as where an interpreter begins
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stdout.reconfigure(line_buffering=unbuffered, write_through=unbuffered)
    try:
        yield
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()


def run_program(here: Surroundings, words: Sequence[str], new_session: bool) -> None:
    """Be the program."""
    with as_a_program(here, new_session):
        install(setattr)
        if words[0] == "-m":
            sys.argv = list(words[1:])
            sys.modules.pop(words[1], None)  # imported beforehand, as a module
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(words)
            sys.path.insert(0, str(Path(words[0]).parent))
            runpy.run_path(words[0], run_name="__main__")
