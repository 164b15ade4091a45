"""The simulated camera with a fault of vendors' libraries: it never comes back from `stop`, or `close`."""

from __future__ import annotations

import threading

import rigs
from rigs.cameras.simulated import SimulatedCamera


def _hang(camera: SimulatedCamera) -> None:
    threading.Event().wait()


def hangs_in_stop() -> None:
    """Registers the drivers; for the loop's process only."""
    rigs.register()
    SimulatedCamera.stop = _hang  # type: ignore[method-assign]


def hangs_in_close() -> None:
    """Registers the drivers; for the loop's process only. What was never stopped is closed well."""
    rigs.register()
    close = SimulatedCamera.close

    def close_or_hang(camera: SimulatedCamera) -> None:
        if camera._stopped.is_set():
            _hang(camera)
        close(camera)

    SimulatedCamera.close = close_or_hang  # type: ignore[method-assign]
