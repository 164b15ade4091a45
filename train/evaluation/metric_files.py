"""Lightning Pose's CSVs: predictions, and metrics with a row a frame and a column a keypoint."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rt_pose.files import atomic_writer
from rt_pose.inference.decode import Keypoints
from rt_pose.offline.prediction_files import FIELDS, write_table
from rt_pose.types import FloatArray


def write_metric(
    path: Path,
    frames: Sequence[str],
    keypoints: Sequence[str],
    values: FloatArray,
    sets: Sequence[str] | None = None,
) -> None:
    """Write a metric: one header row, whose first cell is blank, and a row a frame.

    Parameters
    ----------
    path
        The CSV file to write.
    frames, keypoints
        Names of the F frames and K keypoints.
    values
        Metric (F, K); a value that is not finite is left blank.
    sets
        Set (train, validation) of each frame, for a last column; None: no such column.
    """
    with atomic_writer(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *keypoints, *(["set"] if sets else [])])
        for i, (name, row) in enumerate(zip(frames, values.tolist(), strict=True)):
            writer.writerow([name, *map(_cell, row), *([sets[i]] if sets else [])])


def write_labeled_predictions(
    path: Path,
    frames: Sequence[str],
    keypoints: Sequence[str],
    found: Keypoints[FloatArray],
    sets: Sequence[str],
    animals: Sequence[str] = (),
) -> None:
    """Write predictions of labeled frames: x, y, likelihood of each keypoint, and last the set.

    Parameters
    ----------
    path
        The CSV file to write.
    frames, keypoints
        Names of the F frames and K keypoints.
    found
        Keypoints (F, K), of several animals (F, N, K), frame px.
    sets
        Set (train, validation) of each frame.
    animals
        Names of the animals, where there are several.
    """
    values = np.concatenate([found.xy, found.confidence[..., None]], axis=-1)
    rows = zip(frames, values, strict=True)
    write_table(path, keypoints, FIELDS, rows, last=("set", sets), individuals=animals)


def _cell(value: float) -> str:
    return f"{value:.5f}" if math.isfinite(value) else ""
