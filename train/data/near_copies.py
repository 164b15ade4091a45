"""Poses that validate and stand in the training frames as well: their error says little of new ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray
from train.data.animals import present
from train.data.split import SPLIT_FILE

NEAR = 0.02
"""Of an animal's length: the farthest that a keypoint of a near copy is from the other pose's."""
TOO_MANY = 0.5
"""Share of the poses that validate."""


def near_copies_note(train: FloatArray, validation: FloatArray) -> list[str]:
    """Say where most poses that validate are near copies of poses in training frames.

    Parameters
    ----------
    train, validation
        Labels of both sides, (F, K, 2), of several animals (F, N, K, 2), frame px; NaN where unlabeled.

    Returns
    -------
    list of str
        A line, or none.
    """
    sides = (xy if xy.ndim == 4 else xy[:, None] for xy in (validation, train))
    validated, trained = (xy[present(xy)] for xy in sides)
    near = near_copies(validated, trained)
    if not len(validated) or near.mean() <= TOO_MANY:
        return []
    return [
        f"{near.sum()} of {len(validated)} poses that validate stand in training frames too, each keypoint "
        f"within {NEAR:.0%} of the animal's length: the validation error says little of other poses; keep "
        f"back another part of the recording ({SPLIT_FILE}), or label frames that differ more"
    ]


def near_copies(poses: FloatArray, others: FloatArray) -> NDArray[np.bool_]:
    """Find the poses of which there is a near copy among others.

    Parameters
    ----------
    poses
        (P, K, 2) px, each with a keypoint at least; NaN where unlabeled.
    others
        (Q, K, 2) px, likewise.

    Returns
    -------
    NDArray[np.bool_]
        (P,); keypoints that only one of two poses has are not compared.
    """
    if not len(poses) or not len(others):
        return np.zeros(len(poses), dtype=bool)
    reach = NEAR * float(np.median(_lengths(np.concatenate([poses, others]))))
    found = np.zeros(len(poses), dtype=bool)
    for p, pose in enumerate(poses):
        apart = np.linalg.norm(others - pose, axis=-1)
        compared = np.isfinite(apart)
        farthest = np.where(compared, apart, 0.0).max(axis=1)
        found[p] = (compared.any(axis=1) & (farthest < reach)).any()
    return found


def _lengths(poses: FloatArray) -> FloatArray:
    """(P,) px: the diagonal of each pose's box."""
    extent = np.nanmax(poses, axis=1) - np.nanmin(poses, axis=1)
    return np.hypot(extent[:, 0], extent[:, 1])
