"""The text of a labels file: three header rows (scorer, bodyparts, coords), then one row an image."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray

HEADER_ROWS = ("scorer", "bodyparts", "coords")
Rows = list[tuple[int, list[str]]]
"""Rows that are not blank, with their row number in the file."""


@dataclass
class LabelTable:
    """What a labels file says. F rows, K keypoints."""

    keypoints: list[str]
    names: list[str]
    """Image paths, with forward slashes."""
    rows: list[int]
    """Row number in the file, for messages."""
    xy: FloatArray
    """(F, K, 2); NaN where the cells are blank or `visible` is 0."""
    visible: NDArray[np.uint8]
    """(F, K) 0 unlabeled, 1 labeled though occluded, 2 visible."""


@dataclass
class _Columns:
    """Where the cells of a keypoint stand in a row."""

    keypoint: str
    x: int = -1
    y: int = -1
    visible: int = -1


def read_table(path: Path) -> tuple[LabelTable, list[str]]:
    """The table and the problems of its cells; UserError where the header makes it no labels file at all."""
    rows = _read_rows(path)
    columns = _read_header(path, rows)
    width = len(rows[2][1])
    body = rows[len(HEADER_ROWS) :]
    if not body:
        raise UserError(f"labels {path}: empty: it holds the header rows but not one labeled image")
    shape = (len(body), len(columns))
    table = LabelTable(
        [c.keypoint for c in columns],
        [cells[0].strip().replace("\\", "/") for _, cells in body],
        [number for number, _ in body],
        np.full((*shape, 2), np.nan),
        np.zeros(shape, np.uint8),
    )
    problems: list[str] = []
    for i, (number, cells) in enumerate(body):
        if len(cells) != width:
            problems.append(f"row {number}: {len(cells)} cells where the header has {width}")
            continue
        for k, column in enumerate(columns):
            try:
                table.xy[i, k], table.visible[i, k] = _read_keypoint(cells, column)
            except ValueError as error:
                problems.append(f"row {number} ({table.names[i]}), {column.keypoint}: {error}")
    return table, problems


def _read_rows(path: Path) -> Rows:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(number, cells) for number, cells in enumerate(csv.reader(file), 1) if any(cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"labels {path}: not a CSV text file: {error}") from error
    if len(rows) < len(HEADER_ROWS):
        raise UserError(
            f"labels {path}: empty; expected three header rows ({', '.join(HEADER_ROWS)}) and labeled images"
        )
    for (number, cells), name in zip(rows, HEADER_ROWS, strict=False):
        if cells[0].strip() != name:
            raise UserError(
                f"labels {path}: row {number} must begin with '{name}', found '{cells[0]}'; expected the "
                f"header rows {', '.join(HEADER_ROWS)} of a single-animal labels file"
            )
    return rows


def _read_header(path: Path, rows: Rows) -> list[_Columns]:
    parts, coordinates = rows[1][1], rows[2][1]
    if len(parts) != len(coordinates):
        raise UserError(
            f"labels {path}: keypoint counts disagree: row {rows[1][0]} (bodyparts) has {len(parts) - 1} "
            f"columns, row {rows[2][0]} (coords) {len(coordinates) - 1}"
        )
    columns: dict[str, _Columns] = {}
    for index, (part, coordinate) in enumerate(zip(parts[1:], coordinates[1:], strict=True), 1):
        place = columns.setdefault(part.strip(), _Columns(part.strip()))
        if coordinate.strip() not in ("x", "y", "visible"):
            raise UserError(
                f"labels {path}: column {index + 1} of row {rows[2][0]} is called '{coordinate}'; expected "
                "x, y or visible (and the image path in the first column alone)"
            )
        if getattr(place, coordinate.strip()) >= 0:
            raise UserError(f"labels {path}: keypoint '{part}' has two columns called {coordinate}")
        setattr(place, coordinate.strip(), index)
    for column in columns.values():
        if not column.keypoint or column.x < 0 or column.y < 0:
            raise UserError(
                f"labels {path}: keypoint '{column.keypoint}' needs a name, an x column and a y column"
            )
    if not columns:
        raise UserError(f"labels {path}: row {rows[1][0]} (bodyparts) names no keypoint")
    return list(columns.values())


def _read_keypoint(cells: list[str], column: _Columns) -> tuple[tuple[float, float], int]:
    """Its place and visibility; ValueError says what is wrong with its cells."""
    xy = (_number(cells[column.x], "x"), _number(cells[column.y], "y"))
    if math.isnan(xy[0]) != math.isnan(xy[1]):
        raise ValueError("one of x and y is blank")
    labeled = not math.isnan(xy[0])
    visible = 2 if labeled else 0
    if column.visible >= 0 and cells[column.visible].strip():
        visible = int(_number(cells[column.visible], "visible"))
        if visible not in (0, 1, 2):
            raise ValueError(f"visible is {visible}; expected 0 (unlabeled), 1 (occluded) or 2 (visible)")
    if visible == 0:
        return (math.nan, math.nan), 0
    return xy, visible if labeled else 0


def _number(cell: str, name: str) -> float:
    cell = cell.strip()
    if not cell or cell.lower() == "nan":
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"{name} is '{cell}', not a number") from None
    if math.isinf(value):
        raise ValueError(f"{name} is infinite")
    return value
