"""An orthographic projection of space onto a pane, and what one is oriented by there. No Qt in here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera

START_AZIMUTH, START_ELEVATION = math.radians(30.0), math.radians(25.0)
CELLS = 8
"""Of the floor's grid, along a side: at least so many."""
MOST_ELEVATION = math.radians(90.0)
FRUSTUM = 0.12
"""Length of a camera as drawn, of its distance from the middle."""


@dataclass(frozen=True)
class Projection:
    """A direction in which space is looked at."""

    upright: bool = True
    """Whether z is up; else the axes are those of a camera, and up is -y."""
    azimuth: float = START_AZIMUTH
    """Turn about what is up, rad."""
    elevation: float = START_ELEVATION
    """How far from above, rad: 0 is from the side, pi / 2 from the top."""

    def turned(self, azimuth: float, elevation: float) -> Projection:
        """Turn the view.

        Parameters
        ----------
        azimuth, elevation
            By how much, rad; the elevation stays within a quarter turn of level.

        Returns
        -------
        Projection
            The view from there.
        """
        tilt = min(max(self.elevation + elevation, -MOST_ELEVATION), MOST_ELEVATION)
        return replace(self, azimuth=(self.azimuth + azimuth) % (2 * math.pi), elevation=tilt)

    @property
    def matrix(self) -> FloatArray:
        """(2, 3): from space to the pane, x to the right and y up."""
        across, away, up = self.axes
        sin, cos = math.sin(self.azimuth), math.cos(self.azimuth)
        right = cos * across + sin * away
        ahead = cos * away - sin * across
        return np.stack([right, math.cos(self.elevation) * up + math.sin(self.elevation) * ahead])

    @property
    def axes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Two axes of the floor, and what is up, (3,) each."""
        x, y, z = np.eye(3)
        return (x, y, z) if self.upright else (x, z, -y)

    def project(self, xyz: FloatArray) -> FloatArray:
        """Project places.

        Parameters
        ----------
        xyz
            (..., 3).

        Returns
        -------
        FloatArray
            (..., 2) in the unit of space.
        """
        projected: FloatArray = xyz @ self.matrix.T
        return projected

    def project_cov(self, cov: FloatArray) -> FloatArray:
        """Project covariances.

        Parameters
        ----------
        cov
            (P, 6) sxx, sxy, sxz, syy, syz, szz.

        Returns
        -------
        FloatArray
            (P, 3) sxx, sxy, syy on the pane.
        """
        whole = cov[:, [[0, 1, 2], [1, 3, 4], [2, 4, 5]]]
        flat = self.matrix @ whole @ self.matrix.T
        return flat[:, [0, 0, 1], [0, 1, 1]]


@dataclass(frozen=True)
class Surroundings:
    """Where the cameras of a group look, and how far around."""

    middle: FloatArray
    """(3,)."""
    radius: float
    floor: float
    """Height of the floor along what is up."""

    @classmethod
    def of(cls, cameras: Iterable[CalibratedCamera], upright: bool) -> Surroundings:
        """Find the place that the cameras look at.

        Parameters
        ----------
        cameras
            Of the group.
        upright
            Whether z is up, and 0 the floor.

        Returns
        -------
        Surroundings
            The place nearest to all their axes, and a third of the median distance of the cameras from it.
        """
        places = np.array([camera.position for camera in cameras]).reshape(-1, 3)
        axes = np.array([camera.rotation_matrix[2] for camera in cameras]).reshape(-1, 3)
        if not len(places):
            return cls(np.zeros(3), 100.0, 0.0)
        beside = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # what leads away from each axis
        middle = np.linalg.lstsq(beside.sum(axis=0), (beside @ places[..., None]).sum(axis=0)[:, 0])[0]
        far = float(np.median(np.linalg.norm(places - middle, axis=1)))
        up = Projection(upright).axes[2]
        return cls(middle, max(far / 3.0, 1e-6), 0.0 if upright else float(up @ middle))

    @property
    def cell(self) -> float:
        """Side of a square of the floor's grid: 1, 2 or 5 times a power of ten."""
        most = 2 * self.radius / CELLS
        power = 10.0 ** math.floor(math.log10(most))
        return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= most)

    def on_floor(self, xyz: FloatArray, up: FloatArray) -> FloatArray:
        """Drop places onto the floor.

        Parameters
        ----------
        xyz
            (..., 3).
        up
            (3,) what is up.

        Returns
        -------
        FloatArray
            (..., 3).
        """
        dropped: FloatArray = xyz - ((xyz @ up) - self.floor)[..., None] * up
        return dropped

    def grid(self, projection: Projection) -> FloatArray:
        """Make the lines of the floor.

        Parameters
        ----------
        projection
            Says what is up.

        Returns
        -------
        FloatArray
            (2 L, 3): L lines, by their ends.
        """
        across, away, up = projection.axes
        cell = self.cell
        half = cell * math.ceil(self.radius / cell)
        middle = self.floor * up
        for axis in (across, away):
            middle = middle + cell * round(float(axis @ self.middle) / cell) * axis
        at = np.arange(-half, half + 0.5 * cell, cell)[:, None, None]
        ends = half * np.array([-1.0, 1.0])[None, :, None]
        lines = np.concatenate([at * across + ends * away, at * away + ends * across])
        grid: FloatArray = middle + lines.reshape(-1, 3)
        return grid


def camera_lines(camera: CalibratedCamera, middle: FloatArray) -> FloatArray:
    """Make the lines of a camera: from where it stands to the corners of what it sees.

    Parameters
    ----------
    camera
        The camera.
    middle
        (3,) what it looks at.

    Returns
    -------
    FloatArray
        (16, 3): eight lines, by their ends.
    """
    width, height = camera.size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    rays = np.column_stack([(corners - camera.centre) / camera.focal, np.ones(4)])
    far = FRUSTUM * float(np.linalg.norm(camera.position - middle))
    ends = camera.position + far * rays @ camera.rotation_matrix
    sides = np.stack([np.broadcast_to(camera.position, ends.shape), ends], axis=1)
    rim = np.stack([ends, np.roll(ends, -1, axis=0)], axis=1)
    return np.concatenate([sides, rim]).reshape(-1, 3)


def axis_lines(middle: FloatArray, length: float) -> FloatArray:
    """Make the axes x, y and z.

    Parameters
    ----------
    middle
        (3,) from where.
    length
        Of each.

    Returns
    -------
    FloatArray
        (3, 2, 3): their ends.
    """
    return np.stack([np.tile(middle, (3, 1)), middle + length * np.eye(3)], axis=1)
