"""Processes of a run that begin in milliseconds: forked from one that has imported what each of them needs.

The program itself spawns them (`rt_pose.session.processes`), which costs each two or three seconds of a
processor. What they do from their first line on is the same. Tests that start `rt-pose` as a program start
them as users do.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent


class WarmContext:
    """Stands in for the context that spawns."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._started = False

    def Pipe(self, duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - its name
        """See `multiprocessing.Pipe`."""
        return self._context.Pipe(duplex)

    def Process(  # noqa: N802 - its name
        self, target: Callable[..., object], args: tuple[Any, ...], name: str, daemon: bool | None = None
    ) -> BaseProcess:
        """See `multiprocessing.Process`."""
        if not self._started:
            self._start()
        environment = dict(os.environ)
        return self._context.Process(target=begin, args=(environment, target, args), name=name, daemon=daemon)

    def _start(self) -> None:
        self._started = True
        self._context.set_forkserver_preload(["support.warm_imports"])
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), str(TESTS.parent), path]))
        try:
            forkserver.ensure_running()
        finally:
            if path is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = path


def begin(environment: dict[str, str], target: Callable[..., object], args: tuple[Any, ...]) -> None:
    """Go on in the parent's environment as it is now; the target of each process."""
    os.environ.clear()
    os.environ.update(environment)
    target(*args)
