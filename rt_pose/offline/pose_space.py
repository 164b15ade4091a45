"""Fitting the pose prior: linear spaces from recordings in which the network was sure of itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rt_pose.package import Subspace
from rt_pose.types import FloatArray

VIEW_DIMENSIONS = 3
"""A point in space, seen by any number of affine cameras."""
POSES_PER_COORDINATE = 8
"""Fewer poses than this times the coordinates fit a space to their noise."""
QUANTILE = 0.99
CHI2_QUANTILE = 9.21
"""Of two degrees of freedom at QUANTILE."""
LEAST_EPS_PX2 = 0.1
MOST_EPS_PX2 = 1.0
"""A space of whole poses must fit them this well, or it is no prior: it would correct good keypoints."""
TRIMMED = 0.01


def view_space(name: str, poses: FloatArray, keypoints: Sequence[int]) -> Subspace | None:
    """The space of one body part seen as several keypoints; None where there are too few poses.

    `poses` (P, K, 2) px; those with a keypoint missing (NaN) are left out.
    """
    d = complete_poses(poses, keypoints)
    if len(keypoints) < 2 or len(d) < POSES_PER_COORDINATE * d.shape[1]:
        return None
    return _space(name, d, keypoints, VIEW_DIMENSIONS)


def pose_space(poses: FloatArray, keypoints: Sequence[int]) -> Subspace | None:
    """The smallest space that holds whole poses well; None where there is none, or too few poses."""
    d = complete_poses(poses, keypoints)
    if len(d) < POSES_PER_COORDINATE * d.shape[1]:
        return None
    for dimensions in range(2, d.shape[1]):
        space = _space("pose", d, keypoints, dimensions)
        if max(space.eps_px2) <= MOST_EPS_PX2:
            return space
    return None


def complete_poses(poses: FloatArray, keypoints: Sequence[int]) -> FloatArray:
    """(P', 2 n): those of poses (P, K, 2) in which all of `keypoints` are there, x and y of each in turn."""
    d = poses[:, list(keypoints)].reshape(len(poses), -1)
    return d[np.isfinite(d).all(axis=1)]


def _space(name: str, d: FloatArray, keypoints: Sequence[int], dimensions: int) -> Subspace:
    """PCA of poses `d` (P, 2 n), once more without the poses that lie furthest away."""
    _, _, far = principal(d, dimensions)
    furthest = far.max(axis=1)
    kept = d[furthest <= np.quantile(furthest, 1.0 - TRIMMED)]
    mean, components, far = principal(kept, dimensions)
    eps = np.maximum(np.quantile(far, QUANTILE, axis=0) / CHI2_QUANTILE, LEAST_EPS_PX2)
    return Subspace(name, list(keypoints), mean.tolist(), components.tolist(), eps.tolist())


def principal(d: FloatArray, dimensions: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """PCA of positions `d` (P, 2 n): mean (2 n,), components (C, 2 n), orthonormal rows, strongest first, and
    each keypoint's squared distance from the space, (P, n) px^2."""
    mean = d.mean(axis=0)
    _, _, rows = np.linalg.svd(d - mean, full_matrices=False)
    components = rows[:dimensions]
    return mean, components, residuals(d, mean, components) ** 2


def residuals(d: FloatArray, mean: FloatArray, components: FloatArray) -> FloatArray:
    """(P, n) px: each keypoint's distance from the space, of positions `d` (P, 2 n)."""
    off = d - mean
    rest = off - off @ components.T @ components
    return np.linalg.norm(rest.reshape(len(d), -1, 2), axis=-1)
