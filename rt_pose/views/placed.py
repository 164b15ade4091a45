"""Keypoints of every frame in space, from what several cameras saw of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.triangulation import triangulate_consistent
from rt_pose.views.view_poses import ViewPoses

POINTS_AT_ONCE = 20_000
"""More take more memory and are no faster."""


@dataclass(frozen=True, slots=True)
class PlacedKeypoints:
    """F frames, K keypoints; NaN where fewer than two cameras saw one."""

    xyz: FloatArray
    """(F, K, 3) in the calibration's unit."""
    cov: FloatArray
    """(F, K, 3, 3)."""
    error_px: FloatArray
    """(F, K) root mean square of the reprojection errors."""
    cameras: FloatArray
    """(F, K) how many cameras each was made from."""
    left_out: int
    """Observations that contradicted the others."""


def place_keypoints(
    cameras: Sequence[CalibratedCamera], poses: ViewPoses, noise_px: float
) -> PlacedKeypoints:
    """Triangulate the keypoints of every frame.

    Parameters
    ----------
    cameras
        In the order of the poses'.
    poses
        What they saw.
    noise_px
        Standard deviation of the keypoints in x and y, where the poses have no covariances.

    Returns
    -------
    PlacedKeypoints
        See `triangulate_consistent`.
    """
    frames, keypoints = poses.xy.shape[1:3]
    rows = max(1, POINTS_AT_ONCE // keypoints)
    parts = []
    for start in range(0, frames, rows):
        xy = poses.xy[:, start : start + rows].reshape(len(cameras), -1, 2)
        if poses.cov is None:
            cov = np.broadcast_to(noise_px**2 * np.eye(2), (*xy.shape, 2))
        else:
            cov = poses.cov[:, start : start + rows].reshape(len(cameras), -1, 2, 2)
        found = triangulate_consistent(cameras, xy, cov)
        count = found.used.sum(axis=0)
        seen = np.isfinite(xy).all(axis=-1).sum(axis=0)
        left_out = int((seen - count)[count > 0].sum())
        number = np.where(count > 0, count, np.nan)
        parts.append((found.xyz, found.cov, found.error_px, number, left_out))
    xyz, covs, errors, numbers, outliers = zip(*parts, strict=True)
    shape = (frames, keypoints)
    return PlacedKeypoints(
        np.concatenate(xyz).reshape(*shape, 3),
        np.concatenate(covs).reshape(*shape, 3, 3),
        np.concatenate(errors).reshape(shape),
        np.concatenate(numbers).reshape(shape),
        sum(outliers),
    )
