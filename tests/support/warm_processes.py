"""Processes of tests that begin in milliseconds: see `bench.warm_processes`.

Tests that start `rt-pose` as a program start it as users do, unless they use `support.programs`.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from bench.warm_processes import WarmContext, server

RUNS, PROGRAMS = "support.warm_imports", "support.warm_training"
"""What is imported beforehand by those of a run, and by any program of ours."""
server(RUNS)  # whatever begins a program: that may begin a run

_real_context = multiprocessing.get_context


def get_context(method: str | None = None) -> Any:
    """Stands in for `multiprocessing.get_context`."""
    return WarmContext(PROGRAMS, _install) if method == "spawn" else _real_context(method)


def _install() -> None:
    from support.programs import install

    install(setattr)
