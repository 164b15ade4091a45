"""Probabilities of regions of space under a Gaussian: the share of fixed nodes (Halton 1960) that lie in one.

A half-space is an interval of a line (`rt_pose.rules.probability`). A ball and a box are asked of 4096 nodes
of the vector itself, three dimensions however many keypoints it is made of; that is within 0.01 of dense
quadrature (see `tests/rules/test_probability_in_space.py`). There are no random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rt_pose.rules.probability import Array, factor, normal_nodes
from rt_pose.rules.samples import norm

Vector = Sequence[float]
Rows = list[list[float]]


def prepare_nodes() -> Array:
    """Compute the standard nodes, where a rule is read.

    Returns
    -------
    Array
        (3, n), read-only.
    """
    return normal_nodes(3, half=False)


def in_shell(mean: Vector, cov: Rows, low: float, high: float) -> float:
    """Compute P(low <= |v| <= high) of a normal vector in space.

    Parameters
    ----------
    mean
        (x, y, z), from the centre.
    cov
        (3, 3).
    low, high
        The bounds, in the unit of `mean`; infinite for none.

    Returns
    -------
    float
        The probability; NaN in, NaN out.
    """
    places = _places(mean, cov)
    if places is None:
        return math.nan
    away = norm(*places)
    return float(np.mean((low <= away) & (away <= high)))


def in_cuboid(mean: Vector, cov: Rows, low: Vector, high: Vector) -> float:
    """Compute the probability of an upright box.

    Parameters
    ----------
    mean
        (x, y, z).
    cov
        (3, 3).
    low, high
        Least and greatest x, y and z, in the unit of `mean`.

    Returns
    -------
    float
        The probability; NaN in, NaN out.
    """
    places = _places(mean, cov)
    if places is None:
        return math.nan
    inside = (places >= np.array(low)[:, None]) & (places <= np.array(high)[:, None])
    return float(np.mean(inside.all(axis=0)))


def _places(mean: Vector, cov: Rows) -> Array | None:
    """The nodes as a normal vector's, (3, n); None where something of it is NaN."""
    if not math.isfinite(sum(mean) + sum(map(sum, cov))):
        return None
    places: Array = np.array(factor(cov)) @ prepare_nodes()
    places += np.array(mean)[:, None]
    return places
