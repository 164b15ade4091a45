"""Prediction files of Lightning Pose, DeepLabCut and the ensemble Kalman smoother: CSV, three header rows."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.offline.predict import appearing_whole
from rt_pose.types import FloatArray

HEADER_ROWS = ("scorer", "bodyparts", "coords")
FIELDS = ("x", "y", "likelihood")
SMOOTHED_FIELDS = (
    *FIELDS,
    "x_ens_median",
    "y_ens_median",
    "x_ens_var",
    "y_ens_var",
    "x_posterior_var",
    "y_posterior_var",
)
"""Columns of a keypoint in what the ensemble Kalman smoother writes."""
SCORER = "rt-pose"


@dataclass(slots=True)
class Predictions:
    """What one network says of a video. F frames, K keypoints."""

    keypoints: list[str]
    frames: list[str]
    """The first column."""
    xy: FloatArray
    """(F, K, 2) px; NaN where the cells are blank."""
    likelihood: FloatArray
    """(F, K)."""


def read_predictions(path: Path | str) -> Predictions:
    """Read a file; columns beside x, y and likelihood are left out. UserError where it is none of these."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"predictions {path}: no such file; `rt-pose predict` writes one")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"predictions {path}: not a CSV text file: {error}") from error
    lines = text.splitlines()
    header = list(islice(csv.reader(lines[: len(HEADER_ROWS)]), len(HEADER_ROWS)))
    keypoints, columns = _columns(path, header)
    body = [line for line in lines[len(HEADER_ROWS) :] if line.strip()]
    if not body:
        raise UserError(f"predictions {path}: empty: header rows but not one frame")
    names, cells = zip(*(line.split(",", 1) for line in body), strict=True)
    try:
        values = np.loadtxt([_filled(row) for row in cells], delimiter=",", ndmin=2)
    except ValueError as error:
        raise UserError(f"predictions {path}: {error}") from error
    if values.shape[1] != len(header[1]) - 1:
        raise UserError(
            f"predictions {path}: rows have {values.shape[1]} cells where the header has {len(header[1]) - 1}"
        )
    taken = values[:, columns].reshape(len(values), len(keypoints), 3)
    return Predictions(keypoints, list(names), taken[..., :2].copy(), taken[..., 2].copy())


def _columns(path: Path, header: list[list[str]]) -> tuple[list[str], list[int]]:
    """The keypoints, and the columns of x, y and likelihood of each in turn."""
    found = [row[0].strip() if row else "" for row in header]
    if found != list(HEADER_ROWS):
        raise UserError(
            f"predictions {path}: expected the header rows {', '.join(HEADER_ROWS)} of a single-animal file "
            f"of Lightning Pose or DeepLabCut, found rows that begin with {', '.join(found) or 'nothing'}"
        )
    places = {
        (k.strip(), c.strip()): i for i, (k, c) in enumerate(zip(header[1][1:], header[2][1:], strict=False))
    }
    keypoints = list(dict.fromkeys(k for k, _ in places))
    for keypoint in keypoints:
        for field in FIELDS:
            if (keypoint, field) not in places:
                raise UserError(f"predictions {path}: keypoint '{keypoint}' has no column {field}")
    return keypoints, [places[k, field] for k in keypoints for field in FIELDS]


def _filled(row: str) -> str:
    """A row of numbers whose blank cells say nan."""
    if ",," in row or row.startswith(",") or row.endswith(","):
        return ",".join(cell if cell.strip() else "nan" for cell in row.split(","))
    return row


def write_predictions(
    path: Path, keypoints: Sequence[str], frames: Sequence[str], fields: Sequence[str], values: FloatArray
) -> None:
    """Write `values` (F, K, fields) in the same layout; a NaN becomes a blank cell."""
    flat = values.reshape(len(values), -1)
    line = ",".join(["%.5f"] * flat.shape[1])
    with appearing_whole(path) as file:
        for name, row in (
            (HEADER_ROWS[0], [SCORER] * flat.shape[1]),
            (HEADER_ROWS[1], [k for k in keypoints for _ in fields]),
            (HEADER_ROWS[2], list(fields) * len(keypoints)),
        ):
            file.write(",".join([name, *row]) + "\n")
        for name, numbers in zip(frames, flat.tolist(), strict=True):
            file.write(f"{name},{line % tuple(numbers)}\n".replace("nan", ""))
