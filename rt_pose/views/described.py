"""The cameras of a group as a run describes them, on the wire and in its session."""

from __future__ import annotations

import numpy as np

from rt_pose.errors import UserError
from rt_pose.types import ViewCameraInfo, ViewsInfo
from rt_pose.views.camera import CalibratedCamera

SHAPES = {"matrix": (3, 3), "distortions": (5,), "rotation": (3,), "translation": (3,)}


def described_cameras(info: ViewsInfo) -> dict[str, CalibratedCamera]:
    """Make the calibrated cameras of a group.

    Parameters
    ----------
    info
        The group, as `meta` and `session.json` hold it.

    Returns
    -------
    dict[str, CalibratedCamera]
        By the names of the run's cameras, in the axes and the unit of the group's tracks.

    Raises
    ------
    UserError
        Where a camera is not described by finite numbers of the right shapes.
    """
    return {camera.name: _camera(camera) for camera in info.calibrated}


def _camera(info: ViewCameraInfo) -> CalibratedCamera:
    arrays = {}
    for key, shape in SHAPES.items():
        try:
            array = np.array(getattr(info, key), np.float64)
        except (TypeError, ValueError):  # rows of different lengths
            array = np.array(np.nan)
        if array.shape != shape or not np.isfinite(array).all():
            raise UserError(
                f"camera '{info.name}' of a group of views: {key}: expected {'x'.join(map(str, shape))} "
                f"finite numbers, got {getattr(info, key)!r}"[:300]
            )
        arrays[key] = array
    return CalibratedCamera(info.name, info.size, **arrays)
