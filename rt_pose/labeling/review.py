"""The worst frames of an evaluation, to see whether the network is wrong there or the label."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.labeling.animal_points import AnimalPoints, point_name
from rt_pose.offline.prediction_files import FIELDS, HEADER_ROWS, INDIVIDUALS
from rt_pose.offline.table_text import table_text
from rt_pose.types import FloatArray

ERRORS, PREDICTIONS = "predictions_pixel_error.csv", "predictions.csv"
"""Files of `rt-pose train evaluate`."""


@dataclass
class Review:
    """Frames to go through, the worst first. F frames, P points in the labels' order."""

    names: list[str]
    errors: FloatArray
    """(F, P) px between label and prediction; NaN where there is no label."""
    predicted: FloatArray
    """(F, P, 2) frame px; NaN of what was not found, or is of no animal."""


def read_review(folder: Path, points: AnimalPoints, worst: int) -> Review:
    """Read the worst frames of an evaluation.

    Parameters
    ----------
    folder
        What `rt-pose train evaluate` wrote.
    points
        The animals and keypoints that are labeled. Body parts of no animal are not evaluated.
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
    names, wanted = header[0][1:], _evaluated(points)
    missing = [name for name in wanted if name and name not in names]
    if missing:
        raise UserError(
            f"--review {folder}: is of {', '.join(names)}; the keypoint '{missing[0]}' of the labels is "
            "not among them; evaluate again"
        )
    header, predictions = _read(folder / PREDICTIONS, header_rows=len(HEADER_ROWS))
    columns = _columns(header)
    try:
        apart = np.array(
            [[_number(row[names.index(k)]) if k else np.nan for k in wanted] for row in errors.values()]
        )
        xy = np.array(
            [
                [
                    [_number(predictions[name][columns[k, field]]) if k else np.nan for field in FIELDS[:2]]
                    for k in wanted
                ]
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


def _evaluated(points: AnimalPoints) -> list[str]:
    """What an evaluation calls each of the P points; nothing what is of no animal."""
    several = len(points.animals) > 1
    return [
        point_name(group.name if several else "", part) if group.is_animal else ""
        for group in points.groups
        for part in group.parts
    ]


def _columns(header: list[list[str]]) -> dict[tuple[str, str], int]:
    """The column of each point and field of predictions, behind the first one."""
    *_, parts, fields = (row[1:] for row in header)
    animals = header[1][1:] if len(header) > len(HEADER_ROWS) else [""] * len(parts)
    cells = zip(animals, parts, fields, strict=False)
    return {(point_name(animal, part), field): i for i, (animal, part, field) in enumerate(cells)}


def _read(path: Path, header_rows: int) -> tuple[list[list[str]], dict[str, list[str]]]:
    """The header rows, and the cells of the others by their first one."""
    if not path.is_file():
        raise UserError(
            f"--review {path.parent}: no {path.name} in it; give the folder that `train evaluate` wrote"
        )
    rows = list(csv.reader(io.StringIO(table_text(path, "evaluation"), newline="")))
    header_rows += [row[:1] for row in rows[1:2]] == [[INDIVIDUALS]]  # of several animals
    if len(rows) < header_rows:
        raise UserError(f"--review {path.parent}: {path.name} has no header; evaluate again")
    return rows[:header_rows], {row[0]: row[1:] for row in rows[header_rows:] if row}


def _number(cell: str) -> float:
    return float(cell.strip() or "nan")
