"""The linear algebra of the tracking model, all keypoints at once, for the filter and the smoother.

A state holds d positions and d velocities, x' = x + b v, v' = a v: an Ornstein-Uhlenbeck velocity,
dv = -v / tau dt + noise of strength q, discretised exactly (Bar-Shalom, Li, Kirubarajan 2001, ch. 8.2,
first-order Gauss-Markov velocity). Components come first and the batch B (keypoints, candidates: all that
runs side by side) last: means are (2 d, *B), covariances (2 d, 2 d, *B). With the batch last, each line here
is one pass of numpy over contiguous numbers, and matrices of four rows need no LAPACK. Symmetric 2x2
matrices travel as (3, *B): xx, xy, yy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

_ROWS, _COLUMNS = np.array([0, 0, 1]), np.array([0, 1, 1])
SERIES_BELOW = 0.05
"""dt / tau under which the position noise comes from its series: the closed form cancels there."""
MOST_PX, MOST_PX2 = 1e9, 1e18
"""Of a position and of its variance: what is beyond is no measurement, and its squares overflow."""


@dataclass(slots=True)
class Transition:
    """The exact discretisation over one dt: one number a member of the batch (*B) where the axes behave
    alike, else one an axis (d, *B).

    x' = x + b v, v' = a v, with noise covariance [[q_xx, q_xv], [q_xv, q_vv]] over (x, v).
    """

    a: FloatArray
    b: FloatArray
    q_xx: FloatArray
    q_xv: FloatArray
    q_vv: FloatArray


def transition(dt_s: float | FloatArray, q: FloatArray, tau: FloatArray) -> Transition:
    """Discretise the model exactly over a time step.

    Parameters
    ----------
    dt_s
        Time step, s; one, or (*B).
    q
        Strength of the velocity's noise, px^2/s^3, (*B) or (d, *B).
    tau
        Time constant of the velocity, s, of the shape of `q`.

    Returns
    -------
    Transition
        The transition, of the shape of `q`.

    Notes
    -----
    Bar-Shalom, Li, Kirubarajan 2001, ch. 8.2: first-order Gauss-Markov velocity.
    """
    u = dt_s / tau
    lost = np.expm1(-u)  # a - 1, exact for small u
    twice = lost * (lost + 2.0)  # expm1(-2 u)
    qt = q * tau
    return Transition(
        a=1.0 + lost,
        b=-tau * lost,
        q_xx=qt * tau * tau * _position_noise(u, lost, twice),
        q_xv=0.5 * qt * tau * lost * lost,
        q_vv=-0.5 * qt * twice,
    )


def _position_noise(u: FloatArray, lost: FloatArray, twice: FloatArray) -> FloatArray:
    """u + 2 expm1(-u) - expm1(-2 u) / 2, by its series where u is small."""
    small = u < SERIES_BELOW
    if not small.any():
        return u + 2.0 * lost - 0.5 * twice
    series = u * u * u * (1 / 3 - u * (1 / 4 - u * (7 / 60 - u * (1 / 24 - u * (31 / 2520)))))
    return series if small.all() else np.where(small, series, u + 2.0 * lost - 0.5 * twice)


def propagate(mean: FloatArray, cov: FloatArray, step: Transition) -> None:
    """Carry means and covariances over a transition, in place.

    Parameters
    ----------
    mean
        (2 d, *B).
    cov
        (2 d, 2 d, *B), contiguous.
    step
        The transition.
    """
    n = len(mean)
    d = n // 2
    mean[:d] += step.b * mean[d:]
    mean[d:] *= step.a
    a, b = (step.a[:, None], step.b[:, None]) if step.a.ndim == mean.ndim else (step.a, step.b)
    cov[:d] += b * cov[d:]
    cov[d:] *= a
    cov[:, :d] += step.b * cov[:, d:]
    cov[:, d:] *= step.a
    entries = cov.reshape(n * n, *cov.shape[2:])  # row by row: every n + 1 from 0 on is a variance
    entries[0 : d * (n + 1) : n + 1] += step.q_xx
    entries[d * (n + 1) :: n + 1] += step.q_vv
    entries[d : d * n : n + 1] += step.q_xv
    entries[d * n :: n + 1] += step.q_xv


def determinant(m: FloatArray) -> FloatArray:
    """Compute the determinant of symmetric 2x2 matrices.

    Parameters
    ----------
    m
        (3, *B).

    Returns
    -------
    FloatArray
        (*B).
    """
    return m[0] * m[2] - m[1] * m[1]


def distance2(e: FloatArray, s: FloatArray) -> FloatArray:
    """Compute the squared Mahalanobis distance e' S^-1 e.

    Parameters
    ----------
    e
        Innovations, (2, *B).
    s
        Their covariances, (3, *B).

    Returns
    -------
    FloatArray
        (*B), chi-square units.
    """
    return _adjugate_form(s, e) / determinant(s)


def _adjugate_form(m: FloatArray, e: FloatArray) -> FloatArray:
    """e' adj(M) e: the determinant times e' M^-1 e."""
    x, y = e[0], e[1]
    return (m[2] * x - 2.0 * m[1] * y) * x + m[0] * y * y


def inflation(e: FloatArray, p: FloatArray, r: FloatArray, gate: float) -> FloatArray:
    """Compute the factor of R at which e' (P + factor R)^-1 e equals the gate.

    For 2x2 matrices the inverse is the adjugate over the determinant, so the condition is a quadratic in the
    factor: its larger root is the answer.

    Parameters
    ----------
    e
        Innovations, (2, *B) px.
    p
        Covariances of the predicted positions, (3, *B) px^2.
    r
        Covariances of the measurements, (3, *B) px^2.
    gate
        Chi-square gate.

    Returns
    -------
    FloatArray
        (*B); 1 where the distance is below the gate already.
    """
    factor = np.ones(e.shape[1:])
    s = p + r
    outside = _adjugate_form(s, e) > gate * determinant(s)
    if not outside.any():
        return factor
    e, p, r = e[:, outside], p[:, outside], r[:, outside]
    mixed = p[0] * r[2] + p[2] * r[0] - 2.0 * p[1] * r[1]
    qa = gate * determinant(r)
    qb = gate * mixed - _adjugate_form(r, e)
    qc = gate * determinant(p) - _adjugate_form(p, e)
    root = (-qb + np.sqrt(np.maximum(qb * qb - 4.0 * qa * qc, 0.0))) / (2.0 * qa)
    factor[outside] = np.maximum(root, 1.0)
    return factor


def position_cov(cov: FloatArray) -> FloatArray:
    """Take the position block of covariances.

    Parameters
    ----------
    cov
        (4, 4, *B).

    Returns
    -------
    FloatArray
        (3, *B): xx, xy, yy.
    """
    return cov[_ROWS, _COLUMNS]


def correct(mean: FloatArray, cov: FloatArray, e: FloatArray, s: FloatArray, seen: NDArray[np.bool_]) -> None:
    """Apply the Kalman update to planar states, in place.

    Parameters
    ----------
    mean, cov
        State (4, *B) and covariance (4, 4, *B).
    e
        Innovation, (2, *B) px, finite everywhere.
    s
        Its covariance P + R, (3, *B) px^2.
    seen
        (*B) where to update.
    """
    weight = seen / determinant(s)
    i_xx, i_xy, i_yy = s[2] * weight, -s[1] * weight, s[0] * weight
    gain_x = cov[:, 0] * i_xx + cov[:, 1] * i_xy  # (4, *B)
    gain_y = cov[:, 0] * i_xy + cov[:, 1] * i_yy
    mean += gain_x * e[0] + gain_y * e[1]
    cov -= gain_x[:, None] * cov[0] + gain_y[:, None] * cov[1]
