"""Places in space as a table: the header rows of prediction files, with z and a covariance of six numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rt_pose.offline.filter_views import FilteredKeypoints
from rt_pose.offline.prediction_files import write_table
from rt_pose.views.placed import PlacedKeypoints

FIELDS = (
    *("x", "y", "z"),
    *("x_var", "xy_cov", "xz_cov", "y_var", "yz_cov", "z_var"),
    *("error_px", "cameras"),
)
"""Columns of a keypoint: place and covariance in the calibration's unit, root mean square of the reprojection
errors (px), and how many cameras it was made from."""
FORMATS = (*["%.5f"] * 3, *["%.6g"] * 6, "%.3f", "%.0f")
VELOCITY_FIELDS = ("vx", "vy", "vz", "vx_var", "vy_var", "vz_var")
"""Further columns of what was filtered: velocity (unit/s) and its variances."""


def write_points(
    path: Path,
    keypoints: Sequence[str],
    frames: Sequence[int],
    points: PlacedKeypoints | FilteredKeypoints,
) -> None:
    """Write places in space.

    Parameters
    ----------
    path
        The CSV; it appears when it is whole.
    keypoints
        K names.
    frames
        F numbers of frames.
    points
        The places, with velocities where they were filtered; what is NaN becomes blank cells.
    """
    placed = points.placed if isinstance(points, FilteredKeypoints) else points
    upper = placed.cov[..., [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    columns = [placed.xyz, upper, placed.error_px[..., None], placed.cameras[..., None]]
    fields, formats = list(FIELDS), list(FORMATS)
    if isinstance(points, FilteredKeypoints):
        columns += [points.velocity, points.velocity_var]
        fields += VELOCITY_FIELDS
        formats += ["%.6g"] * len(VELOCITY_FIELDS)
    rows = np.concatenate(columns, axis=-1)
    write_table(path, keypoints, fields, zip(frames, rows, strict=True), formats=formats)
