"""Fewer drivers than there are: many search for their devices for seconds, on networks and buses."""

from __future__ import annotations

import pytest

import rigs
from rt_pose.drivers import registry


def only(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Until the patch is undone these drivers alone are registered."""
    rigs.register()
    for table in ("_CAMERAS", "_OUTPUTS", "_INPUTS"):
        kept = {name: driver for name, driver in getattr(registry, table).items() if name in names}
        patch.setattr(registry, table, kept)
