"""Checks of groups of views that their types cannot make."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rt_pose.config.build import duration_problems
from rt_pose.config.source import Path
from rt_pose.config.views import UNITS_MM
from rt_pose.errors import nearest

if TYPE_CHECKING:
    from rt_pose.config.schema import RunConfig
    from rt_pose.config.views import ViewsConfig, ViewTrackingConfig

WORDS_FOR_CAMERAS = ("any", "all")
LATEST_NS = 1e9
Problem = tuple[Path, str]


def view_problems(config: RunConfig) -> Iterator[Problem]:
    """Find what makes no sense in a run's groups of views.

    Parameters
    ----------
    config
        The run.

    Yields
    ------
    Problem
        Where it stands, and what is wrong.
    """
    for name, group in config.views.items():
        path: Path = ("views", name)
        for kind, names in (("a camera", config.cameras), ("an output", config.outputs)):
            if name in names:
                yield path, f"{kind} is called {name!r} too; expected another name"
        if name in WORDS_FOR_CAMERAS:
            yield path, f"{name!r} is a word of the rules; expected another name"
        yield from _cameras(group, config, (*path, "cameras"))
        yield from _geometry(group, path)
        yield from duration_problems(group.late, 0.0, LATEST_NS, "0 ms to 1 s", (*path, "late"))
        yield from _tracking(group.tracking, (*path, "tracking"))


def _cameras(group: ViewsConfig, config: RunConfig, path: Path) -> Iterator[Problem]:
    names = list(group.cameras)
    if len(names) < 2:
        yield path, f"expected two cameras or more, got {len(names)}"
    for i, name in enumerate(names):
        at: Path = (*path, name if isinstance(group.cameras, dict) else i)
        if name not in config.cameras:
            hint = nearest(name, config.cameras) or f"; there are {', '.join(config.cameras) or 'none'}"
            yield at, f"there is no camera '{name}'{hint}"
        if name in names[:i]:
            yield at, f"camera '{name}' is named twice; expected each once"
    theirs = list(group.camera_names.values())
    if isinstance(group.cameras, dict):
        for ours, name in group.cameras.items():
            if theirs.count(name) > 1:
                yield (*path, ours), f"two cameras are '{name}' of the calibration; expected each once"


def _geometry(group: ViewsConfig, path: Path) -> Iterator[Problem]:
    if group.unit not in UNITS_MM:
        yield (*path, "unit"), f"expected mm, cm or m, got {group.unit!r}"
    for key in ("origin", "up", "ahead"):
        value = getattr(group, key)
        if value is None:
            continue
        if len(value) != 3 or not all(math.isfinite(number) for number in value):
            yield (*path, key), f"expected three numbers, [x, y, z], got {value}"
        elif key != "origin" and not any(value):
            yield (*path, key), "expected a direction, got [0, 0, 0]"
    if group.ahead is not None and group.up is None:
        yield (*path, "ahead"), "it turns the axes about `up`; give `up` as well"


def _tracking(tracking: ViewTrackingConfig, path: Path) -> Iterator[Problem]:
    if tracking.speed is not None and not 0 < tracking.speed < 1e6:
        yield (*path, "speed"), f"expected more than 0 mm/s, got {tracking.speed}"
    if not 0 < tracking.gate < math.inf:
        yield (*path, "gate"), f"expected more than 0, got {tracking.gate}"
    if not 1 <= tracking.restart_observations <= 10_000:
        yield (*path, "restart_observations"), f"expected 1 to 10000, got {tracking.restart_observations}"
    if tracking.tau is not None:
        yield from duration_problems(tracking.tau, 1e6, 60e9, "1 ms to 60 s", (*path, "tau"))
    for key in ("start", "lost"):
        yield from duration_problems(getattr(tracking, key), 1e6, 60e9, "1 ms to 60 s", (*path, key))
