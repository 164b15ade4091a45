"""The groups of cases, what each needs before its first one, and how many make the whole matrix."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.torture import control, files, kills, rules
from bench.torture.runs import configuration, run_whole
from rigs.simulated.dataset import ANIMALS, write_labeled_folder
from rigs.simulated.options import SimulatedOptions

SESSION_SECONDS = 0.5
"""Of the session that is damaged: there is as much in it to damage as in a longer one."""


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one kind, each drawn from its number."""

    case: Callable[[Path, int], str]
    """(folder of the case, seed) -> what did not hold, empty where all did."""
    prepare: Callable[[Path, Path], None]
    """(folder of the group, model package): makes what the cases start from."""
    cases: int
    """Of the whole matrix."""
    limit_s: float = 10.0
    """A case that takes longer counts as hung."""


def _nothing(folder: Path, model: Path) -> None:
    """Make nothing."""


def _package(folder: Path, model: Path) -> None:
    shutil.copytree(model, folder / "package", dirs_exist_ok=True)


def _session(folder: Path, model: Path) -> None:
    if not (folder / "session").is_dir():
        run_whole(configuration(model, SESSION_SECONDS), folder / "session")


def _labels(folder: Path, model: Path) -> None:  # noqa: ARG001
    if not (folder / "labels").is_dir():
        write_labeled_folder(
            folder / "labels", ANIMALS, seed=0, options=SimulatedOptions(width=80, height=64)
        )


GROUPS = {
    "rules": Group(rules.judged_texts, _nothing, cases=5000, limit_s=30.0),
    "yaml": Group(files.damaged_yaml, _nothing, cases=10_000),
    "package": Group(files.damaged_package, _package, cases=10_000),
    "log": Group(files.damaged_log, _session, cases=10_000, limit_s=60.0),
    "session": Group(files.damaged_session, _session, cases=1000, limit_s=60.0),
    "labels": Group(files.damaged_labels, _labels, cases=10_000),
    "control": Group(control.flooded_run, _package, cases=25, limit_s=150.0),
    **{
        f"kill-{victim}": Group(partial(kills.killed_run, victim=victim), _package, cases=100, limit_s=150.0)
        for victim in kills.PROCESSES
    },
}
"""By name."""
