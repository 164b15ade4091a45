"""Tables: CSV as Lightning Pose and DeepLabCut write it, DeepLabCut's HDF, and Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rt_pose.export.poses import Poses
from rt_pose.offline.prediction_files import FIELDS, SCORER, write_predictions
from rt_pose.types import FloatArray


def _values(poses: Poses) -> FloatArray:
    """(F, K, 3): x, y, likelihood."""
    return np.concatenate([poses.xy, poses.confidence[..., None]], axis=-1)


def write_csv(poses: Poses, out: Path) -> None:
    """Write a table of three header rows.

    Parameters
    ----------
    poses
        The poses.
    out
        The file.
    """
    frames = [str(frame) for frame in poses.frames]
    write_predictions(out, poses.keypoints, frames, FIELDS, _values(poses))


def write_dlc_h5(poses: Poses, out: Path) -> None:
    """Write DeepLabCut's table in HDF, in the format that every pandas reads.

    Parameters
    ----------
    poses
        The poses.
    out
        The file.
    """
    import pandas as pd

    columns = pd.MultiIndex.from_product(
        [[SCORER], poses.keypoints, FIELDS], names=["scorer", "bodyparts", "coords"]
    )
    values = _values(poses).reshape(len(poses.frames), -1)
    frame = pd.DataFrame(values, index=poses.frames, columns=columns)
    frame.to_hdf(out, key="df_with_missing", mode="w", format="fixed")


def write_parquet(poses: Poses, out: Path) -> None:
    """Write a column a number: times, frames, positions, confidences, covariances, velocities.

    Parameters
    ----------
    poses
        The poses.
    out
        The file; names, bones and the time of day of its first frame stand in its metadata.
    """
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, object] = {"frame": poses.frames, "t_s": poses.t_s}
    for k, name in enumerate(poses.keypoints):
        columns |= {f"{name}.x": poses.xy[:, k, 0], f"{name}.y": poses.xy[:, k, 1]}
        columns[f"{name}.confidence"] = poses.confidence[:, k]
        if poses.covariance is not None:
            columns |= {f"{name}.{part}": poses.covariance[:, k, i] for i, part in enumerate(("sxx", "sxy", "syy"))}
        if poses.velocity is not None:
            columns |= {f"{name}.{part}": poses.velocity[:, k, i] for i, part in enumerate(("vx", "vy"))}
    about = {
        "keypoints": poses.keypoints,
        "skeleton": poses.skeleton,
        "camera": poses.camera,
        "times": poses.times,
        "start_utc_ns": poses.start_utc_ns,
    }
    table = pa.table(columns).replace_schema_metadata({"rt_pose": json.dumps(about)})
    pq.write_table(table, out)
