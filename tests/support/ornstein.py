"""The Ornstein-Uhlenbeck movement's discretisation by an implementation that is not ours."""

from __future__ import annotations

import functools

import numpy as np
from filterpy.common import van_loan_discretization

from rt_pose.types import FloatArray


@functools.cache
def discretised(dt_s: float, q: float, tau: float) -> tuple[FloatArray, FloatArray]:
    """F and Q over (x, v) by van Loan's method.

    It takes exp(dt / tau), which costs it digits where dt is long: so a long dt is two of half the length.
    """
    if dt_s > tau:
        F, Q = discretised(dt_s / 2, q, tau)
        return F @ F, F @ Q @ F.T + Q
    f = np.array([[0.0, 1.0], [0.0, -1.0 / tau]])
    g = np.array([[0.0], [np.sqrt(q)]])
    return van_loan_discretization(f, g, dt_s)


def planar(dt_s: float, q: float, tau: float) -> tuple[FloatArray, FloatArray]:
    """The same over [x, y, vx, vy]."""
    F, Q = discretised(dt_s, q, tau)
    return np.kron(F, np.eye(2)), np.kron(Q, np.eye(2))
