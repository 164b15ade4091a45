"""The worst frames of an evaluation, to see whether the network is wrong there or the label."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import FIELDS, HEADER_ROWS
from rt_pose.offline.table_text import table_text
from rt_pose.types import FloatArray

ERRORS, PREDICTIONS = "predictions_pixel_error.csv", "predictions.csv"
"""Files of `rt-pose train evaluate`."""


@dataclass
class Review:
    """Frames to go through, the worst first. F frames, K keypoints in the labels' order."""

    names: list[str]
    errors: FloatArray
    """(F, K) px between label and prediction; NaN where there is no label."""
    predicted: FloatArray
    """(F, K, 2) frame px."""


def read_review(folder: Path, keypoints: Sequence[str], worst: int) -> Review:
    """Read the worst frames of an evaluation.

    Parameters
    ----------
    folder
        What `rt-pose train evaluate` wrote.
    keypoints
        Names of the K keypoints that are labeled.
    worst
        How many frames.

    Returns
    -------
    Review
        By the largest error of a keypoint.

    Raises
    ------
    UserError
        Where it is no such folder, or of other keypoints.
    """
    header, errors = _read(folder / ERRORS, header_rows=1)
    names = header[0][1:]
    parts, predictions = _read(folder / PREDICTIONS, header_rows=len(HEADER_ROWS))
    missing = [name for name in keypoints if name not in names]
    if missing:
        raise UserError(
            f"--review {folder}: is of {', '.join(names)}; the keypoint '{missing[0]}' of the labels is "
            "not among them; evaluate again"
        )
    columns = {
        (part, field): i for i, (part, field) in enumerate(zip(parts[1][1:], parts[2][1:], strict=False))
    }
    try:
        apart = np.array([[_number(row[names.index(k)]) for k in keypoints] for row in errors.values()])
        xy = np.array(
            [
                [[_number(predictions[name][columns[k, field]]) for field in FIELDS[:2]] for k in keypoints]
                for name in errors
            ]
        )
    except (LookupError, ValueError) as error:
        raise UserError(f"--review {folder}: its CSVs do not belong together; evaluate again") from error
    if not len(apart):
        raise UserError(f"--review {folder}: {ERRORS} holds no frame; evaluate again")
    score = np.where(np.isfinite(apart), apart, -1.0).max(axis=1)
    order = [i for i in np.argsort(-score, kind="stable").tolist() if score[i] >= 0][:worst]
    if not order:
        raise UserError(f"--review {folder}: no frame of it has a label to compare; evaluate again")
    every = list(errors)
    return Review([every[i] for i in order], apart[order], xy[order])


def _read(path: Path, header_rows: int) -> tuple[list[list[str]], dict[str, list[str]]]:
    """The header rows, and the cells of the others by their first one."""
    if not path.is_file():
        raise UserError(
            f"--review {path.parent}: no {path.name} in it; give the folder that `train evaluate` wrote"
        )
    rows = list(csv.reader(io.StringIO(table_text(path, "evaluation"), newline="")))
    if len(rows) < header_rows:
        raise UserError(f"--review {path.parent}: {path.name} has no header; evaluate again")
    return rows[:header_rows], {row[0]: row[1:] for row in rows[header_rows:] if row}


def _number(cell: str) -> float:
    return float(cell.strip() or "nan")
