"""A camera's projection of one place at a time, compiled: what the 3D filter does for every observation.

The formulas are those of `rt_pose.views.camera`, which serve whole recordings at once. A camera is a row of
numbers here, as `packed` makes it.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from rt_pose.types import FloatArray
from rt_pose.views.camera import UNDISTORT_STEPS, UNDISTORT_TOLERANCE, CalibratedCamera

SHIFT, FOCAL, CENTRE, LENS, FOLD2, AREA = 9, 12, 14, 16, 21, 22
"""Where in its row, which begins with R (row by row), are t, focal lengths, principal point, distortions,
`fold2`, and the frame's area, px^2."""


def packed(camera: CalibratedCamera) -> FloatArray:
    """Make the row of a camera.

    Parameters
    ----------
    camera
        The camera.

    Returns
    -------
    FloatArray
        (23,).
    """
    turn, lens = camera.rotation_matrix.ravel(), camera.distortions
    last = [camera.fold2, float(camera.size[0] * camera.size[1])]
    return np.concatenate([turn, camera.translation, camera.focal, camera.centre, lens, last])


@numba.njit(cache=True, error_model="numpy")
def bend(camera, u, v):  # type: ignore[no-untyped-def]
    """Bend a direction as the lens does; see `camera.distort`.

    Parameters
    ----------
    camera
        Its row.
    u, v
        x / z and y / z.

    Returns
    -------
    tuple of float
        Where an ideal lens would show it (focal lengths), and its derivative, which is symmetric: uu, uv, vv.
    """
    k1, k2, p1, p2, k3 = camera[LENS], camera[LENS + 1], camera[LENS + 2], camera[LENS + 3], camera[LENS + 4]
    r2 = u * u + v * v
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = k1 + r2 * (2.0 * k2 + 3.0 * k3 * r2)  # d radial / d r2
    return (
        u * radial + 2.0 * p1 * u * v + p2 * (r2 + 2.0 * u * u),
        v * radial + p1 * (r2 + 2.0 * v * v) + 2.0 * p2 * u * v,
        radial + 2.0 * u * u * slope + 2.0 * p1 * v + 6.0 * p2 * u,
        2.0 * u * v * slope + 2.0 * p1 * u + 2.0 * p2 * v,
        radial + 2.0 * v * v * slope + 6.0 * p1 * v + 2.0 * p2 * u,
    )


@numba.njit(cache=True, error_model="numpy")
def project(camera, xyz, slope):  # type: ignore[no-untyped-def]
    """Find the pixel at which a place of the world is seen, and how it changes with the place.

    Parameters
    ----------
    camera
        Its row.
    xyz
        The place, its first three numbers, in the calibration's unit.
    slope
        Written: (2, 3) px by that unit.

    Returns
    -------
    tuple
        x and y, px, and whether the camera can show the place; if not, nothing is written.
    """
    # The place as the camera sees it, R xyz + t.
    depth = camera[6] * xyz[0] + camera[7] * xyz[1] + camera[8] * xyz[2] + camera[SHIFT + 2]
    if not depth > 0.0:
        return 0.0, 0.0, False
    u = (camera[0] * xyz[0] + camera[1] * xyz[1] + camera[2] * xyz[2] + camera[SHIFT]) / depth
    v = (camera[3] * xyz[0] + camera[4] * xyz[1] + camera[5] * xyz[2] + camera[SHIFT + 1]) / depth
    if not u * u + v * v < camera[FOLD2]:
        return 0.0, 0.0, False
    seen_u, seen_v, uu, uv, vv = bend(camera, u, v)
    # By u and v: focal lengths times the lens. By the place: (1, 0, -u; 0, 1, -v) / depth, times R.
    for axis in range(2):
        scale = camera[FOCAL + axis] / depth
        by_u, by_v = (scale * uu, scale * uv) if axis == 0 else (scale * uv, scale * vv)
        by_depth = -(by_u * u + by_v * v)
        for j in range(3):
            slope[axis, j] = by_u * camera[j] + by_v * camera[3 + j] + by_depth * camera[6 + j]
    return camera[FOCAL] * seen_u + camera[CENTRE], camera[FOCAL + 1] * seen_v + camera[CENTRE + 1], True


@numba.njit(cache=True, error_model="numpy")
def undistort(camera, x, y):  # type: ignore[no-untyped-def]
    """Find the direction in which a pixel looks, by Newton's method; see `CalibratedCamera.undistort`.

    Parameters
    ----------
    camera
        Its row.
    x, y
        The pixel.

    Returns
    -------
    tuple
        x / z and y / z as the camera sees them, and whether the lens can show such a pixel.
    """
    goal_u, goal_v = (x - camera[CENTRE]) / camera[FOCAL], (y - camera[CENTRE + 1]) / camera[FOCAL + 1]
    u, v = goal_u, goal_v
    for _ in range(UNDISTORT_STEPS):
        seen_u, seen_v, uu, uv, vv = bend(camera, u, v)
        off_u, off_v = goal_u - seen_u, goal_v - seen_v
        determinant = uu * vv - uv * uv
        step_u, step_v = (vv * off_u - uv * off_v) / determinant, (uu * off_v - uv * off_u) / determinant
        u, v = u + step_u, v + step_v
        if max(abs(step_u), abs(step_v)) <= UNDISTORT_TOLERANCE**2:
            break
    seen_u, seen_v, _, _, _ = bend(camera, u, v)
    off = math.hypot(goal_u - seen_u, goal_v - seen_v)
    return u, v, off < UNDISTORT_TOLERANCE and u * u + v * v < camera[FOLD2]
