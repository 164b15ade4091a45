"""Engines of one thread: where several runs and trainings share the cores, two would wait for each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

MODULES = (
    *("rt_pose.inference.choose_engine", "train.export", "train.importing.package"),
    "train.quantisation.precisions",
)
"""Where an engine has as many threads as there are cores, unless it is told otherwise."""


def one() -> int:
    """Stands in for `physical_cores`."""
    return 1


def one_thread(replace: Callable[[Any, str, Any], object]) -> None:
    """Give engines one thread, in all that is imported; `replace` is `setattr`, or a `MonkeyPatch`'s."""
    for name in MODULES:
        if name in sys.modules:
            replace(sys.modules[name], "physical_cores", one)
