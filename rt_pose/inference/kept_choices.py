"""What `auto` measured on this machine, kept for the next start: a file for each set of what it depends on.

A kept choice saves nothing but the measurements. The engine that it names is loaded like any other, and has
to put the golden keypoints where they belong before it runs. A file that cannot be read, or that names what
is not there, counts as none: the choice is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import msgspec

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.build import to_plain
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.files import cache_folder, write_atomic
from rt_pose.inference.device import processor

METHOD = 1
"""Counts up when what is measured, or how, changes."""
LIBRARIES = ("rt-pose", "numpy", "numba", "llvmlite", "openvino", "torch")
SETTINGS = ("device", "backend", "precision", "preprocess", "threads")
"""Keys of the configuration's `engine` that the choice depends on."""
MOST_BYTES = 1 << 16
MOST_FILES = 200
"""So many are kept, the newest."""


class KeptChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen, and why."""

    utc: str
    """When it was measured, as people read it."""
    precision: str
    preprocess: Literal["compiled", "dali"]
    preprocess_why: str
    refused: list[str]
    """The faster ones that were not taken, each with its reason."""
    threads: int
    pinned: bool | None
    """Whether the threads are bound to cores; None of an engine that knows no such thing."""
    tuning: str
    """The measurements of the threads; empty where they were not measured."""


class _File(msgspec.Struct):
    choice: KeptChoice
    depends_on: dict[str, Any]
    """For people: the file's name is the hash of it."""


class ChoiceFile:
    """The place of one choice."""

    def __init__(self, package_sha256: str, config: EngineConfig, tuned: bool) -> None:
        """Find the place.

        Parameters
        ----------
        package_sha256
            Identity of the model package.
        config
            The `engine` section of a configuration.
        tuned
            Whether threads and their places are measured too.
        """
        plain = to_plain(config)
        self._depends_on: dict[str, Any] = {
            "method": METHOD,
            "package": package_sha256,
            "engine": {key: plain[key] for key in SETTINGS},
            "tuned": tuned,
            "processor": processor(),
            "cores": sorted(os.sched_getaffinity(0)),
            "versions": {name: _version(name) for name in LIBRARIES},
        }
        digits = hashlib.sha256(json.dumps(self._depends_on, sort_keys=True).encode()).hexdigest()[:32]
        try:
            self.path: Path | None = cache_folder("engines") / f"{digits}.json"
        except RuntimeError:  # a user without a home
            self.path = None

    def read(self) -> KeptChoice | None:
        """Read the choice.

        Returns
        -------
        KeptChoice | None
            None where there is none that can be read.
        """
        if self.path is None:
            return None
        try:
            with self.path.open("rb") as file:
                found = msgspec.json.decode(file.read(MOST_BYTES), type=_File)
        except (OSError, msgspec.MsgspecError, RecursionError):
            return None
        return found.choice

    def write(self, choice: KeptChoice) -> str:
        """Keep a choice in the place of an earlier one.

        Parameters
        ----------
        choice
            The choice.

        Returns
        -------
        str
            Where it is kept, or why it is not, for people.
        """
        if self.path is None:
            return "not kept: this user has no home folder; set XDG_CACHE_HOME"
        text = msgspec.json.format(msgspec.json.encode(_File(choice, self._depends_on)), indent=1).decode()
        try:
            write_atomic(self.path, text + "\n", "set XDG_CACHE_HOME to a folder where you may write")
        except (OSError, UserError) as error:
            return f"not kept: {error}"
        _remove_oldest(self.path.parent)
        return f"kept in {self.path}"


def now_in_words() -> str:
    """Format the time of day.

    Returns
    -------
    str
        UTC, to the minute.
    """
    return datetime.fromtimestamp(HostClock().utc_ns() // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _remove_oldest(folder: Path) -> None:
    """Remove what is beyond `MOST_FILES`; another start may do the same meanwhile."""
    with suppress(OSError):
        newest_first = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in newest_first[MOST_FILES:]:
            file.unlink(missing_ok=True)
