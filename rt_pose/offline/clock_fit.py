"""A straight line between two clocks, from moments that both have recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.types import FloatArray

LEAST_PAIRS = 8
ROUNDS = 12
TUKEY = 4.685
"""Residuals beyond so many standard deviations have no weight (95 % efficiency for Gaussian residuals)."""
MAD_TO_SIGMA = 1.4826
LEAST_SCALE_S = 1e-7
"""A residual below this is rounding."""


@dataclass(frozen=True, slots=True)
class ClockFit:
    """Another clock as a function of the host's."""

    host_ns: int
    """The middle of the moments on the host's clock."""
    other_s: float
    """The same on the other clock."""
    rate: float
    """Seconds of the other clock in a second of the host's."""
    rate_error: float
    """Standard error of `rate`."""
    offset_error_s: float
    """Standard error of `other_s`."""
    residuals_s: FloatArray
    """Of each moment, (M,)."""

    @property
    def drift_ppm(self) -> float:
        """How much faster the other clock runs, millionths."""
        return (self.rate - 1.0) * 1e6

    def to_other_s(self, host_ns: NDArray[np.int64]) -> FloatArray:
        """Convert host times.

        Parameters
        ----------
        host_ns
            Host times, ns, (F,).

        Returns
        -------
        FloatArray
            Times on the other clock, s, (F,).
        """
        return self.other_s + self.rate * ((host_ns - self.host_ns) / NS_PER_S)

    def error_s(self, host_ns: NDArray[np.int64]) -> FloatArray:
        """Bound the error of converted times.

        Parameters
        ----------
        host_ns
            Host times, ns, (F,).

        Returns
        -------
        FloatArray
            The 99th percentile of the residuals, and three standard errors of the line at that time, s, (F,).
        """
        away_s = (host_ns - self.host_ns) / NS_PER_S
        line = 3.0 * np.hypot(self.offset_error_s, self.rate_error * away_s)
        return line + float(np.percentile(np.abs(self.residuals_s), 99))


def fit_clock(host_ns: NDArray[np.int64], other_s: FloatArray) -> ClockFit:
    """Fit a line that does not follow outliers.

    Parameters
    ----------
    host_ns
        M moments on the host's clock, ns; at least `LEAST_PAIRS`.
    other_s
        The same moments on the other clock, s.

    Returns
    -------
    ClockFit
        The line.

    Notes
    -----
    It begins with the median slope of pairs half the span apart (Theil, H. (1950), "A rank-invariant method
    of linear and polynomial regression analysis"), and goes on with reweighted least squares under Tukey's
    biweight.
    """
    middle_ns, middle_s = int(host_ns[len(host_ns) // 2]), float(other_s[len(other_s) // 2])
    x, y = (host_ns - middle_ns) / NS_PER_S, other_s - middle_s
    offset, slope = robust_line(x, y)
    weights = _weights(y - offset - slope * x)
    total = weights.sum()
    mean_x = float((weights * x).sum() / total)
    spread = float((weights * (x - mean_x) ** 2).sum())
    residuals = y - offset - slope * x
    variance = float((weights * residuals**2).sum() / max(total - 2.0, 1.0))
    offset_error = math.sqrt(variance / total)
    return ClockFit(
        host_ns=middle_ns + round(mean_x * NS_PER_S),
        other_s=middle_s + offset + slope * mean_x,
        rate=slope,
        rate_error=math.sqrt(variance / spread) if spread > 0.0 else math.inf,
        offset_error_s=offset_error,
        residuals_s=residuals,
    )


def robust_line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Fit a line that does not follow outliers.

    Parameters
    ----------
    x, y
        M points, x in order; at least 2.

    Returns
    -------
    tuple[float, float]
        Offset at x = 0, and slope (1 where all x are equal).
    """
    half = len(x) // 2
    apart = x[half:] - x[: len(x) - half]
    climb, wide = y[half:] - y[: len(y) - half], apart > 0
    slope = float(np.median(climb[wide] / apart[wide])) if wide.any() else 1.0
    offset = float(np.median(y - slope * x))
    for _ in range(ROUNDS):
        weights = _weights(y - offset - slope * x)
        total = weights.sum()
        mean_x, mean_y = (weights * x).sum() / total, (weights * y).sum() / total
        spread = (weights * (x - mean_x) ** 2).sum()
        if spread <= 0.0:
            break
        before = slope
        slope = float((weights * (x - mean_x) * (y - mean_y)).sum() / spread)
        offset = float(mean_y - slope * mean_x)
        if abs(slope - before) < 1e-12:
            break
    return offset, slope


def _weights(residuals: FloatArray) -> FloatArray:
    scale = max(MAD_TO_SIGMA * float(np.median(np.abs(residuals))), LEAST_SCALE_S)
    return np.clip(1.0 - (residuals / (TUKEY * scale)) ** 2, 0.0, None) ** 2
