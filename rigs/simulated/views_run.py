"""The shipped run of several views on the simulated rig, with as many of its cameras as are wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rigs.simulated.viewpoint import VIEWS
from rt_pose.config.build import load
from rt_pose.config.schema import RunConfig
from rt_pose.config.shipped import FOLDER
from rt_pose.config.views import place_calibrations
from rt_pose.errors import UserError

GROUP = "arena"
"""Name of the group of views."""


def views_run(views: int, where: str, **options: Any) -> RunConfig:
    """Load the run.

    Parameters
    ----------
    views
        How many cameras stand around the arena, 2 to 4.
    where
        What to name in an error.
    **options
        Further options of every camera.

    Returns
    -------
    RunConfig
        `configs/views.yaml` with these cameras.

    Raises
    ------
    UserError
        Where there are not so many.
    """
    if not 2 <= views <= len(VIEWS):
        raise UserError(f"{where}: expected 2 to {len(VIEWS)} cameras, got {views}")
    file, names = FOLDER / "views.yaml", VIEWS[:views]
    config = load(RunConfig, file)
    place_calibrations(config.views, file)
    one = next(iter(config.cameras.values()))
    config.cameras = {
        name: replace(one, options=one.options | options | {"view": view}) for view, name in enumerate(names)
    }
    config.views[GROUP].cameras = list(names)
    return config
