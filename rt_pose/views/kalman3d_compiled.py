"""The linear algebra of the filter in space, one keypoint at a time, compiled.

A keypoint has a mean (6,) over [x, y, z, vx, vy, vz] and a covariance (6, 6); observations are two numbers.
Symmetric 2x2 matrices travel as three numbers: xx, xy, yy. The model is that of `rt_pose.tracking.kalman`.
"""

from __future__ import annotations

import math

import numba

from rt_pose.tracking.causal_filter_compiled import transition

LOG_2_PI = math.log(2.0 * math.pi)


@numba.njit(cache=True, error_model="numpy")
def symmetrise(cov):  # type: ignore[no-untyped-def]
    """Make a covariance symmetric, in place: an asymmetry feeds on itself.

    Parameters
    ----------
    cov
        (6, 6).
    """
    for i in range(6):
        for j in range(i):
            half = 0.5 * (cov[i, j] + cov[j, i])
            cov[i, j] = cov[j, i] = half


@numba.njit(cache=True, error_model="numpy")
def advance(mean, cov, dt_s, q, tau):  # type: ignore[no-untyped-def]
    """Carry one keypoint over a time step, in place.

    Parameters
    ----------
    mean, cov
        Its state, (6,) and (6, 6).
    dt_s
        Time step, s.
    q, tau
        Its parameters.
    """
    a, b, q_xx, q_xv, q_vv = transition(dt_s, q, tau)
    # Mean: x' = x + b v, v' = a v.
    for x in range(3):
        mean[x] += b * mean[x + 3]
        mean[x + 3] *= a
    # Covariance F P F': the rows first, then the columns, and the process noise.
    for x in range(3):
        for j in range(6):
            cov[x, j] += b * cov[x + 3, j]
            cov[x + 3, j] *= a
    for i in range(6):
        for x in range(3):
            cov[i, x] += b * cov[i, x + 3]
            cov[i, x + 3] *= a
    for x in range(3):
        v = x + 3
        cov[x, x] += q_xx
        cov[v, v] += q_vv
        cov[x, v] += q_xv
        cov[v, x] += q_xv
    symmetrise(cov)


@numba.njit(cache=True, error_model="numpy")
def advance_all(mean, cov, known, dt_s, q, tau):  # type: ignore[no-untyped-def]
    """Carry all keypoints that have a track over a time step, in place.

    Parameters
    ----------
    mean, cov, known
        (M, 6), (M, 6, 6) and (M,).
    dt_s
        Time step, s.
    q, tau
        (M,).
    """
    for m in range(len(mean)):
        if known[m]:
            advance(mean[m], cov[m], dt_s, q[m], tau[m])


@numba.njit(cache=True, error_model="numpy")
def projected_cov(cov, slope, towards):  # type: ignore[no-untyped-def]
    """Compute the covariance of the pixel at which a place is expected, H P H'.

    Parameters
    ----------
    cov
        (6, 6).
    slope
        (2, 3), the part of H that is not zero.
    towards
        Written: H P, (2, 6).

    Returns
    -------
    tuple of float
        xx, xy, yy, px^2.
    """
    for i in range(2):
        for j in range(6):
            towards[i, j] = slope[i, 0] * cov[0, j] + slope[i, 1] * cov[1, j] + slope[i, 2] * cov[2, j]
    xx = towards[0, 0] * slope[0, 0] + towards[0, 1] * slope[0, 1] + towards[0, 2] * slope[0, 2]
    xy = towards[0, 0] * slope[1, 0] + towards[0, 1] * slope[1, 1] + towards[0, 2] * slope[1, 2]
    yy = towards[1, 0] * slope[1, 0] + towards[1, 1] * slope[1, 1] + towards[1, 2] * slope[1, 2]
    return xx, xy, yy


@numba.njit(cache=True, error_model="numpy")
def kalman_gain(towards, s, gain):  # type: ignore[no-untyped-def]
    """Compute the gain P H' S^-1.

    Parameters
    ----------
    towards
        H P, (2, 6).
    s
        Covariance of the innovation: xx, xy, yy.
    gain
        Written: (6, 2).
    """
    determinant = s[0] * s[2] - s[1] * s[1]
    for i in range(6):
        gain[i, 0] = (towards[0, i] * s[2] - towards[1, i] * s[1]) / determinant
        gain[i, 1] = (towards[1, i] * s[0] - towards[0, i] * s[1]) / determinant


@numba.njit(cache=True, error_model="numpy")
def apply_gain(mean, cov, slope, towards, gain, e, r):  # type: ignore[no-untyped-def]
    """Update one keypoint, in place.

    Parameters
    ----------
    mean, cov
        Its state, (6,) and (6, 6).
    slope, towards, gain
        H (2, 3), H P (2, 6) and the gain (6, 2).
    e
        Innovation, px.
    r
        Noise of the observation: xx, xy, yy.
    """
    for i in range(6):
        mean[i] += gain[i, 0] * e[0] + gain[i, 1] * e[1]
    # Joseph's form (I - K H) P (I - K H)' + K R K': first W = (I - K H) P,
    for i in range(6):
        for j in range(6):
            cov[i, j] -= gain[i, 0] * towards[0, j] + gain[i, 1] * towards[1, j]
    # then W - (W H' - K R) K'.
    for i in range(6):
        x = cov[i, 0] * slope[0, 0] + cov[i, 1] * slope[0, 1] + cov[i, 2] * slope[0, 2]
        y = cov[i, 0] * slope[1, 0] + cov[i, 1] * slope[1, 1] + cov[i, 2] * slope[1, 2]
        x -= gain[i, 0] * r[0] + gain[i, 1] * r[1]
        y -= gain[i, 0] * r[1] + gain[i, 1] * r[2]
        for j in range(6):
            cov[i, j] -= x * gain[j, 0] + y * gain[j, 1]
    symmetrise(cov)


@numba.njit(cache=True, error_model="numpy")
def log_density(e, s):  # type: ignore[no-untyped-def]
    """Compute the logarithm of the density of an innovation.

    Parameters
    ----------
    e
        Innovation, px.
    s
        Its covariance: xx, xy, yy.

    Returns
    -------
    float
        Of density by px^2.
    """
    determinant = s[0] * s[2] - s[1] * s[1]
    d2 = ((s[2] * e[0] - 2.0 * s[1] * e[1]) * e[0] + s[0] * e[1] * e[1]) / determinant
    return -0.5 * (math.log(determinant) + d2) - LOG_2_PI
