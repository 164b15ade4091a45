"""The only package that touches hardware: one file a driver, under `cameras`, `outputs`, `inputs`."""

from __future__ import annotations

import importlib
import pkgutil

from rigs import cameras, inputs, outputs
from rt_pose.drivers import report_broken


def register() -> None:
    """Import every driver file, so that its class stands in the registry of `rt_pose.drivers`.

    A file that cannot be imported is reported there, and the others are still registered.
    """
    for kind, package in (("camera", cameras), ("output", outputs), ("input", inputs)):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            try:
                importlib.import_module(module.name)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a vendor's library may raise anything, exits included
                report_broken(kind, module.name.rpartition(".")[2], error)
