"""Tracks in space of one group as tables: CSV and Parquet, with the columns of `rt-pose triangulate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rt_pose.export.poses import Recording
from rt_pose.export.spatial import SpatialPoses
from rt_pose.offline.points3d_csv import FIELDS, FORMATS, VELOCITY_FIELDS
from rt_pose.offline.prediction_files import write_table
from rt_pose.types import FloatArray

COLUMNS = (*FIELDS, *VELOCITY_FIELDS)
"""Of a keypoint."""


def points(poses: SpatialPoses) -> FloatArray:
    """Make the columns of a table.

    Parameters
    ----------
    poses
        The poses.

    Returns
    -------
    FloatArray
        (F, K, columns), in the order of `COLUMNS`.
    """
    columns = [poses.xyz, poses.covariance, poses.error_px[..., None], poses.views[..., None]]
    return np.concatenate([*columns, poses.velocity, poses.velocity_var], axis=-1)


def write_csv(recording: Recording, out: Path) -> None:
    """Write a table of three header rows, of four where there are several animals.

    Rows are counted, and the last column is their time.

    Parameters
    ----------
    recording
        What is exported, of one group.
    out
        The file.
    """
    poses, *_ = recording.spatial
    names = [one.individual for one in recording.spatial if one.individual]
    rows = np.stack([points(one) for one in recording.spatial], axis=1)
    formats = [*FORMATS, *["%.6g"] * len(VELOCITY_FIELDS)]
    times = [f"{t_s:.9f}" for t_s in poses.t_s.tolist()]
    last = "t_s", times
    write_table(out, poses.keypoints, COLUMNS, enumerate(rows), individuals=names, formats=formats, last=last)


def write_parquet(recording: Recording, out: Path) -> None:
    """Write a row for each time, and a column for each number.

    Of several animals each has a row for each time, with its name.

    Parameters
    ----------
    recording
        What is exported, of one group.
    out
        The file; names, bones, the group with its cameras and the time of day of the first frame stand in
        its metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    poses, *_ = recording.spatial
    about = {
        "keypoints": poses.keypoints,
        "skeleton": poses.skeleton,
        "views": {poses.group: msgspec.to_builtins(poses.info)},
        "start_utc_ns": recording.start_utc_ns,
    }
    tables = [pa.table(_columns(one)) for one in recording.spatial]
    table = pa.concat_tables(tables).replace_schema_metadata({"rt_pose": json.dumps(about)})
    pq.write_table(table, out)


def _columns(poses: SpatialPoses) -> dict[str, Any]:
    """The columns of one animal."""
    values, count = points(poses), len(poses.t_s)
    columns: dict[str, Any] = {"group": [poses.group] * count}
    if poses.identity_p is not None:
        columns |= {"individual": [poses.individual] * count, "identity_p": poses.identity_p}
    columns["t_s"] = poses.t_s
    for k, name in enumerate(poses.keypoints):
        columns |= {f"{name}.{column}": values[:, k, i] for i, column in enumerate(COLUMNS)}
        columns[f"{name}.confidence"] = poses.confidence[:, k]
    return columns
