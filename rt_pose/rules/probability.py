"""Probabilities of regions under a Gaussian: closed forms, one-dimensional quadrature, fixed Halton nodes.

Half-planes and intervals are closed; discs and boxes are an integral over one axis of a closed form over the
other, by Gauss-Legendre. What has neither is the share of fixed nodes (Halton 1960) that lie in it. To be
within 0.01 of dense quadrature takes the more nodes the more coordinates there are; with 512 in four
dimensions some regions are out by 0.03 (see `tests/rules/test_probability.py`). There are no random numbers.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ROOT_2 = math.sqrt(2.0)
_TAIL = 7.5
"""Standard deviations beyond which the probability is neglected (1e-13)."""
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)
MAX_DIMENSIONS = len(_PRIMES)
_NODES_UP_TO = ((2, 1024), (4, 4096), (MAX_DIMENSIONS, 8192))
"""(dimensions, nodes); half as many do where the parts of a condition are known by themselves."""
_STEPS = 32
_STEPS_CORRELATED = 96
_CORRELATED = 0.8


def below(mean: float, variance: float, limit: float) -> float:
    """Compute P(v <= limit) of a normal variable.

    Parameters
    ----------
    mean, variance
        Its moments.
    limit
        The limit.

    Returns
    -------
    float
        The probability; without variance 0 or 1; NaN in, NaN out.
    """
    away = limit - mean
    if variance > 0.0:
        return 0.5 * math.erfc(-away / math.sqrt(2.0 * variance))
    return math.nan if math.isnan(away + variance) else float(away >= 0.0)


def between(mean: float, variance: float, low: float, high: float) -> float:
    """Compute P(low <= v <= high) of a normal variable.

    Parameters
    ----------
    mean, variance
        Its moments.
    low, high
        The bounds.

    Returns
    -------
    float
        The probability; without variance 0 or 1; NaN in, NaN out.
    """
    if low > high:
        return 0.0
    if variance > 0.0:
        scale = 1.0 / math.sqrt(2.0 * variance)
        a, b = (low - mean) * scale, (high - mean) * scale
        # In the upper tail the difference of two numbers near 1 would keep no digit.
        return 0.5 * (math.erfc(a) - math.erfc(b)) if a > 0 else 0.5 * (math.erfc(-b) - math.erfc(-a))
    return math.nan if math.isnan(mean + variance) else float(low <= mean <= high)


def in_disc(mean: tuple[float, float], cov: tuple[float, float, float], radius: float) -> float:
    """Compute P(|v| <= radius) of a normal vector in the plane.

    Parameters
    ----------
    mean
        (x, y), from the disc's centre.
    cov
        (xx, xy, yy).
    radius
        Radius of the disc, in the unit of `mean`.

    Returns
    -------
    float
        The probability; NaN in, NaN out.
    """
    if math.isnan(sum(mean) + sum(cov) + radius):
        return math.nan
    if radius < 0.0:
        return 0.0
    (m1, m2), (s1, s2) = _principal(mean, cov)  # s1 <= s2
    away = math.hypot(m1, m2) - radius
    if away > _TAIL * s2 or s2 == 0.0:
        return float(away <= 0.0)
    if away < -_TAIL * s2 or radius == 0.0:
        return float(radius > 0.0)
    if s1 <= 1e-9 * s2:
        half = math.sqrt(max(radius * radius - m1 * m1, 0.0))
        return between(m2, s2 * s2, -half, half) if abs(m1) <= radius else 0.0
    return _slices(m1, m2, s1, s2, radius)


def _slices(m1: float, m2: float, s1: float, s2: float, radius: float) -> float:
    """Outer over the narrow axis, so that the inner form is smooth on its scale; v1 = radius sin(t)."""
    start = math.asin(min(max((m1 - _TAIL * s1) / radius, -1.0), 1.0))
    stop = math.asin(min(max((m1 + _TAIL * s1) / radius, -1.0), 1.0))
    middle, half = 0.5 * (start + stop), 0.5 * (stop - start)
    over, total = 1.0 / (s2 * _ROOT_2), 0.0
    for node, weight in _legendre(_STEPS):
        t = middle + half * node
        height = radius * math.cos(t)
        z = (radius * math.sin(t) - m1) / s1
        density = math.exp(-0.5 * z * z)
        total += (
            weight * density * height * (math.erf((height - m2) * over) - math.erf((-height - m2) * over))
        )
    return min(max(0.5 * half * total / (s1 * math.sqrt(2.0 * math.pi)), 0.0), 1.0)


def in_box(
    mean: tuple[float, float],
    cov: tuple[float, float, float],
    box: tuple[float, float, float, float],
) -> float:
    """Compute the probability of an upright box; a product where x and y are uncorrelated.

    Parameters
    ----------
    mean
        (x, y).
    cov
        (xx, xy, yy).
    box
        (left, top, right, bottom), in the unit of `mean`.

    Returns
    -------
    float
        The probability; NaN in, NaN out.
    """
    (mx, my), (xx, xy, yy), (left, top, right, bottom) = mean, cov, box
    if math.isnan(mx + my + xx + xy + yy):
        return math.nan
    if xy == 0.0 or min(xx, yy) <= 1e-18 * max(xx, yy):
        return between(mx, xx, left, right) * between(my, yy, top, bottom)
    if xx > yy:  # the outer axis is the narrow one
        return in_box((my, mx), (yy, xy, xx), (top, left, bottom, right))
    s = math.sqrt(xx)
    start, stop = max(left, mx - _TAIL * s), min(right, mx + _TAIL * s)
    if start >= stop:
        return 0.0
    slope, rest = xy / xx, max(yy - xy * xy / xx, 0.0)
    steps = _STEPS if xy * xy < _CORRELATED**2 * xx * yy else _STEPS_CORRELATED
    middle, half, total = 0.5 * (start + stop), 0.5 * (stop - start), 0.0
    for node, weight in _legendre(steps):
        x = middle + half * node
        z = (x - mx) / s
        total += weight * math.exp(-0.5 * z * z) * between(my + slope * (x - mx), rest, top, bottom)
    return min(max(half * total / (s * math.sqrt(2.0 * math.pi)), 0.0), 1.0)


def _principal(
    mean: tuple[float, float], cov: tuple[float, float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and standard deviations along the axes of the ellipse, the narrow one first."""
    xx, xy, yy = cov
    half, middle = math.hypot(0.5 * (xx - yy), xy), 0.5 * (xx + yy)
    tilt = 0.5 * math.atan2(2.0 * xy, xx - yy)  # of the long axis
    cos, sin = math.cos(tilt), math.sin(tilt)
    long, narrow = cos * mean[0] + sin * mean[1], -sin * mean[0] + cos * mean[1]
    return (narrow, long), (math.sqrt(max(middle - half, 0.0)), math.sqrt(max(middle + half, 0.0)))


@cache
def _legendre(steps: int) -> tuple[tuple[float, float], ...]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return tuple(zip(nodes.tolist(), weights.tolist(), strict=True))


@cache
def normal_nodes(dimensions: int, half: bool) -> Array:
    """Compute quadrature points of the standard normal distribution; made once, where a rule is read.

    Parameters
    ----------
    dimensions
        At most `MAX_DIMENSIONS`.
    half
        Whether half as many points do, since the parts of the condition are known by themselves.

    Returns
    -------
    Array
        (dimensions, n), read-only.

    Notes
    -----
    Halton 1960: radical inverses in the first primes, mapped by the inverse of the normal distribution.
    """
    count = next(n for d, n in _NODES_UP_TO if dimensions <= d) // (2 if half else 1)
    inverse = NormalDist().inv_cdf
    nodes = np.empty((dimensions, count))
    for row, base in zip(nodes, _PRIMES, strict=False):
        row[:] = [inverse(_radical_inverse(i, base)) for i in range(1, count + 1)]
    nodes.setflags(write=False)
    return nodes


def _radical_inverse(i: int, base: int) -> float:
    """The digits of i mirrored at the point: Halton's sequence in one base."""
    share, value = 1.0 / base, 0.0
    while i:
        i, digit = divmod(i, base)
        value += digit * share
        share /= base
    return value


def factor(cov: list[list[float]]) -> list[list[float]]:
    """Compute the lower triangular L with L L' = cov (Cholesky).

    Parameters
    ----------
    cov
        (n, n); rounding may leave a variance just below 0, which counts as 0.

    Returns
    -------
    list[list[float]]
        (n, n); a direction without variance gets a column of zeros.
    """
    n = len(cov)
    lower = [[0.0] * n for _ in range(n)]
    for j in range(n):
        pivot = cov[j][j] - sum(v * v for v in lower[j][:j])
        if pivot <= 1e-14 * abs(cov[j][j]) or pivot <= 0.0:
            continue
        root = math.sqrt(pivot)
        lower[j][j] = root
        for i in range(j + 1, n):
            lower[i][j] = (cov[i][j] - sum(lower[i][k] * lower[j][k] for k in range(j))) / root
    return lower
