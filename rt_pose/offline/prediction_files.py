"""Prediction files of Lightning Pose, DeepLabCut and the ensemble Kalman smoother: CSV, three header rows; or
what DeepLabCut writes beside it, the same table in HDF."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.offline.hdf import hdf_text, is_hdf
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


def read_predictions(path: Path | str, *, scored: bool = True) -> Predictions:
    """Read a file; columns beside x, y and likelihood are left out. UserError where it is none of these.

    `scored`: a file without likelihoods, as one of labels is, is refused; otherwise they are 1.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"predictions {path}: no such file; `rt-pose predict` writes one")
    try:
        text = hdf_text(path, "predictions") if is_hdf(path) else path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"predictions {path}: not a CSV text file: {error}") from error
    lines = text.splitlines()
    header = list(islice(csv.reader(lines[: len(HEADER_ROWS)]), len(HEADER_ROWS)))
    keypoints, columns = _columns(path, header, scored)
    body = {n: line for n, line in enumerate(lines, 1) if n > len(HEADER_ROWS) and line.strip()}
    if not body:
        raise UserError(f"predictions {path}: empty: header rows but not one frame")
    names, cells = zip(*(line.partition(",")[::2] for line in body.values()), strict=True)
    width = len(header[1]) - 1
    if not all(cells):
        raise UserError(f"predictions {path}: {_find_problem(body, width)}")
    try:
        values = np.loadtxt([_filled(row) for row in cells], delimiter=",", ndmin=2)
    except ValueError as error:
        raise UserError(f"predictions {path}: {_find_problem(body, width) or error}") from error
    if values.shape[1] != width:
        raise UserError(f"predictions {path}: {_find_problem(body, width)}")
    values = np.column_stack((values, np.ones(len(values))))  # for a likelihood that is not there
    taken = values[:, columns].reshape(len(values), len(keypoints), 3)
    return Predictions(keypoints, list(names), taken[..., :2].copy(), taken[..., 2].copy())


def _columns(path: Path, header: list[list[str]], scored: bool) -> tuple[list[str], list[int]]:
    """The keypoints, and the columns of x, y and likelihood of each in turn; -1 for none."""
    found = [row[0].strip() if row else "" for row in header]
    if found != list(HEADER_ROWS):
        raise UserError(
            f"predictions {path}: expected the header rows {', '.join(HEADER_ROWS)} of a single-animal file "
            f"of Lightning Pose or DeepLabCut, found rows that begin with {', '.join(found) or 'nothing'}; "
            "`rt-pose predict` writes such a file"
        )
    places = {
        (k.strip(), c.strip()): i for i, (k, c) in enumerate(zip(header[1][1:], header[2][1:], strict=False))
    }
    keypoints = list(dict.fromkeys(k for k, _ in places))
    for keypoint in keypoints:
        for field in FIELDS if scored else FIELDS[:2]:
            if (keypoint, field) not in places:
                raise UserError(f"predictions {path}: keypoint '{keypoint}' has no column {field}")
    return keypoints, [places.get((k, field), -1) for k in keypoints for field in FIELDS]


def _find_problem(body: dict[int, str], width: int) -> str:
    """The first row that cannot be read, by its number in the file, and why."""
    for number, line in body.items():
        cells = [cell.strip() for cell in line.split(",")[1:]]
        if len(cells) != width:
            return f"row {number}: {len(cells)} cells where the header has {width}"
        for cell in cells:
            try:
                float(cell or "nan")
            except ValueError:
                return f"row {number}: '{cell}' is not a number"
    return ""


def _filled(row: str) -> str:
    """A row of numbers whose blank cells say nan."""
    if ",," in row or row.startswith(",") or row.endswith(","):
        return ",".join(cell if cell.strip() else "nan" for cell in row.split(","))
    return row


def write_predictions(
    path: Path, keypoints: Sequence[str], frames: Sequence[str], fields: Sequence[str], values: FloatArray
) -> None:
    """Write `values` (F, K, fields) in the same layout; a NaN becomes a blank cell."""
    write_table(path, keypoints, fields, zip(frames, values, strict=True))


def write_table(
    path: Path,
    keypoints: Sequence[str],
    fields: Sequence[str],
    rows: Iterable[tuple[object, FloatArray]],
    *,
    scorer: str = SCORER,
    formats: Sequence[str] = ("%.5f",),
    last: tuple[str, Sequence[str]] | None = None,
) -> None:
    """Write rows as they come, each the first cell and the values (K, fields); the file appears when it is
    whole.

    `formats` are the fields' own (one for all will do), `last` the title of a further column and its cells.
    """
    own = list(formats) * (len(fields) // len(formats))
    line = ",".join(own * len(keypoints))
    title, cells = last or ("", ())
    with atomic_writer(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        for head, row, end in (
            (HEADER_ROWS[0], [scorer] * (len(keypoints) * len(fields)), title),
            (HEADER_ROWS[1], [keypoint for keypoint in keypoints for _ in fields], ""),
            (HEADER_ROWS[2], list(fields) * len(keypoints), ""),
        ):
            writer.writerow([head, *row, *([end] if last else [])])
        for i, (name, values) in enumerate(rows):
            numbers = (line % tuple(values.ravel().tolist())).replace("nan", "").split(",")
            writer.writerow([name, *numbers, *cells[i : i + 1]])
