"""What a group of views notes of each observation besides the filter's own update, compiled.

Where several cameras see K keypoints: when each last saw one within its gate, how confident its network was,
and how far from the track, on the camera's image, it was seen.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray
from rt_pose.views.camera_compiled import project

SEEN, TRACKED, OFF_X, OFF_Y = range(4)
"""Columns of what is summed up for the check of the calibration."""


class Sightings(NamedTuple):
    """What V cameras last saw of K keypoints; part of a group's state."""

    inside_ns: NDArray[np.int64]
    """(V, K) time of the newest observation within the gate."""
    confident_ns: NDArray[np.int64]
    """(V, K) time of the newest observation of a keypoint that has a track."""
    confidence: FloatArray
    """(V, K) its confidence."""


@numba.njit(cache=True, error_model="numpy")
def note(  # type: ignore[no-untyped-def]
    sightings, view, t_ns, camera, xy, confidence, factor, mean, known, furthest, slope, sums
):
    """Note what came of an observation, after the filter has taken it in.

    Parameters
    ----------
    sightings
        Updated.
    view
        Number of the camera.
    t_ns
        Time of its exposure, ns.
    camera
        The camera's row.
    xy
        (K, 2) px, NaN where it did not see a keypoint.
    confidence
        (K,) 0..1.
    factor
        (K,) what the noise was multiplied with; NaN where the observation served no track.
    mean, known
        State of the filter at `t_ns`: (K, 6), and whether there is a track (K,).
    furthest
        A keypoint that was seen further from its track, in x or y, counts as this far in the sums, px.
    slope
        Room, (2, 3).
    sums
        Added to: the columns `SEEN` (keypoints), `TRACKED` (of these, with a track), `OFF_X` and `OFF_Y` (px,
        from the track to where they were seen).

    Returns
    -------
    float
        Root mean square of the distances from the track on the image, px; NaN where nothing was tracked.
    """
    count, squared = 0, 0.0
    for k in range(len(xy)):
        if not np.isfinite(xy[k, 0] + xy[k, 1]):
            continue
        sums[SEEN] += 1.0
        if not known[k] or np.isnan(factor[k]):
            continue
        sightings.confident_ns[view, k], sightings.confidence[view, k] = t_ns, confidence[k]
        if factor[k] == 1.0:
            sightings.inside_ns[view, k] = t_ns
        x, y, shown = project(camera, mean[k], slope)
        if not shown:
            continue
        off_x, off_y = xy[k, 0] - x, xy[k, 1] - y
        count += 1
        squared += off_x * off_x + off_y * off_y
        sums[TRACKED] += 1.0
        sums[OFF_X] += min(max(off_x, -furthest), furthest)
        sums[OFF_Y] += min(max(off_y, -furthest), furthest)
    return math.sqrt(squared / count) if count else np.nan


@numba.njit(cache=True, error_model="numpy")
def recently(sightings, newest_ns, within_ns, views, confidence):  # type: ignore[no-untyped-def]
    """Sum up who saw each keypoint just before the newest observation.

    Parameters
    ----------
    sightings
        What was seen.
    newest_ns
        Time of the newest observation, ns.
    within_ns
        How long before it still counts, ns.
    views
        Written: (K,) how many cameras saw it within the gate.
    confidence
        Written: (K,) the largest confidence of those that saw it; 0 for none.
    """
    cameras, keypoints = sightings.inside_ns.shape
    for k in range(keypoints):
        views[k], confidence[k] = 0, 0.0
        for v in range(cameras):
            if newest_ns - sightings.inside_ns[v, k] <= within_ns:
                views[k] += 1
            if newest_ns - sightings.confident_ns[v, k] <= within_ns:
                confidence[k] = max(confidence[k], sightings.confidence[v, k])
