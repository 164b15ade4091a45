"""Tables: CSV as Lightning Pose and DeepLabCut write it, DeepLabCut's HDF, and Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rt_pose.export.poses import Poses, Recording, spread
from rt_pose.offline.prediction_files import FIELDS, SCORER, write_table
from rt_pose.types import FloatArray

FLOAT32 = "%.9g"
"""So many digits bring a float32 back as it was."""


def _values(poses: Poses) -> FloatArray:
    """(frames of the video, N, K, 3): x, y, likelihood; readers count rows, so every frame has one."""
    return spread(np.concatenate([poses.xy, poses.confidence[..., None]], axis=-1), poses)


def write_csv(recording: Recording, out: Path) -> None:
    """Write a table of three header rows, or of four where there are several individuals.

    Parameters
    ----------
    recording
        What is exported, of one camera.
    out
        The file.
    """
    poses = recording.cameras[0]
    rows = enumerate(_values(poses).astype(np.float32))
    write_table(out, poses.keypoints, FIELDS, rows, individuals=_several(poses), formats=(FLOAT32,))


def write_dlc_h5(recording: Recording, out: Path) -> None:
    """Write DeepLabCut's table in HDF, in the layout that every pandas reads.

    Parameters
    ----------
    recording
        What is exported, of one camera.
    out
        The file.
    """
    import pandas as pd

    poses = recording.cameras[0]
    levels: dict[str, Sequence[str]] = {"scorer": [SCORER], "bodyparts": poses.keypoints, "coords": FIELDS}
    if several := _several(poses):
        levels = {"scorer": [SCORER], "individuals": several, **levels}
    columns = pd.MultiIndex.from_product(list(levels.values()), names=list(levels))
    values = _values(poses)
    table = pd.DataFrame(values.reshape(len(values), -1), columns=columns)
    table.to_hdf(out, key="df_with_missing", mode="w", format="fixed")


def _several(poses: Poses) -> list[str]:
    """The individuals that a table of several names; none of one."""
    return poses.individuals if len(poses.individuals) > 1 else []


def write_parquet(recording: Recording, out: Path) -> None:
    """Write a row for each frame of each camera, and a column for each number.

    Of several individuals each has a row for each frame, with its name.

    Parameters
    ----------
    recording
        What is exported.
    out
        The file; names, bones and the time of day of its first frame stand in its metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = {
        "keypoints": recording.cameras[0].keypoints,
        "skeleton": recording.cameras[0].skeleton,
        "times": {poses.camera: poses.times for poses in recording.cameras},
        "numbers": {poses.camera: poses.where for poses in recording.cameras},
        "offset_xy": {poses.camera: poses.offset_xy for poses in recording.cameras},
        "start_utc_ns": recording.start_utc_ns,
    }
    tables = [
        pa.table(_columns(poses, n)) for poses in recording.cameras for n in range(len(poses.individuals))
    ]
    table = pa.concat_tables(tables).replace_schema_metadata({"rt_pose": json.dumps(about)})
    pq.write_table(table, out)


def _columns(poses: Poses, n: int) -> dict[str, object]:
    """The columns of one individual."""
    columns: dict[str, object] = {"camera": [poses.camera] * len(poses.frames)}
    if len(poses.individuals) > 1:
        columns["individual"] = [poses.individuals[n]] * len(poses.frames)
    columns |= {"frame": poses.frames, "number": poses.numbers, "t_s": poses.t_s}
    if poses.identity_p is not None:
        columns["identity_p"] = poses.identity_p[:, n]
    fields = ["x", "y", "confidence"]
    values = [poses.xy[:, n], poses.confidence[:, n, :, None]]
    if poses.velocity is not None:
        fields, values = [*fields, "vx", "vy"], [*values, poses.velocity[:, n]]
    if poses.covariance is not None:
        fields, values = [*fields, "sxx", "sxy", "syy"], [*values, poses.covariance[:, n]]
    numbers = np.concatenate(values, axis=-1)
    for k, name in enumerate(poses.keypoints):
        columns |= {f"{name}.{field}": numbers[:, k, i] for i, field in enumerate(fields)}
    return columns
