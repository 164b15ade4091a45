"""The only package that touches hardware: one file a driver, under `rigs/cameras` and `rigs/outputs`."""

from __future__ import annotations

import importlib
import pkgutil

from rigs import cameras, outputs


def register() -> None:
    """Import every driver file, so that its class stands in the registry of `rt_pose.drivers`."""
    for package in (cameras, outputs):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
