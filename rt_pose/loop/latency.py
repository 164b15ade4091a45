"""Latency figures: what they bracket, how the loop keeps them, how they are summed up.

The loop keeps raw int64 stamps in preallocated arrays and computes nothing; percentiles are taken elsewhere.
Definitions: image to pose and image to decision start when the driver hands the frame over (so waiting in the
capture slot counts), exposure to decision starts in the middle of the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rt_pose.clock import NS_PER_MS
from rt_pose.types import FrameStamps, StageStamps

P99_9_MIN_N = 10_000
"""Under so many frames the 99.9th percentile rests on fewer than ten of them and is not stated."""

FIGURES = ("image_to_pose", "image_to_decision", "engine", "exposure_to_decision")


def summary(values_ms: ArrayLike) -> dict[str, Any] | None:
    """Sum up latencies.

    Parameters
    ----------
    values_ms
        Latencies, ms, of any shape; those that are not finite are left out.

    Returns
    -------
    dict[str, Any] or None
        `n`, and `p50`, `p90`, `p99`, `p99_9` and `max` in ms; `p99_9` is None under 10,000 values. None where
        there are no values.
    """
    values = np.asarray(values_ms, dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    p50, p90, p99, p99_9 = np.percentile(values, [50, 90, 99, 99.9])
    return {
        "n": int(values.size),
        "p50": round(float(p50), 4),
        "p90": round(float(p90), 4),
        "p99": round(float(p99), 4),
        "p99_9": round(float(p99_9), 4) if values.size >= P99_9_MIN_N else None,
        "max": round(float(values.max()), 4),
    }


@dataclass(slots=True)
class FrameLatency:
    """The figures of one frame, ms; NaN where an end of the bracket is unknown."""

    image_to_pose: float
    image_to_decision: float
    engine: float
    exposure_to_decision: float


def frame_latency(stamps: FrameStamps, stages: StageStamps) -> FrameLatency:
    """Compute the latency figures of a frame that went through all stages.

    Parameters
    ----------
    stamps
        The frame's stamps.
    stages
        The host times of its stages.

    Returns
    -------
    FrameLatency
        ms; exposure to decision is NaN where the exposure is unknown.
    """
    exposure = stamps.t_exposure_ns
    return FrameLatency(
        image_to_pose=(stages.t_pose_ns - stamps.t_arrival_ns) / NS_PER_MS,
        image_to_decision=(stages.t_decided_ns - stamps.t_arrival_ns) / NS_PER_MS,
        engine=(stages.t_inferred_ns - stages.t_preprocessed_ns) / NS_PER_MS,
        exposure_to_decision=(
            float("nan") if exposure is None else (stages.t_decided_ns - exposure) / NS_PER_MS
        ),
    )


class LatencyLedger:
    """Figures of the last frames, and the count of missed deadlines since the start.

    Written by the loop thread alone; a reader in another thread sees at worst one frame half written.
    """

    def __init__(self, budget_ms: float, size: int = 512) -> None:
        """Allocate the table; no frame is entered.

        Parameters
        ----------
        budget_ms
            Longest time from exposure to decision that meets the deadline, ms.
        size
            How many of the last frames are kept.
        """
        self.budget_ms = budget_ms
        self.missed = 0
        self.evaluated = 0
        self._values: NDArray[np.float64] = np.full((len(FIGURES), size), np.nan)
        self._next = 0

    def add(self, latency: FrameLatency) -> bool:
        """Enter a frame.

        Parameters
        ----------
        latency
            Its figures.

        Returns
        -------
        bool
            Whether its decision met the budget; True where the exposure is unknown.
        """
        column = self._next % self._values.shape[1]
        self._values[0, column] = latency.image_to_pose
        self._values[1, column] = latency.image_to_decision
        self._values[2, column] = latency.engine
        self._values[3, column] = latency.exposure_to_decision
        self._next += 1
        if np.isnan(latency.exposure_to_decision):
            return True
        self.evaluated += 1
        met = latency.exposure_to_decision <= self.budget_ms
        self.missed += not met
        return met

    def recent(self) -> dict[str, dict[str, Any] | None]:
        """Sum up the last frames.

        Returns
        -------
        dict[str, dict[str, Any] or None]
            What `summary` returns, by the names in `FIGURES`.
        """
        values = self._values.copy()
        return {figure: summary(values[i]) for i, figure in enumerate(FIGURES)}
