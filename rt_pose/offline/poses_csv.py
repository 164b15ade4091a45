"""Reading poses of every frame from a Lightning Pose or DeepLabCut CSV, as `rt-pose predict` writes them.

Three header rows (scorer, bodyparts, coords), then a row a frame: its number, or the name of an image that
ends in it, and x, y and mostly a likelihood for each keypoint. An empty cell is a keypoint that is not there.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError, nearest
from rt_pose.types import FloatArray

HEADER = ("scorer", "bodyparts", "coords")
COORDS = ("x", "y", "likelihood")


@dataclass
class Poses:
    """F frames from frame 0 on, K keypoints."""

    keypoints: list[str]
    xy: FloatArray
    """(F, K, 2) px; NaN where the table has nothing."""
    likelihood: FloatArray
    """(F, K) 0..1; 1 where the table has no such column, NaN where it has no such row."""


def read_poses(path: Path) -> Poses:
    """The table; UserError names the row that cannot be read."""
    rows = _rows(path)
    parts = [cell.strip() for cell in rows[1][1:]]
    coords = [cell.strip() for cell in rows[2][1:]]
    keypoints = list(dict.fromkeys(parts))
    columns = {(part, coord): i for i, (part, coord) in enumerate(zip(parts, coords, strict=False), 1)}
    for keypoint in keypoints:
        for coord in COORDS[:2]:
            if (keypoint, coord) not in columns:
                raise UserError(f"poses {path}: keypoint '{keypoint}' has no column {coord}")
    values: dict[int, list[list[float]]] = {}
    for number, cells in enumerate(rows[3:], 4):
        try:
            values[_frame(cells[0])] = [
                [_number(cells, columns.get((k, coord)), coord) for coord in COORDS] for k in keypoints
            ]
        except (ValueError, IndexError) as error:
            raise UserError(f"poses {path}: row {number}: {error}") from error
    if not values:
        raise UserError(f"poses {path}: it holds its header rows and not one frame")
    table = np.full((max(values) + 1, len(keypoints), 3), np.nan)
    table[list(values)] = list(values.values())
    return Poses(keypoints, table[..., :2], table[..., 2])


def in_order(poses: Poses, keypoints: list[str], needed: set[str], where: str) -> FloatArray:
    """Positions (F, K, 2) in the order of `keypoints`, NaN for one that the table lacks.

    UserError where it lacks one that is needed.
    """
    xy = np.full((len(poses.xy), len(keypoints), 2), np.nan)
    for k, keypoint in enumerate(keypoints):
        if keypoint in poses.keypoints:
            xy[:, k] = poses.xy[:, poses.keypoints.index(keypoint)]
        elif keypoint in needed:
            hint = nearest(keypoint, poses.keypoints)
            raise UserError(f"{where}: a rule looks at '{keypoint}', which is not in it{hint}")
    return xy


def _rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise UserError(f"poses {path}: no such file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [cells for cells in csv.reader(file) if any(cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"poses {path}: not a CSV text file: {error}") from error
    found = [cells[0].strip() for cells in rows[:3]]
    if tuple(found) != HEADER:
        raise UserError(
            f"poses {path}: expected three header rows that begin with {', '.join(HEADER)}, found "
            f"{', '.join(map(repr, found)) or 'nothing'}; `rt-pose predict` writes such a table"
        )
    return rows


def _frame(cell: str) -> int:
    """The frame's number: the cell itself, or the digits its file name ends in."""
    match = re.search(r"(\d+)(?:\.0)?(?:\.[A-Za-z]+)?\s*$", cell)
    if match is None:
        raise ValueError(f"expected a frame's number or an image whose name ends in it, got '{cell}'")
    return int(match[1])


def _number(cells: list[str], column: int | None, coord: str) -> float:
    if column is None:
        return 1.0
    cell = cells[column].strip()
    if not cell or cell.lower() == "nan":
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{coord} is '{cell}', not a number") from None
