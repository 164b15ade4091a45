"""Where a camera would have to stand to see places in space where it does: a robust fit of its pose.

The pose begins as calibrated. Steps of Levenberg and Marquardt minimise Cauchy's cost of the reprojection
errors, whose scale is twice their median, so that nearly half of the observations may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera

STEPS = 40
LEAST_SCALE_PX = 0.1
CAUCHY = 2.0
"""An error of so many medians weighs half."""
HIDDEN_PX = 1e4
"""Error of a place that the camera cannot see, behind it."""
MEDIAN_OF_SIGMA = 1.1774
"""Median distance in the plane, where x and y have a standard deviation of 1."""


@dataclass(frozen=True, slots=True)
class Resection:
    """A camera as its observations want it."""

    camera: CalibratedCamera
    noise_px: float
    """Standard deviation in x and y of what remains, by the median."""
    offset_px: float
    """Median distance between where it and the calibrated camera see the places, px."""
    uncertainty_px: float
    """Standard error of that distance, from the noise alone."""


def resect(camera: CalibratedCamera, xyz: FloatArray, xy: FloatArray) -> Resection:
    """Fit the pose of a camera to what it sees.

    Parameters
    ----------
    camera
        As calibrated.
    xyz
        (n, 3) places in space, in the calibration's unit.
    xy
        (n, 2) px where the camera sees them.

    Returns
    -------
    Resection
        The fitted camera, and how far it is from the calibrated one.
    """
    fitted, damping = camera, 1e-3
    errors = _errors(fitted, xyz, xy)
    for _ in range(STEPS):
        scale = CAUCHY * max(float(np.median(errors)), LEAST_SCALE_PX)
        tried = fitted.moved(*_step(fitted, xyz, xy, scale, damping))
        then = _errors(tried, xyz, xy)
        gained = _cost(errors, scale) - _cost(then, scale)
        if gained > 0:
            fitted, errors, damping = tried, then, damping * 0.1
        else:
            damping *= 10
        if 0 < gained < 1e-6 * len(xyz) or damping > 1e6:
            break
    noise = float(np.median(errors)) / MEDIAN_OF_SIGMA
    off = np.linalg.norm(fitted.project(xyz) - camera.project(xyz), axis=-1)
    offset = float(np.median(np.where(np.isnan(off), HIDDEN_PX, off)))
    # Six numbers are fitted to two for each place.
    return Resection(fitted, noise, offset, noise * float(np.sqrt(3 / len(xyz))))


def _errors(camera: CalibratedCamera, xyz: FloatArray, xy: FloatArray) -> FloatArray:
    """Reprojection errors, (n,) px."""
    off = np.linalg.norm(xy - camera.project(xyz), axis=-1)
    return np.where(np.isnan(off), HIDDEN_PX, off)


def _cost(errors: FloatArray, scale: float) -> float:
    return float(np.log1p(np.square(errors / scale)).sum())


def _step(
    camera: CalibratedCamera, xyz: FloatArray, xy: FloatArray, scale: float, damping: float
) -> tuple[FloatArray, FloatArray]:
    """The next turn (rad) and shift."""
    px, by_local, local = camera.project_with_derivative(xyz)
    shown = np.isfinite(px).all(axis=-1)
    off, local, by_local = xy[shown] - px[shown], local[shown], by_local[shown]
    weight = 1 / (1 + np.square(off).sum(axis=-1) / scale**2)
    x, y, z = local.T
    zero = np.zeros_like(x)
    # A turn w moves a place p by w x p.
    turned = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], axis=-1).reshape(-1, 3, 3)
    slope = by_local @ np.concatenate([turned, np.broadcast_to(np.eye(3), turned.shape)], axis=-1)
    matrix = np.einsum("n,nij,nik->jk", weight, slope, slope)
    right = np.einsum("n,nij,ni->j", weight, slope, off)
    # Places that lie close together leave some of the six open: damped, these stay as they are.
    size = np.maximum(np.diag(matrix), 1e-12 * max(1.0, float(np.trace(matrix))))
    found = np.linalg.solve(matrix + np.diag((damping + 1e-9) * size), right)
    return found[:3], found[3:]
