"""Errors against labels, in frame px. An error is a distance: never a per-axis root mean square."""

from __future__ import annotations

import numpy as np

from rt_pose.types import FloatArray


def distances(xy: FloatArray, labels: FloatArray) -> FloatArray:
    """(..., K) px from `labels` (..., K, 2); NaN where unlabeled, infinite where only `xy` is missing."""
    apart = np.linalg.norm(xy - labels, axis=-1)
    labeled = np.isfinite(labels).all(axis=-1)
    return np.where(labeled, np.nan_to_num(apart, nan=np.inf), np.nan)


def figures(apart: FloatArray) -> dict[str, float]:
    """Median, mean and 90th percentile of distances, NaN left out; there must be one at least."""
    known = apart[~np.isnan(apart)]
    with np.errstate(invalid="ignore"):  # between two infinite distances there is nothing to interpolate
        median, p90 = np.percentile(known, [50, 90])
    return {"median_px": float(median), "mean_px": float(np.mean(known)), "p90_px": float(p90)}
