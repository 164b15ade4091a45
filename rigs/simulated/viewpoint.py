"""Where the four cameras of a rig in space stand: calibrated pinholes with a lens that look at the arena."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rigs.simulated.path import ARENA
from rigs.simulated.solid import MM
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera, distort

VIEWS = ("front", "side", "back", "top")
"""What the cameras are called where nobody says otherwise, by the number of the view."""
DISTANCE_MM = 850.0
"""From what they look at."""
LOOKS_AT_MM = np.array([0.0, 0.0, 20.0])
BOX_MM = np.array([0.42 * ARENA[0] * MM, 0.40 * ARENA[1] * MM, 100.0])
"""Half the length and width, and the height, of what fills a frame: the animal's paths, not the walls."""

_DIRECTIONS = ((250.0, 42.0), (345.0, 48.0), (125.0, 45.0), (270.0, 84.0))
"""Azimuth from x to y, and elevation, at which a camera stands, degrees."""
_LENSES = (
    (-0.08, 0.010, 0.0010, -0.0006, 0.0),
    (-0.05, 0.006, -0.0008, 0.0005, 0.0),
    (-0.07, 0.008, 0.0004, 0.0009, 0.0),
    (-0.06, 0.012, -0.0005, -0.0007, 0.0),
)
_OFF_CENTRE = ((0.012, -0.008), (-0.010, 0.006), (0.006, 0.012), (-0.008, -0.010))
"""Of the optical axis, in widths of the frame."""


def simulated_camera(view: int, width: int, height: int, name: str = "") -> CalibratedCamera:
    """Return a camera of the rig in space as a calibration without any error would have it.

    Parameters
    ----------
    view
        Number of the view, 0 to 3.
    width, height
        Size of its frames, px.
    name
        Its name; that of `VIEWS` where not given.

    Returns
    -------
    CalibratedCamera
        In mm, in the axes of `rigs.simulated.solid`.
    """
    rotation, position = _stand(*np.radians(_DIRECTIONS[view]))
    distortions = np.array(_LENSES[view])
    centre = np.array([width - 1, height - 1]) / 2.0 + width * np.array(_OFF_CENTRE[view])
    local = (_box() - position) @ rotation.T
    bent = distort(local[:, :2] / local[:, 2:], distortions)[0]
    room = np.where(bent > 0, np.array([width, height]) - 0.5 - centre, centre + 0.5)
    focal = float((room / np.abs(bent)).min())
    return CalibratedCamera(
        name or VIEWS[view],
        (width, height),
        np.array([[focal, 0.0, centre[0]], [0.0, focal, centre[1]], [0.0, 0.0, 1.0]]),
        distortions,
        np.asarray(cv2.Rodrigues(rotation)[0], np.float64).ravel(),
        -rotation @ position,
    )


def simulated_calibration(names: Sequence[str], width: int, height: int) -> list[CalibratedCamera]:
    """Return the calibration of the first cameras of the rig in space.

    Parameters
    ----------
    names
        Their names, in the order of the views; 1 to 4.
    width, height
        Size of their frames, px.

    Returns
    -------
    list[CalibratedCamera]
        One a name.
    """
    return [simulated_camera(view, width, height, name) for view, name in enumerate(names)]


def _stand(azimuth: float, elevation: float) -> tuple[FloatArray, FloatArray]:
    """Rotation (3, 3) into the camera's axes, and its position (3,) in mm."""
    away = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    ahead = -away
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(ahead, right), ahead]), LOOKS_AT_MM + DISTANCE_MM * away


def _box() -> FloatArray:
    """Corners (8, 3) of what fills a frame, mm."""
    signs = np.array(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], [0.0, 1.0])).reshape(3, -1).T
    corners: FloatArray = signs * BOX_MM
    return corners
