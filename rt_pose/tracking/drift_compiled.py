"""The drift detector's figures of one frame, compiled: see `rt_pose.tracking.drift`.

Each of the three grows with drift. Each is a logarithm, so that its spread in the calibration recordings is a
share of what is usual there, whatever its unit.
"""

from __future__ import annotations

import math

import numba
import numpy as np

POSE, CONFIDENCE, INNOVATION = 0, 1, 2
"""Places of the statistics."""
LEAST_PX2 = 0.01
"""Added to a squared distance, px^2: a pose that keeps to its space exactly has a logarithm too."""
LEAST_SHARE = 1e-3
"""Confidences count as at least this, and at most 1 less this."""
LEAST_D2, MOST_D2 = 0.01, 100.0
"""Added to the mean of normalised squared innovations; the most that one of them counts."""
MOST_Z = 6.0
"""The most that one frame's deviation counts, in spreads."""


@numba.njit(cache=True, error_model="numpy")
def frame_statistics(  # type: ignore[no-untyped-def]
    xy, confidence, track_xy, seen, update, e, p, r, chosen, mean, basis, offset, work, out,
):  # fmt: skip
    """Compute the statistics of a frame.

    Parameters
    ----------
    xy
        Measured positions, (M, 2) px.
    confidence
        (M,) 0..1.
    track_xy
        The filter's estimate, (M, 2) px; stands for what was not seen.
    seen, update, e, p, r
        As `causal_filter_compiled.innovation` wrote them.
    chosen
        (n,) keypoints of the pose space; none where there is no such space.
    mean
        Mean of the space, (2 n,) px.
    basis
        (C, 2 n) orthonormal rows.
    offset
        (2,) place of the frame on the sensor, px: the space is of frames.
    work
        Room for (2 n,).
    out
        Written: (3,), NaN where a statistic has no value in this frame.
    """
    out[POSE] = _pose_error(xy, track_xy, seen, chosen, mean, basis, offset, work)
    # Confidence: the log odds of being unsure, of all keypoints together.
    total = 0.0
    for m in range(len(xy)):
        c = confidence[m]
        total += 0.0 if math.isnan(c) else min(max(c, 0.0), 1.0)
    unsure = min(max(1.0 - total / len(xy), LEAST_SHARE), 1.0 - LEAST_SHARE)
    out[CONFIDENCE] = math.log(unsure / (1.0 - unsure))
    # Innovations: half of each normalised square, 1 on average where the filter's model holds.
    total, count = 0.0, 0
    for m in range(len(xy)):
        if not update[m]:
            continue
        xx, xy_, yy = p[0, m] + r[0, m], p[1, m] + r[1, m], p[2, m] + r[2, m]
        d2 = ((yy * e[0, m] - 2.0 * xy_ * e[1, m]) * e[0, m] + xx * e[1, m] * e[1, m]) / (xx * yy - xy_ * xy_)
        if not math.isnan(d2):
            total += min(max(d2, 0.0), MOST_D2)
            count += 1
    few = count == 0 or 2 * count < len(xy)
    out[INNOVATION] = np.nan if few else math.log(LEAST_D2 + 0.5 * total / count)


@numba.njit(cache=True, error_model="numpy")
def _pose_error(xy, track_xy, seen, chosen, mean, basis, offset, work):  # type: ignore[no-untyped-def]
    """Logarithm of the root of the mean squared distance of a keypoint from the space."""
    present, square = 0, 0.0
    for i in range(len(chosen)):
        m = chosen[i]
        for axis in range(2):
            at = xy[m, axis] if seen[m] else track_xy[m, axis]
            d = at - offset[axis] - mean[2 * i + axis]
            work[2 * i + axis] = d
            square += d * d
        present += seen[m]
    if present == 0 or 2 * present < len(chosen):
        return np.nan
    for c in range(len(basis)):
        along = 0.0
        for j in range(len(work)):
            along += basis[c, j] * work[j]
        square -= along * along
    if math.isnan(square):
        return np.nan
    return 0.5 * math.log(LEAST_PX2 + max(square, 0.0) / len(chosen))


@numba.njit(cache=True, error_model="numpy")
def add_deviations(out, mean, spread, sums, counts):  # type: ignore[no-untyped-def]
    """Add a frame's statistics to the sums of its block.

    Parameters
    ----------
    out
        (3,) as of `frame_statistics`.
    mean, spread
        (3,) of the calibration recordings; NaN for a statistic that is not compared.
    sums
        Updated: (3,) sums of deviations, in spreads.
    counts
        Updated: (3,) how many they are.
    """
    for s in range(len(out)):
        z = (out[s] - mean[s]) / spread[s]
        if not math.isnan(z):
            sums[s] += min(max(z, -MOST_Z), MOST_Z)
            counts[s] += 1
