"""A place from two views, compiled: where a track of the 3D filter starts.

As `rt_pose.views.triangulation`, of which this is the case of two cameras and one place: the linear solution,
then steps of Gauss and Newton on the weighted squared errors on both images.
"""

from __future__ import annotations

import numba
import numpy as np

from rt_pose.views.camera_compiled import FOCAL, SHIFT, project, undistort

STEPS = 6
CONVERGED = 1e-2
"""The most by which chi-square may still fall."""
REGULAR = 1e-9
"""The least determinant of normal equations, in that of as many equal ones: rays that are hardly parallel."""
UNSURE_SHARE = 0.1
"""A place whose standard deviation is a larger share of its distance from a camera is none: projections are
not linear within it."""


@numba.njit(cache=True, error_model="numpy")
def inverse(matrix, out):  # type: ignore[no-untyped-def]
    """Invert a symmetric matrix.

    Parameters
    ----------
    matrix
        (3, 3).
    out
        Written: (3, 3).

    Returns
    -------
    bool
        Whether it is positive definite, and not nearly singular.
    """
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * first + b * second + c * third
    if not determinant > REGULAR * ((a + d + f) / 3.0) ** 3:
        return False
    out[0, 0], out[1, 1] = first / determinant, (a * f - c * c) / determinant
    out[2, 2] = (a * d - b * b) / determinant
    out[0, 1] = out[1, 0] = second / determinant
    out[0, 2] = out[2, 0] = third / determinant
    out[1, 2] = out[2, 1] = (b * c - a * e) / determinant
    return True


@numba.njit(cache=True, error_model="numpy")
def _intersect(first, second, xy, other_xy, matrix, cov, at):  # type: ignore[no-untyped-def]
    """The linear least-squares solution of both rays, written to `at`; False where there is none."""
    matrix[:] = 0.0
    right_x, right_y, right_z = 0.0, 0.0, 0.0
    for i in range(2):
        camera, seen = (first, xy) if i == 0 else (second, other_xy)
        u, v, found = undistort(camera, seen[0], seen[1])
        if not found:
            return False
        for axis in range(2):
            along, f, row = (u if axis == 0 else v), camera[FOCAL + axis], 3 * axis
            # The ray's equation: f (along R_z - R_axis) xyz = f (t_axis - along t_z).
            x, y = f * (along * camera[6] - camera[row]), f * (along * camera[7] - camera[row + 1])
            z = f * (along * camera[8] - camera[row + 2])
            goal = f * (camera[SHIFT + axis] - along * camera[SHIFT + 2])
            matrix[0, 0] += x * x
            matrix[0, 1] += x * y
            matrix[0, 2] += x * z
            matrix[1, 1] += y * y
            matrix[1, 2] += y * z
            matrix[2, 2] += z * z
            right_x, right_y, right_z = right_x + x * goal, right_y + y * goal, right_z + z * goal
    if not inverse(matrix, cov):
        return False
    for i in range(3):
        at[i] = cov[i, 0] * right_x + cov[i, 1] * right_y + cov[i, 2] * right_z
    return True


@numba.njit(cache=True, error_model="numpy")
def _add_view(camera, xy, r, moved2, at, slope, matrix, right):  # type: ignore[no-untyped-def]
    """Add a view to the normal equations; its chi-square, infinite where it cannot show the place."""
    x, y, shown = project(camera, at, slope)
    if not shown:
        return np.inf
    # Noise of the observation, and of the movement since.
    xx, xy_, yy = r[0], r[1], r[2]
    for k in range(3):
        xx += moved2 * slope[0, k] * slope[0, k]
        xy_ += moved2 * slope[0, k] * slope[1, k]
        yy += moved2 * slope[1, k] * slope[1, k]
    determinant = xx * yy - xy_ * xy_
    off_x, off_y = xy[0] - x, xy[1] - y
    pull_x, pull_y = (yy * off_x - xy_ * off_y) / determinant, (xx * off_y - xy_ * off_x) / determinant
    for i in range(3):
        weighted_x = (yy * slope[0, i] - xy_ * slope[1, i]) / determinant
        weighted_y = (xx * slope[1, i] - xy_ * slope[0, i]) / determinant
        for j in range(3):
            matrix[i, j] += weighted_x * slope[0, j] + weighted_y * slope[1, j]
        right[i] += slope[0, i] * pull_x + slope[1, i] * pull_y
    return off_x * pull_x + off_y * pull_y


@numba.njit(cache=True, error_model="numpy")
def place_pair(first, second, xy, other_xy, r, other_r, moved2, gate, at, cov, matrix, slope):  # type: ignore[no-untyped-def]
    """Find the place that two cameras saw, if they saw one.

    Parameters
    ----------
    first, second
        Rows of the cameras.
    xy, other_xy
        (2,) px each.
    r, other_r
        Their noises: xx, xy, yy.
    moved2
        Variance of the movement since the second saw it, in each direction.
    gate
        The largest chi-square at which they agree.
    at, cov
        Written: the place (3,) and its covariance (3, 3).
    matrix, slope
        Room for (3, 3) and (2, 3).

    Returns
    -------
    float
        Sum of the place's variances; infinite where they do not agree, or the place is too unsure.
    """
    if not _intersect(first, second, xy, other_xy, matrix, cov, at):
        return np.inf
    chi2, fall, right = np.inf, np.inf, np.zeros(3)
    for _ in range(STEPS):
        matrix[:] = 0.0
        right[:] = 0.0
        chi2 = _add_view(first, xy, r, 0.0, at, slope, matrix, right)
        chi2 += _add_view(second, other_xy, other_r, moved2, at, slope, matrix, right)
        if not chi2 < np.inf or not inverse(matrix, cov):
            return np.inf
        fall = 0.0
        for i in range(3):
            step = cov[i, 0] * right[0] + cov[i, 1] * right[1] + cov[i, 2] * right[2]
            at[i] += step
            fall += step * right[i]
        if fall < CONVERGED:
            break
    if not fall < CONVERGED or chi2 > gate:
        return np.inf
    variance = cov[0, 0] + cov[1, 1] + cov[2, 2]
    distance = min(_depth(first, at), _depth(second, at))
    return variance if distance > 0.0 and variance < (UNSURE_SHARE * distance) ** 2 else np.inf


@numba.njit(cache=True, error_model="numpy")
def _depth(camera, xyz):  # type: ignore[no-untyped-def]
    """How far ahead of a camera a place lies."""
    return camera[6] * xyz[0] + camera[7] * xyz[1] + camera[8] * xyz[2] + camera[SHIFT + 2]
