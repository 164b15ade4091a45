"""The groups of cases, and what each needs before its first one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.torture import control, files, kills, rules
from rigs.simulated.dataset import write_labeled_folder


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one kind, each drawn from its number."""

    case: Callable[[Path, int], str]
    """(folder of the case, seed) -> what did not hold, empty where all did."""
    prepare: Callable[[Path, Path], None]
    """(folder of the group, model package): makes what the cases start from."""
    limit_s: float = 10.0
    """A case that takes longer counts as hung."""


def _nothing(folder: Path, model: Path) -> None:
    """Make nothing."""


def _package(folder: Path, model: Path) -> None:
    shutil.copytree(model, folder / "package", dirs_exist_ok=True)


def _session(folder: Path, model: Path) -> None:
    if not (folder / "session").is_dir():
        kills.run_whole(folder / "session", model)


def _labels(folder: Path, model: Path) -> None:  # noqa: ARG001
    if not (folder / "labels").is_dir():
        write_labeled_folder(folder / "labels", frames=12, seed=0)


GROUPS = {
    "rules": Group(rules.judged_texts, _nothing, limit_s=30.0),
    "yaml": Group(files.damaged_yaml, _nothing),
    "package": Group(files.damaged_package, _package),
    "session": Group(files.damaged_session, _session, limit_s=60.0),
    "labels": Group(files.damaged_labels, _labels),
    "control": Group(control.flooded_run, _package, limit_s=90.0),
    "kill": Group(kills.killed_run, _package, limit_s=90.0),
}
"""By name."""
