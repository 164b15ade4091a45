"""Frames whose poses differ: farthest-point selection (Gonzalez 1985, Theor. Comput. Sci. 38, 293)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray


def poses_of(xy: FloatArray, sure: NDArray[np.bool_]) -> FloatArray:
    """(F, 2 K) px from each keypoint's mean place; 0 where it is not sure, so that no doubtful keypoint makes
    a pose a rare one."""
    weight = sure[..., None].astype(float)
    mean = (np.where(weight > 0, xy, 0.0)).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
    return np.where(weight > 0, xy - mean, 0.0).reshape(len(xy), -1)


def farthest_points(poses: FloatArray, count: int) -> NDArray[np.intp]:
    """Indices, rising, of `count` rows of `poses` (F, D): from the one nearest the mean on, always the one
    farthest from all that are chosen. All where there are no more, one only of those that are equal."""
    chosen = [int(np.argmin(((poses - poses.mean(axis=0)) ** 2).sum(axis=1)))]
    distance = ((poses - poses[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count:
        farthest = int(np.argmax(distance))
        if distance[farthest] == 0:
            break
        chosen.append(farthest)
        distance = np.minimum(distance, ((poses - poses[farthest]) ** 2).sum(axis=1))
    return np.array(sorted(chosen), np.intp)
