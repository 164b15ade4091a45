"""Which of the animals that there were is which of those that were found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

REACH = 0.5
"""Of an animal's size: whatever is further from it on average is not this animal."""


def match_individuals(found: FloatArray, truth: FloatArray, visible: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Match what was found to the animals that there were, the nearest pair first.

    Parameters
    ----------
    found
        (D, K, 2) px; NaN where nothing was found.
    truth
        (N, K, 2) px; NaN where it is not known.
    visible
        (N, K) which keypoints are compared.

    Returns
    -------
    NDArray[np.int64]
        (N,) row of `found`; -1 where none is near.
    """
    apart = np.linalg.norm(found[None] - truth[:, None], axis=-1)  # (N, D, K)
    compared = visible[:, None] & np.isfinite(apart)
    count = compared.sum(axis=-1)
    mean = np.where(compared, apart, 0.0).sum(axis=-1) / np.maximum(count, 1)
    near = (count > 0) & (mean <= REACH * _sizes(truth)[:, None])
    rows, taken = np.full(len(truth), -1), set[int]()
    for place in np.argsort(mean, axis=None, kind="stable").tolist():
        n, d = divmod(place, len(found))
        if near[n, d] and rows[n] < 0 and d not in taken:
            rows[n] = d
            taken.add(d)
    return rows


def _sizes(truth: FloatArray) -> FloatArray:
    """(N,) diagonals of the boxes around the known keypoints, px; 0 without any."""
    known = np.asarray(np.isfinite(truth).all(axis=-1, keepdims=True))
    high = np.where(known, truth, -np.inf).max(axis=1)
    low = np.where(known, truth, np.inf).min(axis=1)
    sides = np.where(known.any(axis=1), high - low, 0.0)
    return np.asarray(np.hypot(sides[:, 0], sides[:, 1]))
