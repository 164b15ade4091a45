"""Frames whose poses differ: farthest-point selection (Gonzalez 1985, Theor. Comput. Sci. 38, 293).

By itself it would first take what is like nothing else, and that is more often an error than a rare pose: an
animal stays in a pose for several frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

ALIKE = 3
"""So many other frames are like a frame of a pose that was taken for a while."""
FAR_OUT = 3.0
"""Quartile distances beyond the upper quartile: Tukey's outer fence (Exploratory Data Analysis, 1977)."""
FAR = 0.5
"""And of the poses' usual distance from the middle one: a rare pose is thinly sampled, not far from all."""
MAX_OUTLIERS = 0.05
"""Share of all poses, whatever the fence says."""
_REFERENCE, _CHUNK = 4000, 1000
"""Poses that others are compared with, evenly spread; and compared at a time."""


def poses_of(xy: FloatArray, confident: NDArray[np.bool_]) -> FloatArray:
    """Describe poses by the offsets of their keypoints.

    Parameters
    ----------
    xy
        Keypoints (F, K, 2), px.
    confident
        Which of them are confident (F, K).

    Returns
    -------
    FloatArray
        Poses (F, 2 K), px from each keypoint's mean place; 0 where a keypoint is not confident, so that no
        doubtful keypoint makes a pose a rare one.
    """
    weight = confident[..., None].astype(float)
    mean = (np.where(weight > 0, xy, 0.0)).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
    return np.where(weight > 0, xy - mean, 0.0).reshape(len(xy), -1)


def outliers(poses: FloatArray) -> NDArray[np.bool_]:
    """Return which poses are like hardly any other: even the `ALIKE`-th nearest is far.

    Parameters
    ----------
    poses
        Poses (F, D), px.

    Returns
    -------
    NDArray
        Booleans (F,); at most a share of `MAX_OUTLIERS` is True.

    Notes
    -----
    Far is beyond Tukey's outer fence (1977, Exploratory Data Analysis), `FAR` of the poses' usual distance
    from the middle one, and the quantile of `MAX_OUTLIERS`, all three.
    """
    if len(poses) <= ALIKE + 1:
        return np.zeros(len(poses), bool)
    reference = poses[:: -(-len(poses) // _REFERENCE)]
    kept = min(ALIKE, len(reference) - 1)  # 0 is the pose itself, where it is among them
    apart = np.concatenate(
        [
            np.partition(_squared(poses[i : i + _CHUNK], reference), kept, axis=1)[:, kept]
            for i in range(0, len(poses), _CHUNK)
        ]
    )
    apart = np.sqrt(apart)
    low, high, most = np.quantile(apart, [0.25, 0.75, 1 - MAX_OUTLIERS])
    usual = float(np.median(np.linalg.norm(poses - np.median(poses, axis=0), axis=1)))
    return apart > max(high + FAR_OUT * (high - low), FAR * usual, most)


def _squared(a: FloatArray, b: FloatArray) -> FloatArray:
    """(A, B) squared distances of rows."""
    found = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(found, 0.0)


def farthest_points(poses: FloatArray, count: int, taken: FloatArray | None = None) -> NDArray[np.intp]:
    """Choose poses that differ.

    From the one nearest the mean on, always the one that is farthest from all chosen ones.

    Parameters
    ----------
    poses
        Poses (F, D), px.
    count
        Number of poses to choose.
    taken
        Poses (T, D) that are chosen already, and from which the others are to differ too; None for none.

    Returns
    -------
    NDArray
        Indices, rising; `count` of them, or fewer where there are no more. Of equal poses only one is taken.
    """
    if count < 1 or not len(poses):
        return np.empty(0, np.intp)
    if taken is None or not len(taken):
        chosen = [int(np.argmin(((poses - poses.mean(axis=0)) ** 2).sum(axis=1)))]
        distance = ((poses - poses[chosen[0]]) ** 2).sum(axis=1)
    else:
        chosen = []
        distance = _squared(poses, taken).min(axis=1)
    while len(chosen) < count:
        farthest = int(np.argmax(distance))
        if distance[farthest] == 0:
            break
        chosen.append(farthest)
        distance = np.minimum(distance, ((poses - poses[farthest]) ** 2).sum(axis=1))
    return np.array(sorted(chosen), np.intp)
