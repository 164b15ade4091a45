"""How far keypoints move: a pose that stands still is smooth, plausible, free of jitter, and worthless.

The step amplitude of a keypoint is the range of its positions (P5 to P95 along x and y, put together as a
distance) within a window of a fifth of a second, about a stride of a walking mouse, averaged over windows:
the mean, not the median, so that a pose that freezes for a third of the time loses a third. Quantiles are
used so that single misses do not count as steps. The speed of a keypoint is the 95th percentile of its
movement from frame to frame.

All networks are compared on the same frames, those where the *reference* sees the keypoint: a network cannot
leave out the frames in which its confidence is low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

WINDOW_S = 0.2
LEAST_SEEN = 0.5
"""A window in which a keypoint is seen for less than this share of the time does not count for it."""
RANGE = (5.0, 95.0)
FAST = 95.0
Mask = NDArray[np.bool_]


def step_amplitude(xy: FloatArray, seen: Mask, rate_hz: float) -> FloatArray:
    """Return the step amplitude of each keypoint: the mean range of its positions within short windows.

    Parameters
    ----------
    xy
        Positions (T, K, 2), px.
    seen
        Which of them count (T, K).
    rate_hz
        Frames a second.

    Returns
    -------
    FloatArray
        Amplitudes (K,), px; NaN where no window counts. Windows overlap by half.
    """
    length = min(max(round(WINDOW_S * rate_hz), 2), len(xy))
    starts = range(0, len(xy) - length + 1, max(length // 2, 1))
    found = [_range(xy[i : i + length], seen[i : i + length]) for i in starts]
    return _mean(np.array(found))


def fast_speed(xy: FloatArray, seen: Mask) -> FloatArray:
    """Return the 95th percentile of each keypoint's movement from frame to frame.

    Parameters
    ----------
    xy
        Positions (T, K, 2), px.
    seen
        Which of them count (T, K); a movement counts where both of its frames do.

    Returns
    -------
    FloatArray
        Speeds (K,), px a frame; NaN where nothing counts.
    """
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=-1)
    both = seen[1:] & seen[:-1]
    return np.array(
        [
            np.percentile(own[counts], FAST) if counts.any() else np.nan
            for own, counts in zip(steps.T, both.T, strict=True)
        ]
    )


def _range(xy: FloatArray, seen: Mask) -> FloatArray:
    """Return the range of each keypoint in one window (K,), px."""
    found = np.full(xy.shape[1], np.nan)
    for k in np.flatnonzero(seen.mean(axis=0) >= LEAST_SEEN):
        low, high = np.percentile(xy[seen[:, k], k], RANGE, axis=0)
        found[k] = np.hypot(*(high - low))
    return found


def _mean(ranges: FloatArray) -> FloatArray:
    known = np.isfinite(ranges)
    n = known.sum(axis=0)
    total: FloatArray = np.where(known, ranges, 0.0).sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
