"""Latencies counted in bins against the budget; no Qt in here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 40
SCALE_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
ROOM = 1.1
"""How far the scale reaches beyond the 99th percentile, and beyond a budget that is near."""
BUDGET_SHOWN_FROM = 0.2
"""A budget lies on the scale where the data reach this share of it; else the scale stays useful."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each latency was."""

    counts: NDArray[np.int64]
    """(BINS,) from 0 to `end_ms`; the last one holds what lies beyond, too."""
    end_ms: float
    n: int
    p50_ms: float
    p99_ms: float
    over: int
    """Of them over the budget; 0 where there is none."""


def nice_ceiling(value: float) -> float:
    """Round up to one of `SCALE_STEPS` times a power of ten, so that a moving scale changes seldom.

    Parameters
    ----------
    value
        What must fit below.

    Returns
    -------
    float
        The upper end of the scale; 1 for a value that is not above 0.
    """
    if not 0.0 < value < np.inf:
        return 1.0
    decade = 10.0 ** np.floor(np.log10(value))
    return float(next(step * decade for step in SCALE_STEPS if step * decade >= value * (1 - 1e-9)))


def count_latencies(values_ms: NDArray[np.float32], budget_ms: float | None) -> Histogram | None:
    """Count latencies in bins.

    Parameters
    ----------
    values_ms
        (F,) ms; those that are not finite are left out.
    budget_ms
        The budget; None for none.

    Returns
    -------
    Histogram | None
        None where there are no latencies.
    """
    values = values_ms[np.isfinite(values_ms)].astype(np.float64)
    if not values.size:
        return None
    p50, p99 = np.percentile(values, [50, 99])
    reach = ROOM * p99
    if budget_ms is not None and values.max() >= BUDGET_SHOWN_FROM * budget_ms:
        reach = max(reach, ROOM * budget_ms)
    end = nice_ceiling(float(reach))
    places = np.clip((values * (BINS / end)).astype(np.int64), 0, BINS - 1)
    over = 0 if budget_ms is None else int((values > budget_ms).sum())
    return Histogram(np.bincount(places, minlength=BINS), end, int(values.size), float(p50), float(p99), over)
