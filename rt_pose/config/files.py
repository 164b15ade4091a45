"""Finding the file of a configuration."""

from __future__ import annotations

from pathlib import Path

from rt_pose.config.shipped import find_shipped, shipped_configs
from rt_pose.errors import UserError, nearest


def find_config(name: str | Path) -> Path:
    """The file of a configuration: as given, else among those that come with rt-pose.

    Raises
    ------
    UserError
        Where there is none, or it is a folder.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"{name} is a folder, not a configuration file")
    found = find_shipped(str(name))
    if found is None:
        hint = nearest(str(name).removeprefix("configs/"), [config.name for config in shipped_configs()])
        raise UserError(f"configuration {name}: no such file, and none that comes with rt-pose{hint}")
    return found
