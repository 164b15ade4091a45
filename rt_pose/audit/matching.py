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
        (N, K, 2) px.
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
    size = np.hypot(*np.moveaxis(np.ptp(truth, axis=1), -1, 0))
    near = (count > 0) & (mean <= REACH * size[:, None])
    rows, taken = np.full(len(truth), -1), set[int]()
    for place in np.argsort(mean, axis=None, kind="stable").tolist():
        n, d = divmod(place, len(found))
        if near[n, d] and rows[n] < 0 and d not in taken:
            rows[n] = d
            taken.add(d)
    return rows
