"""A calibrated camera: a pinhole with a lens, and where it stands, as anipose's `calibration.toml` has it.

A place of the world is seen from the camera at `R world + t`: x to its right, y down, z ahead. The lens is
Brown's of radial and tangential distortion (Brown 1966; OpenCV's k1, k2, p1, p2, k3). Lengths are in the
calibration's own unit: mm, where it was made with a board that was given in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from rt_pose.types import FloatArray

UNDISTORT_STEPS = 12
"""Newton's, which never step over the root of a lens that can be inverted; slow only near its fold."""
UNDISTORT_TOLERANCE = 1e-5
"""In focal lengths: a hundredth of a pixel."""


@dataclass(frozen=True, eq=False)
class CalibratedCamera:
    """One camera of a calibration."""

    name: str
    size: tuple[int, int]
    """Width and height of its frames, px."""
    matrix: FloatArray
    """(3, 3) [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], px."""
    distortions: FloatArray
    """(5,) k1, k2, p1, p2, k3."""
    rotation: FloatArray
    """(3,) rotation vector of R, rad."""
    translation: FloatArray
    """(3,) t, in the calibration's unit."""

    @cached_property
    def rotation_matrix(self) -> FloatArray:
        """R, (3, 3)."""
        return np.asarray(cv2.Rodrigues(self.rotation)[0], np.float64)

    @property
    def position(self) -> FloatArray:
        """Where in the world the camera stands, (3,)."""
        place: FloatArray = -self.rotation_matrix.T @ self.translation
        return place

    @property
    def focal(self) -> FloatArray:
        """Focal lengths fx and fy, px."""
        return np.array([self.matrix[0, 0], self.matrix[1, 1]])

    @property
    def centre(self) -> FloatArray:
        """Principal point, px."""
        return np.array([self.matrix[0, 2], self.matrix[1, 2]])

    @cached_property
    def fold2(self) -> float:
        """Squared distance from the axis (focal lengths) beyond which the lens would fold the image back."""
        k1, k2, _, _, k3 = self.distortions.tolist()
        roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
        real = roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real > 0)]
        return float(real.min()) if real.size else np.inf

    def project(self, xyz: FloatArray) -> FloatArray:
        """Find the pixels at which places of the world are seen.

        Parameters
        ----------
        xyz
            (..., 3) in the calibration's unit.

        Returns
        -------
        FloatArray
            (..., 2) px; NaN for what lies behind the camera, or outside of what its lens can show.
        """
        return self.project_with_derivative(xyz)[0]

    def project_with_derivative(self, xyz: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Find the pixels of places, and how they change with the place.

        Parameters
        ----------
        xyz
            (..., 3) in the calibration's unit.

        Returns
        -------
        tuple[FloatArray, FloatArray, FloatArray]
            (..., 2) px as of `project`; (..., 2, 3) their derivative by the place as the camera sees it,
            `R xyz + t`; and that place, (..., 3).
        """
        local = xyz @ self.rotation_matrix.T + self.translation
        depth = local[..., 2]
        with np.errstate(all="ignore"):  # what is not in front becomes NaN below
            ideal = local[..., :2] / depth[..., None]
            seen, bend = distort(ideal, self.distortions)
            shown = (depth > 0) & (np.square(ideal).sum(axis=-1) < self.fold2)
            by_local = np.zeros((*local.shape[:-1], 2, 3))
            by_local[..., 0, 0] = by_local[..., 1, 1] = 1 / depth
            by_local[..., 2] = -ideal / depth[..., None]
            slope = self.focal[:, None] * (bend @ by_local)
        px = seen * self.focal + self.centre
        return np.where(shown[..., None], px, np.nan), np.where(shown[..., None, None], slope, np.nan), local

    def undistort(self, px: FloatArray) -> FloatArray:
        """Find the directions in which pixels look, by Newton's method.

        Parameters
        ----------
        px
            (..., 2) px.

        Returns
        -------
        FloatArray
            (..., 2) x / z and y / z as the camera sees them; NaN where a pixel is NaN, or none that its lens
            can show.
        """
        goal = (px - self.centre) / self.focal
        ideal = goal
        with np.errstate(all="ignore"):
            for _ in range(UNDISTORT_STEPS):
                seen, bend = distort(ideal, self.distortions)
                (a, b), (c, d) = np.moveaxis(bend, (-2, -1), (0, 1))
                x, y = np.moveaxis(goal - seen, -1, 0)
                step = np.stack([d * x - b * y, a * y - c * x], -1) / (a * d - b * c)[..., None]
                ideal = ideal + step
                if not (np.abs(step) > UNDISTORT_TOLERANCE**2).any():
                    break
            off = np.abs(distort(ideal, self.distortions)[0] - goal).max(axis=-1)
            found = (off < UNDISTORT_TOLERANCE) & (np.square(ideal).sum(axis=-1) < self.fold2)
        return np.where(found[..., None], ideal, np.nan)

    def moved(self, turn: FloatArray, shift: FloatArray) -> CalibratedCamera:
        """Turn and shift the camera, in its own axes.

        Parameters
        ----------
        turn
            (3,) rotation vector, rad.
        shift
            (3,) in the calibration's unit.

        Returns
        -------
        CalibratedCamera
            The camera that sees at `turn(x) + shift` what this one sees at `x`.
        """
        turned = np.asarray(cv2.Rodrigues(np.asarray(turn, np.float64))[0], np.float64)
        rotation = cv2.Rodrigues(turned @ self.rotation_matrix)[0].ravel()
        return replace(self, rotation=rotation, translation=turned @ self.translation + shift)


def distort(ideal: FloatArray, distortions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bend directions as a lens does.

    Parameters
    ----------
    ideal
        (..., 2) x / z and y / z.
    distortions
        (5,) k1, k2, p1, p2, k3, or one such row for each direction, (..., 5).

    Returns
    -------
    tuple[FloatArray, FloatArray]
        (..., 2) where an ideal lens would show them, in focal lengths; and (..., 2, 2) the derivative.
    """
    u, v = ideal[..., 0], ideal[..., 1]
    k1, k2, p1, p2, k3 = np.moveaxis(distortions, -1, 0)
    r2 = u * u + v * v
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = k1 + r2 * (2 * k2 + 3 * k3 * r2)  # d radial / d r2
    seen = np.stack(
        [
            u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u),
            v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v,
        ],
        axis=-1,
    )
    cross = 2 * u * v * slope + 2 * p1 * u + 2 * p2 * v
    along_u = radial + 2 * u * u * slope + 2 * p1 * v + 6 * p2 * u
    along_v = radial + 2 * v * v * slope + 6 * p1 * v + 2 * p2 * u
    bend = np.stack([np.stack([along_u, cross], axis=-1), np.stack([cross, along_v], axis=-1)], axis=-2)
    return seen, bend
