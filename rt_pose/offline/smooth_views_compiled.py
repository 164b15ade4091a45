"""Forward and backward over one keypoint's observations by several cameras, compiled.

Every observation is linear about a place that is given. The backward pass is the modified Bryson-Frazier form
of the Rauch-Tung-Striebel smoother (Bierman 1973), as in `rt_pose.offline.rows`: no matrix is inverted.
"""

from __future__ import annotations

import numba
import numpy as np

from rt_pose.tracking.causal_filter_compiled import transition
from rt_pose.views.camera_compiled import project
from rt_pose.views.kalman3d_compiled import advance, apply_gain, kalman_gain, projected_cov, symmetrise

SLOPE, GAIN, INFORMATION, PULL, RECORD = 0, 6, 18, 21, 23
"""Where in an observation's record are H (2, 3), gain (6, 2), S^-1 (xx, xy, yy) and S^-1 e; its length."""


@numba.njit(cache=True, error_model="numpy")
def forward(cameras, view, frame, t_ns, xy, r, at, mean, cov, q, tau, means, covs, records, work):  # type: ignore[no-untyped-def]
    """Filter one keypoint.

    Parameters
    ----------
    cameras
        (V, 23) as of `camera_compiled.packed`.
    view, frame, t_ns
        (E,) camera, number of the row of the result, and time of each exposure.
    xy
        (E, 2) px.
    r
        (E, 3) px^2: xx, xy, yy; NaN where the keypoint was not seen.
    at
        (E, 3) the places about which the observations are linear.
    mean, cov
        The state before the first, (6,) and (6, 6); the last afterwards.
    q, tau
        Its parameters.
    means, covs
        Written: (F, 6) and (F, 6, 6), the state after the last exposure of a row.
    records
        Written: (E, 23), for `backward`; 0 where nothing was seen.
    work
        Room.
    """
    records[:] = 0.0
    for e in range(len(view)):
        if e > 0 and t_ns[e] > t_ns[e - 1]:
            advance(mean, cov, (t_ns[e] - t_ns[e - 1]) / 1e9, q, tau)
        if np.isfinite(r[e, 0]):
            x, y, shown = project(cameras[view[e]], at[e], work.slope)
            if shown:
                _update(mean, cov, xy[e, 0] - x, xy[e, 1] - y, r[e], at[e], records[e], work)
        for i in range(6):
            means[frame[e], i] = mean[i]
            for j in range(6):
                covs[frame[e], i, j] = cov[i, j]


@numba.njit(cache=True, error_model="numpy")
def _update(mean, cov, off_x, off_y, r, at, record, work):  # type: ignore[no-untyped-def]
    """Update by an observation that lies `off` beside what is seen at the place `at`."""
    slope = work.slope
    e_x, e_y = off_x, off_y
    for k in range(3):
        e_x -= slope[0, k] * (mean[k] - at[k])
        e_y -= slope[1, k] * (mean[k] - at[k])
    p = projected_cov(cov, slope, work.towards)
    xx, xy, yy = p[0] + r[0], p[1] + r[1], p[2] + r[2]
    kalman_gain(work.towards, (xx, xy, yy), work.gain)
    # What the backward pass needs of it.
    determinant = xx * yy - xy * xy
    record[INFORMATION] = yy / determinant
    record[INFORMATION + 1] = -xy / determinant
    record[INFORMATION + 2] = xx / determinant
    record[PULL] = record[INFORMATION] * e_x + record[INFORMATION + 1] * e_y
    record[PULL + 1] = record[INFORMATION + 1] * e_x + record[INFORMATION + 2] * e_y
    for i in range(2):
        for k in range(3):
            record[SLOPE + 3 * i + k] = slope[i, k]
        for k in range(6):
            record[GAIN + 2 * k + i] = work.gain[k, i]
    apply_gain(mean, cov, slope, work.towards, work.gain, (e_x, e_y), (r[0], r[1], r[2]))


@numba.njit(cache=True, error_model="numpy")
def backward(frame, t_ns, q, tau, means, covs, records):  # type: ignore[no-untyped-def]
    """Make filtered states those given all observations, in place.

    Parameters
    ----------
    frame, t_ns
        (E,) as of `forward`.
    q, tau
        The keypoint's parameters.
    means, covs
        (F, 6) and (F, 6, 6) as `forward` wrote them; smoothed afterwards.
    records
        (E, 23) as `forward` wrote them.
    """
    # Of all later observations about each filtered state: adjoint mean and covariance.
    mean, cov = np.zeros(6), np.zeros((6, 6))
    half, product = np.zeros((6, 6)), np.zeros((6, 6))
    for e in range(len(frame) - 1, -1, -1):
        if e == len(frame) - 1 or frame[e + 1] != frame[e]:
            _combine(means[frame[e]], covs[frame[e]], mean, cov, half, product)
        if records[e, INFORMATION] > 0.0:
            _add_observation(mean, cov, records[e])
        if e > 0 and t_ns[e] > t_ns[e - 1]:
            a, b, _, _, _ = transition((t_ns[e] - t_ns[e - 1]) / 1e9, q, tau)
            for v in range(3, 6):  # F' of both: rows, then columns
                mean[v] = a * mean[v] + b * mean[v - 3]
                for j in range(6):
                    cov[v, j] = a * cov[v, j] + b * cov[v - 3, j]
            for i in range(6):
                for v in range(3, 6):
                    cov[i, v] = a * cov[i, v] + b * cov[i, v - 3]
        symmetrise(cov)


@numba.njit(cache=True, error_model="numpy")
def _add_observation(mean, cov, record):  # type: ignore[no-untyped-def]
    """Carry the adjoint over an update, C = I - K H: C' mean - H' S^-1 e, and C' cov C + H' S^-1 H."""
    for axis in range(2):
        along = record[PULL + axis]
        for i in range(6):
            along += record[GAIN + 2 * i + axis] * mean[i]
        record[PULL + axis] = along  # both axes are of the mean before
    for k in range(3):
        mean[k] -= record[SLOPE + k] * record[PULL] + record[SLOPE + 3 + k] * record[PULL + 1]
    for j in range(6):  # rows: cov - H' (K' cov)
        x, y = 0.0, 0.0
        for i in range(6):
            x += record[GAIN + 2 * i] * cov[i, j]
            y += record[GAIN + 2 * i + 1] * cov[i, j]
        for k in range(3):
            cov[k, j] -= record[SLOPE + k] * x + record[SLOPE + 3 + k] * y
    for i in range(6):  # columns
        x, y = 0.0, 0.0
        for j in range(6):
            x += cov[i, j] * record[GAIN + 2 * j]
            y += cov[i, j] * record[GAIN + 2 * j + 1]
        for k in range(3):
            cov[i, k] -= x * record[SLOPE + k] + y * record[SLOPE + 3 + k]
    for i in range(3):
        x = record[INFORMATION] * record[SLOPE + i] + record[INFORMATION + 1] * record[SLOPE + 3 + i]
        y = record[INFORMATION + 1] * record[SLOPE + i] + record[INFORMATION + 2] * record[SLOPE + 3 + i]
        for j in range(3):
            cov[i, j] += x * record[SLOPE + j] + y * record[SLOPE + 3 + j]


@numba.njit(cache=True, error_model="numpy")
def _combine(mean, cov, adjoint, weight, half, product):  # type: ignore[no-untyped-def]
    """Filtered moments and adjoints to smoothed moments, in place: m - P a, and P - P W P."""
    for i in range(6):
        for j in range(6):
            half[i, j] = 0.0
            for k in range(6):
                half[i, j] += cov[i, k] * weight[k, j]
            mean[i] -= cov[i, j] * adjoint[j]
    for i in range(6):
        for j in range(6):
            product[i, j] = 0.0
            for k in range(6):
                product[i, j] += half[i, k] * cov[k, j]
    for i in range(6):
        for j in range(6):
            cov[i, j] -= product[i, j]
    symmetrise(cov)
