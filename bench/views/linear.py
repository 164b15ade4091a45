"""Triangulation frame by frame as OpenCV and aniposelib do it: lenses taken out, then the linear solution."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera


def triangulate_linear(cameras: Sequence[CalibratedCamera], xy: FloatArray) -> FloatArray:
    """Find places by the direct linear transform (Hartley and Zisserman 2004, ch. 12.2).

    Parameters
    ----------
    cameras
        V of them.
    xy
        (V, F, K, 2) px; NaN where a camera does not see a keypoint.

    Returns
    -------
    FloatArray
        (F, K, 3); NaN where fewer than two cameras see a keypoint.
    """
    flat = xy.reshape(len(cameras), -1, 2)
    seen = np.asarray(np.isfinite(flat).all(axis=-1))
    rows = []
    for camera, px, own in zip(cameras, flat, seen, strict=True):
        usable = np.where(own[:, None], px, camera.centre)
        ideal = cv2.undistortPoints(usable[:, None], camera.matrix, camera.distortions)[:, 0]
        pose = np.hstack([camera.rotation_matrix, camera.translation[:, None]])
        rows += [(ideal[:, axis, None] * pose[2] - pose[axis]) * own[:, None] for axis in (0, 1)]
    *_, right = np.linalg.svd(np.stack(rows, axis=1))
    homogeneous = right[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        xyz = homogeneous[:, :3] / homogeneous[:, 3:]
    return np.where((seen.sum(axis=0) >= 2)[:, None], xyz, np.nan).reshape(*xy.shape[1:3], 3)
