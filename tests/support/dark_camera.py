"""The simulated camera as one that is never triggered: it opens well, and no frame comes."""

from __future__ import annotations

import rigs
from rigs.cameras.simulated import SimulatedCamera


def all_dark() -> None:
    """Registers the drivers; for the loop's process only."""
    _darken(lambda name: True)


def side_dark() -> None:
    """The same for the camera `side` alone."""
    _darken(lambda name: name == "side")


def _darken(is_dark) -> None:  # type: ignore[no-untyped-def]
    rigs.register()
    grab = SimulatedCamera.grab

    def wait_or_grab(camera, into):  # type: ignore[no-untyped-def]
        if is_dark(camera._name):
            camera._stopped.wait()
            return None
        return grab(camera, into)

    SimulatedCamera.grab = wait_or_grab  # type: ignore[method-assign]
