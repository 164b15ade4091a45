"""Lightning Pose's CSVs: predictions, and metrics with a row a frame and a column a keypoint."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from rt_pose.files import atomic_writer
from rt_pose.inference.decode import Keypoints
from rt_pose.offline.prediction_files import FIELDS, HEADER_ROWS, SCORER
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
) -> None:
    """Write predictions of labeled frames: x, y, likelihood of each keypoint, and last the set.

    Parameters
    ----------
    path
        The CSV file to write.
    frames, keypoints
        Names of the F frames and K keypoints.
    found
        Keypoints (F, K), frame px.
    sets
        Set (train, validation) of each frame.
    """
    head = (
        [SCORER] * (3 * len(keypoints)),
        [name for name in keypoints for _ in FIELDS],
        list(FIELDS) * len(keypoints),
    )
    with atomic_writer(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        for name, row, last in zip(HEADER_ROWS, head, ("set", "", ""), strict=True):
            writer.writerow([name, *row, last])
        for i, name in enumerate(frames):
            cells = [
                _cell(value)
                for (x, y), confidence in zip(found.xy[i].tolist(), found.confidence[i].tolist(), strict=True)
                for value in (x, y, confidence)
            ]
            writer.writerow([name, *cells, sets[i]])


def _cell(value: float) -> str:
    return f"{value:.5f}" if math.isfinite(value) else ""
