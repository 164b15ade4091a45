"""The only package that touches hardware: one file a driver, under `cameras`, `outputs`, `inputs`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import partial

from rigs import cameras, inputs, outputs


def register() -> None:
    """Import every driver, so that its class stands in the registry of `rt_pose.drivers`.

    Those are the files of this package, and what installed packages name as entry points of the groups
    `rt_pose.cameras`, `rt_pose.outputs` and `rt_pose.inputs`. One that cannot be imported is reported there,
    and the others are still registered.
    """
    from importlib.metadata import entry_points  # here: the help of a verb imports what lies in this package

    points = entry_points()  # read once: each reading looks through every installed package
    for kind, package in (("camera", cameras), ("output", outputs), ("input", inputs)):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            _load(kind, module.name.rpartition(".")[2], partial(importlib.import_module, module.name))
        for point in points.select(group=f"rt_pose.{kind}s"):
            _load(kind, point.name, point.load)


def _load(kind: str, name: str, load: Callable[[], object]) -> None:
    from rt_pose.drivers import report_broken

    try:
        load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a vendor's library may raise anything, exits included
        report_broken(kind, name, error)
