"""The processes that test side by side, forked from the one that programs are forked from.

Each would import the same libraries for itself, which takes a quarter of a minute of a processor. In all else
a worker is what pytest-xdist makes of it: what its tests start begins cold unless they ask.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing import process
from typing import Any

from support.programs import Program, as_a_program

from bench.warm_processes import Surroundings

MainProcess = type(process.current_process())  # of a process that was not begun by `multiprocessing`


def install() -> None:
    """Let the workers of this process begin warm; it starts nothing else."""
    subprocess.Popen = WarmWorker  # type: ignore[misc]


class WarmWorker(Program):
    """Stands in for `subprocess.Popen` where workers are started: by `python -u -c CODE`."""

    def _warm(self, given: dict[str, Any]) -> tuple[Callable[..., None], list[str]] | None:
        match given["args"]:
            case [sys.executable, "-u", "-c", code]:
                return run_worker, [code]
        return None


def run_worker(here: Surroundings, code: Sequence[str], new_session: bool) -> None:
    """Be the worker: a process that nobody forked, as far as its tests can see."""
    with as_a_program(here, new_session):
        process._current_process, process._parent_process = MainProcess(), None  # type: ignore[attr-defined]
        multiprocessing.set_start_method(None, force=True)  # type: ignore[arg-type]
        sys.argv = ["-c"]
        exec(code[0], {"__name__": "__main__"})
