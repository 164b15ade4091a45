"""Quantiles and means with bootstrap intervals over clusters: what comes from one frame stays together.

The 17 keypoints of a frame err together, so frames are drawn, not keypoints; neighbouring frames of a video
err together, so blocks of them are drawn, and the networks as well. Everything that is compared is computed
on the same draws, which makes differences paired (Efron and Tibshirani 1993, chapters 8 and 14).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

DRAWS = 1000
LEVEL = (2.5, 97.5)
Counts = NDArray[np.int64]


@dataclass
class Sample:
    """N values and the cluster of each."""

    values: FloatArray
    """(N,)."""
    cluster: NDArray[np.intp]
    """(N,)."""

    @classmethod
    def of(cls, values: FloatArray, cluster: NDArray[np.intp]) -> Sample:
        """Take values without those that are NaN.

        Parameters
        ----------
        values, cluster
            Of one shape.

        Returns
        -------
        Sample
            Flat.
        """
        known = ~np.isnan(values)
        return cls(values[known], cluster[known])


@dataclass
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, drawn: FloatArray) -> Interval:
        """Summarise a figure over draws.

        Parameters
        ----------
        drawn
            (1 + number,) the figure in each of `draws`, the sample itself first; draws without a value are
            left out.

        Returns
        -------
        Interval
            The sample's own value, and the percentiles of the draws.
        """
        known = drawn[1:][np.isfinite(drawn[1:])]
        low, high = np.percentile(known, LEVEL) if len(known) else (np.nan, np.nan)
        return cls(float(drawn[0]), float(low), float(high))


def draws(clusters: int, number: int = DRAWS, seed: int = 0) -> Counts:
    """Draw clusters with replacement.

    Parameters
    ----------
    clusters
        Number of clusters.
    number
        Number of draws.
    seed
        Seed of the draws.

    Returns
    -------
    Counts
        (1 + number, clusters) how often each cluster is in each draw; first the sample itself.
    """
    random = np.random.default_rng(seed)
    drawn = random.multinomial(clusters, np.full(clusters, 1 / clusters), number)
    return np.concatenate([np.ones((1, clusters), np.int64), drawn])


def nested_draws(networks: int, blocks: int, number: int = DRAWS, seed: int = 0) -> Counts:
    """Draw networks, and blocks of the video that all of them saw.

    Parameters
    ----------
    networks, blocks
        How many there are.
    number
        Number of draws.
    seed
        Seed of the draws.

    Returns
    -------
    Counts
        (1 + number, networks * blocks) how often each cluster `network * blocks + block` is in each draw.
    """
    outer, inner = draws(networks, number, seed), draws(blocks, number, seed + 1)
    return (outer[:, :, None] * inner[:, None, :]).reshape(len(outer), -1)


def mean(sample: Sample, counts: Counts) -> FloatArray:
    """Compute the mean of the values in each draw.

    Parameters
    ----------
    sample
        The values.
    counts
        (draws, clusters).

    Returns
    -------
    FloatArray
        (draws,); NaN in a draw without any value.
    """
    clusters = counts.shape[1]
    sums = np.bincount(sample.cluster, sample.values, clusters)
    n = np.bincount(sample.cluster, minlength=clusters)
    with np.errstate(invalid="ignore"):
        found: FloatArray = (counts @ sums) / (counts @ n)
    return found


def quantile(q: float) -> Callable[[Sample, Counts], FloatArray]:
    """Make a function like `mean` for the smallest value that a share of at least `q` does not exceed.

    It first finds the run of sorted values in which a draw reaches the share, from how many values of each
    cluster lie before each run, and then the value within it.

    Parameters
    ----------
    q
        The share, 0 to 1.

    Returns
    -------
    Callable[[Sample, Counts], FloatArray]
        The function.
    """

    def of(sample: Sample, counts: Counts) -> FloatArray:
        if not len(sample.values):
            return np.full(len(counts), np.nan)
        order = np.argsort(sample.values, kind="stable")
        values, cluster = sample.values[order], sample.cluster[order]
        length = math.isqrt(len(values))
        run = np.arange(len(values)) // length
        runs, clusters = int(run[-1]) + 1, counts.shape[1]
        by_run = np.bincount(run * clusters + cluster, minlength=runs * clusters).reshape(runs, clusters)
        reached = counts @ by_run.cumsum(axis=0).T  # (draws, runs), at the end of each
        wanted = q * reached[:, -1] - 1e-9
        at = (reached < wanted[:, None]).sum(axis=1)
        draw = np.arange(len(counts))
        at = np.minimum(at, runs - 1)
        before = np.where(at > 0, reached[draw, at - 1], 0)
        inside = np.minimum(at[:, None] * length + np.arange(length), len(values) - 1)  # (draws, length)
        within = counts[draw[:, None], cluster[inside]].cumsum(axis=1) + before[:, None]
        place = at * length + (within < wanted[:, None]).sum(axis=1)
        return np.where(reached[:, -1] > 0, values[np.minimum(place, len(values) - 1)], np.nan)

    return of
