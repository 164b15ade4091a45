"""The mirrors of the simulated rig: from their two voltages to a place of the arena, and back.

They stand aslant, as mirrors do: turned a little, with a keystone. Whoever aims with them must calibrate.
"""

from __future__ import annotations

import numpy as np

from rigs.simulated.scene import View
from rt_pose.types import FloatArray

VOLTS_TO_ARENA = np.array([[0.140, 0.006, 0.625], [-0.005, 0.112, 0.500], [0.002, -0.004, 1.0]])
"""Homography from volts (x, y) to scene coordinates; the arena lies within +-5 V."""
FURTHEST_V = 10.0
"""The mirrors turn no further, to either side."""
SPOT_RADIUS = 0.018
"""Of the light on the floor (arena heights)."""


def place_of(volts: tuple[float, float]) -> tuple[float, float]:
    """Find where the light falls.

    Parameters
    ----------
    volts
        Of the two mirrors, V.

    Returns
    -------
    tuple[float, float]
        Place of the arena, scene units.
    """
    x, y, w = VOLTS_TO_ARENA @ (*volts, 1.0)
    return float(x / w), float(y / w)


def px_to_volts(view: View) -> FloatArray:
    """Compute the calibration that a camera would measure without any error.

    Parameters
    ----------
    view
        Of that camera.

    Returns
    -------
    FloatArray
        (3, 3) homography from px of its frame to V.
    """
    corner, unit = view.pixels(np.array([[0.0, 0.0], [1.0, 1.0]]))
    arena_to_px = np.array(
        [[unit[0] - corner[0], 0.0, corner[0]], [0.0, unit[1] - corner[1], corner[1]], [0.0, 0.0, 1.0]]
    )
    found: FloatArray = np.linalg.inv(arena_to_px @ VOLTS_TO_ARENA)
    return found / found[2, 2]
