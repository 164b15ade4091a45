"""Processes of a run that begin in milliseconds, and that are known by their names from the first moment.

The program itself spawns them (`rt_pose.session.processes`), which costs each two or three seconds of a
processor. Here they are forked from a server that has imported what each of them needs; what they do from
their first line on is the same.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

IMPORTS = "bench.torture.warm_imports"
Begun = Callable[[str, int], None]
"""Takes the name and the number of a process that has begun."""


class _Announced(ForkServerProcess):
    """A process that is announced as soon as it has a number."""

    begun: ClassVar[Begun]
    """Of the class, since what an object holds is sent to the new process."""

    def start(self) -> None:
        """See `Process.start`."""
        super().start()
        assert self.pid is not None
        type(self).begun(self.name, self.pid)


class WarmContext:
    """Stands in for the context that spawns."""

    def __init__(self, errors: Path, begun: Begun) -> None:
        """Use the server that has forked this process, or one of its own.

        Parameters
        ----------
        errors
            The file to which standard error of the processes is appended.
        begun
            Called with each process that has begun.
        """
        self._errors = str(errors)
        _Announced.begun = begun
        _use_one_server()

    def Pipe(self, duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - its name
        """See `multiprocessing.Pipe`."""
        return multiprocessing.Pipe(duplex)

    def Process(  # noqa: N802 - its name
        self, target: Callable[..., object], args: tuple[Any, ...], name: str, daemon: bool | None = None
    ) -> BaseProcess:
        """See `multiprocessing.Process`."""
        work = (dict(os.environ), self._errors, target, args)
        return _Announced(target=_begin, args=work, name=name, daemon=daemon)


def _use_one_server() -> None:
    """Let a forked process take its server for its own processes too, where Python would begin another."""
    server = forkserver._forkserver
    if server.get_inherited_fds() is None:
        server.set_forkserver_preload([IMPORTS])
    else:
        server.ensure_running = resource_tracker.ensure_running  # type: ignore[method-assign]


def _begin(
    environment: dict[str, str], errors: str, target: Callable[..., object], args: tuple[Any, ...]
) -> None:
    """Go on in the environment of who asked for the process; the target of each."""
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    os.close(file)
    target(*args)
