"""The distribution of delays of which each is only known to lie between two frames.

A light that goes on between the exposures of two frames is seen in the later one. What is known of its delay
is thus an interval as long as a frame period; were the later frame taken for the moment, every delay would be
too long by the wait for it, half a period on average. The distribution that explains all intervals best has
no such wait in it: commands that are sent at moments spread evenly over the period bound a delay that is
always the same to within about a period divided by their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rt_pose.clock import NS_PER_MS
from rt_pose.loop.latency import P99_9_MIN_N, summary

STEPS = 5000
ENOUGH = 1e-7
"""When no cell's share changes by more than this in a step, the fit is done."""
SUPPORT = 1e-4
"""Cells of a smaller share are not counted into the maximum."""
GRID = 2000
"""Quantiles of each distribution when two are added."""


@dataclass(frozen=True)
class IntervalDelays:
    """The fitted distribution: shares of cells between neighbouring ends of intervals."""

    n: int
    edges_ms: NDArray[np.float64]
    """(cells + 1,), ascending."""
    shares: NDArray[np.float64]
    """(cells,), of sum 1."""

    @classmethod
    def fit(cls, low_ns: ArrayLike, high_ns: ArrayLike) -> IntervalDelays:
        """Fit the distribution that is likeliest to give the intervals.

        Parameters
        ----------
        low_ns, high_ns
            Ends of the intervals, (n,), ns; n is 1 or more.

        Returns
        -------
        IntervalDelays
            The distribution.

        Notes
        -----
        Turnbull, B. W. (1976), "The empirical distribution function with arbitrarily grouped, censored and
        truncated data", Journal of the Royal Statistical Society B 38.
        """
        low = np.asarray(low_ns, np.int64)
        high = np.maximum(np.asarray(high_ns, np.int64), low + 1)
        edges = np.unique(np.concatenate([low, high]))
        first, last, cells = np.searchsorted(edges, low), np.searchsorted(edges, high), len(edges) - 1
        shares = np.full(cells, 1.0 / cells)
        for _ in range(STEPS):
            below = np.concatenate([[0.0], np.cumsum(shares)])
            weights = 1.0 / (below[last] - below[first])
            covered = np.bincount(first, weights, cells + 1) - np.bincount(last, weights, cells + 1)
            updated = shares * np.maximum(np.cumsum(covered)[:-1], 0.0) / len(low)
            updated /= updated.sum()
            change, shares = np.abs(updated - shares).max(), updated
            if change < ENOUGH:
                break
        return cls(len(low), edges / NS_PER_MS, shares)

    def quantiles(self, levels: ArrayLike) -> NDArray[np.float64]:
        """Get quantiles; within a cell the delays are taken as spread evenly.

        Parameters
        ----------
        levels
            From 0 to 1.

        Returns
        -------
        NDArray[np.float64]
            ms, in the shape of `levels`.
        """
        kept = self.shares > SUPPORT / len(self.shares)
        heights = np.concatenate([[0.0], np.cumsum(self.shares[kept])])
        # Between two cells there may be a gap, in which the distribution does not rise.
        x = np.stack([self.edges_ms[:-1][kept], self.edges_ms[1:][kept]], axis=1).ravel()
        y = np.stack([heights[:-1], heights[1:]], axis=1).ravel()
        return np.interp(np.asarray(levels) * heights[-1], y, x)

    def summary(self) -> dict[str, Any]:
        """Sum up, as `rt_pose.loop.latency.summary` does.

        Returns
        -------
        dict[str, Any]
            n, and p50, p90, p99, p99_9 (None under 10,000 values) and max, ms.
        """
        p50, p90, p99, p99_9 = (round(float(q), 4) for q in self.quantiles([0.5, 0.9, 0.99, 0.999]))
        cells = np.flatnonzero(self.shares > 1.0 / (4 * self.n))
        longest = float(self.edges_ms[cells[-1]] + self.edges_ms[cells[-1] + 1]) / 2 if len(cells) else p99
        return {
            "n": self.n,
            "p50": p50,
            "p90": p90,
            "p99": p99,
            "p99_9": p99_9 if self.n >= P99_9_MIN_N else None,
            "max": round(max(longest, p99), 4),
        }


def add_up(delays: IntervalDelays, others_ms: ArrayLike) -> dict[str, Any]:
    """Sum up the distribution of the sum of two delays that do not depend on each other.

    Parameters
    ----------
    delays
        One of them.
    others_ms
        Values of the other, (n,), ms.

    Returns
    -------
    dict[str, Any]
        As `IntervalDelays.summary`; n is the smaller of both.
    """
    others = np.asarray(others_ms, np.float64)
    levels = (np.arange(GRID) + 0.5) / GRID
    sums = delays.quantiles(levels)[:, None] + np.quantile(others, levels)[None, :]
    found = summary(sums)
    assert found is not None
    n = min(delays.n, len(others))
    longest = delays.summary()["max"] + float(others.max())
    return {**found, "n": n, "p99_9": found["p99_9"] if n >= P99_9_MIN_N else None, "max": round(longest, 4)}
