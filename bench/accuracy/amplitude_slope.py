"""Amplitude on held-out frames: the slope of where keypoints are found on where they were labeled.

A pose drawn toward its mean place is smooth, plausible and often nearer on average, and its slope is below
one. No other network is needed to see that, and swapped legs, which make the steps of a network without
temporal losses look long, are left out as misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.accuracy.reference_set import Network
from bench.accuracy.statistics import Counts, Interval, draws
from rt_pose.types import FloatArray

MISS_PX = 25.0
"""A keypoint that is found further than this from its label counts as a miss."""
LEAST_FRAMES = 3
"""A keypoint that is found in fewer frames is left out."""


def amplitude_slope(networks: Sequence[Network], keypoints: Sequence[int]) -> dict[str, Any] | None:
    """Compute the slope over all frames that a network did not learn from.

    Parameters
    ----------
    networks
        The networks, taken together.
    keypoints
        Indices of those that move.

    Returns
    -------
    dict[str, Any] or None
        The slope with its interval, and n (keypoints); None where too few were found near their labels.
    """
    names = sorted({name for n in networks for name in n.measured.held_names})
    place = {name: i for i, name in enumerate(names)}
    frame = np.array([place[name] for n in networks for name in n.measured.held_names], np.intp)
    found = np.concatenate([n.measured.held_xy for n in networks])
    labeled = np.concatenate([n.measured.held_labels for n in networks])
    together, alone, n = np.zeros(len(names)), np.zeros(len(names)), 0
    for k in keypoints:
        near = np.linalg.norm(found[:, k] - labeled[:, k], axis=-1) <= MISS_PX  # unlabeled: no
        if near.sum() >= LEAST_FRAMES:
            own, right = (_centred(xy[near, k]) for xy in (found, labeled))
            together += np.bincount(frame[near], (own * right).sum(axis=-1), len(names))
            alone += np.bincount(frame[near], (right**2).sum(axis=-1), len(names))
            n += int(near.sum())
    if not n:
        return None
    return asdict(Interval.of(_slope(together, alone, draws(len(names))))) | {"n": n}


def _slope(together: FloatArray, alone: FloatArray, counts: Counts) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: FloatArray = (counts @ together) / (counts @ alone)
    return found


def _centred(xy: FloatArray) -> FloatArray:
    return xy - xy.mean(axis=0)
