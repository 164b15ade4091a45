"""Our drivers, of which cameras through Aravis note their fault, and the simulated output its safe state."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import rigs
from rigs.cameras.aravis import AravisCamera
from rigs.outputs.simulated import SimulatedOutput
from rt_pose.clock import HostClock
from rt_pose.drivers import CameraFault, Grabbed

NOTES = "RT_POSE_TEST_NOTES"
"""Variable of the environment: the file of the notes, a line each: what, and when by the host clock, ns."""


def register() -> None:
    """Register the drivers; for every process of a run."""
    rigs.register()
    grab, safe_state = AravisCamera.grab, SimulatedOutput.safe_state

    def noting_grab(camera: AravisCamera, into: NDArray[np.uint8]) -> Grabbed:
        try:
            return grab(camera, into)
        except CameraFault:
            _note("fault")
            raise

    def noting_safe_state(output: SimulatedOutput) -> None:
        safe_state(output)
        _note("safe")

    AravisCamera.grab = noting_grab  # type: ignore[method-assign]
    SimulatedOutput.safe_state = noting_safe_state  # type: ignore[method-assign]


def _note(what: str) -> None:
    with Path(os.environ[NOTES]).open("a") as file:
        file.write(f"{what} {HostClock().now_ns()}\n")


def read_notes(path: Path) -> list[tuple[str, int]]:
    """What was noted, and when."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(what, int(t_ns)) for what, t_ns in lines]
