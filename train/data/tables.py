"""The text of a labels file of Lightning Pose or DeepLabCut, in all its variants.

Three header rows (scorer, which may be empty; bodyparts; coords), with a row `individuals` among them in
multi-animal projects; then one row an image. Its path stands in one column, or in three (folder, video,
image).
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import HEADER_ROWS, INDIVIDUALS, NO_ANIMAL
from rt_pose.offline.table_text import table_text
from rt_pose.types import FloatArray

PATH_COLUMNS = 3
"""Columns of the path where pandas has split it."""
IMAGE_FOLDER = "labeled-data"
"""Paths of another machine are taken from this folder on."""
MAX_SAME_PROBLEM_SHOWN = 5
"""Rows in which one keypoint may have the same problem before they are joined in one line."""
Rows = list[tuple[int, list[str]]]
"""Rows that are not blank, with their row number in the file."""


@dataclass
class LabelTable:
    """What a labels file says. F rows, K keypoints."""

    keypoints: list[str]
    names: list[str]
    """Image paths, with forward slashes."""
    places: list[str]
    """Where in the file each stands (`row 5`), for messages."""
    xy: FloatArray
    """(F, K, 2), of several animals (F, N, K, 2); NaN where the cells are blank or `visible` is 0."""
    visible: NDArray[np.uint8]
    """(F, K), or (F, N, K): 0 unlabeled, 1 labeled though occluded, 2 visible."""
    animals: list[str] = field(default_factory=list)
    """Names of the N animals, or of the tracks that their rows are; empty for one animal."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of how it was read."""


@dataclass
class KeypointColumns:
    """Where the cells of a keypoint stand in a row."""

    keypoint: str
    animal: str = ""
    """Empty where the table is of one."""
    x: int = -1
    y: int = -1
    visible: int = -1


@dataclass
class TableLayout:
    """Where the cells of a labels file stand."""

    paths: int
    """How many columns an image's path takes: 1 or `PATH_COLUMNS`."""
    columns: list[KeypointColumns]
    width: int
    """Cells of a row."""
    header: list[int]
    """Row numbers of the header, from 1: scorer, where there is one `individuals`, bodyparts, coords."""
    rows: dict[str, int]
    """The row number of each image, from 1; of one that is there twice the first."""
    animal: str = ""
    """The one animal that a row `individuals` names; empty where it names several, or is not there."""


@dataclass
class _Head:
    """The header of a labels file."""

    rows: Rows
    """All rows of the file, those of the header too."""
    size: int
    """How many rows the header has."""
    paths: int
    columns: list[KeypointColumns]
    width: int
    individuals: tuple[int, list[str]] | None
    """The row `individuals` with its number."""

    @property
    def body(self) -> Rows:
        """The rows of images."""
        return self.rows[self.size :]


def read_layout(path: Path) -> TableLayout:
    """Find where the cells of a labels file stand, which may hold no image yet.

    Parameters
    ----------
    path
        A .csv.

    Returns
    -------
    TableLayout
        With the keypoints of every animal, and body parts of none. Row numbers count every row of the file,
        blank ones too.

    Raises
    ------
    UserError
        Where the header makes it no labels file at all.
    """
    head = _read_head(path)
    places: dict[str, int] = {}
    for number, cells in head.body:
        places.setdefault(image_path(cells[: head.paths]), number)
    numbers = [number for number, _ in head.rows[: head.size]]
    named = [cell.strip() for cell in head.individuals[1][head.paths :]] if head.individuals else []
    animals = {name for name in named if name}
    only = animals.pop() if len(animals) == 1 else ""
    return TableLayout(head.paths, head.columns, head.width, numbers, places, only)


def _read_head(path: Path) -> _Head:
    rows = _read_rows(path)
    header, individuals = _find_header(path, rows)
    paths, columns = _read_header(path, header, individuals)
    size = rows.index(header[-1]) + 1
    return _Head(rows, size, paths, columns, len(_without_blank_end(header[-1][1])), individuals)


def read_table(path: Path) -> tuple[LabelTable, list[str]]:
    """Read a labels file.

    Parameters
    ----------
    path
        A .csv, or an .h5 as DeepLabCut writes it.

    Returns
    -------
    table : LabelTable
        Its labels; rows with problems are NaN in part or as a whole.
    problems : list of str
        What is wrong with its cells, a line each.

    Raises
    ------
    UserError
        Where the header makes it no labels file at all, or where it holds no labeled image.
    """
    head = _read_labeled(path)
    table, places = _empty_table(head)
    return table, _fill(table, head, places)


def read_columns(path: Path) -> tuple[LabelTable, list[str]]:
    """Read a labels file column by column: whatever the animals, with body parts of none.

    Parameters
    ----------
    path
        As of `read_table`.

    Returns
    -------
    table : LabelTable
        Its labels (F, C, 2), the C keypoints as in `TableLayout.columns`.
    problems : list of str
        As of `read_table`.

    Raises
    ------
    UserError
        As of `read_table`.
    """
    head = _read_labeled(path)
    shape = (len(head.body), len(head.columns))
    names = [column.keypoint for column in head.columns]
    table = LabelTable(names, *_images(head), np.full((*shape, 2), np.nan), np.zeros(shape, np.uint8))
    return table, _fill(table, head, [(column, (i,)) for i, column in enumerate(head.columns)])


Places = list[tuple[KeypointColumns, tuple[int, ...]]]
"""Columns of a file, each with its place in a row of a table."""


def _read_labeled(path: Path) -> _Head:
    head = _read_head(path)
    if not head.body:
        raise UserError(f"labels {path}: empty: it holds the header rows but not one labeled image")
    return head


def _images(head: _Head) -> tuple[list[str], list[str]]:
    """Paths of the images, and where in the file each stands."""
    names = [image_path(cells[: head.paths]) for _, cells in head.body]
    return names, [f"row {number}" for number, _ in head.body]


def _fill(table: LabelTable, head: _Head, places: Places) -> list[str]:
    """Read a file's cells into a table; what is wrong with them, a line each."""
    named = {i for c in head.columns for i in (c.x, c.y, c.visible)}
    unnamed = set(range(head.paths, head.width)) - named
    problems: list[str] = []
    cellwise: dict[str, list[str]] = {}
    for i, (number, cells) in enumerate(head.body):
        if len(cells) < head.width or any(cell.strip() for cell in cells[head.width :]):
            problems.append(f"row {number}: {len(cells)} cells where the header has {head.width}")
            continue
        for column in unnamed:
            if cells[column].strip():
                problems.append(
                    f"row {number}: column {column + 1} holds '{cells[column]}' and has no name; remove it"
                )
        for keypoint, place in places:
            at = (i, *place)
            try:
                table.xy[at], table.visible[at] = _read_keypoint(cells, keypoint)
            except ValueError as error:
                whose = f"{keypoint.animal} {keypoint.keypoint}".strip()
                cellwise.setdefault(f"{whose}: {error}", []).append(f"row {number} ({table.names[i]})")
    return problems + _format_cells(cellwise)


def _empty_table(head: _Head) -> tuple[LabelTable, Places]:
    """A table without labels yet, and the columns that it is made of, each with its place in a row."""
    animals = list(dict.fromkeys(c.animal for c in head.columns))
    of_none = [c for c in head.columns if c.animal == NO_ANIMAL and len(animals) > 1]
    columns = [c for c in head.columns if c not in of_none]
    animals = list(dict.fromkeys(c.animal for c in columns))
    keypoints = list(dict.fromkeys(c.keypoint for c in columns))
    several = len(animals) > 1
    shape = (len(head.body), *([len(animals)] if several else []), len(keypoints))
    table = LabelTable(
        keypoints,
        *_images(head),
        np.full((*shape, 2), np.nan),
        np.zeros(shape, np.uint8),
        animals if several else [],
    )
    if of_none:
        names = ", ".join(c.keypoint for c in of_none)
        table.notes.append(f"unique body parts belong to no animal and are left out: {names}")
    places = []
    for c in columns:
        place: tuple[int, ...] = (keypoints.index(c.keypoint),)
        places.append((c, (animals.index(c.animal), *place) if several else place))
    return table, places


def _format_cells(cellwise: dict[str, list[str]]) -> list[str]:
    """Problems with their places; a whole column's in one line, so that it does not hide the others."""
    lines = []
    for problem, places in cellwise.items():
        if len(places) > MAX_SAME_PROBLEM_SHOWN:
            lines.append(f"{problem} in {len(places)} rows, {places[0]} to {places[-1]}")
        else:
            lines += [f"{place}, {problem}" for place in places]
    return lines


def image_path(cells: list[str]) -> str:
    """Join the first columns of a row to the path of its image.

    Parameters
    ----------
    cells
        The one cell of the path, or its three (folder, video, image).

    Returns
    -------
    str
        The path with forward slashes, relative to the data folder: from `IMAGE_FOLDER` on where it is there.
    """
    path = "/".join(cell.strip().replace("\\", "/") for cell in cells if cell.strip())
    _, inside, rest = f"/{path}".rpartition(f"/{IMAGE_FOLDER}/")
    return f"{IMAGE_FOLDER}/{rest}" if inside else path


def _read_rows(path: Path) -> Rows:
    try:
        lines = list(csv.reader(io.StringIO(table_text(path, "labels"), newline="")))
    except csv.Error as error:
        raise UserError(f"labels {path}: not a CSV text file: {error}") from error
    # The first row, the scorer, may be blank; blank rows elsewhere say nothing.
    rows = [(number, cells) for number, cells in enumerate(lines, 1) if any(cells) or number == 1]
    if len(rows) > 1 and not any(rows[0][1]) and rows[1][1][0].strip() == HEADER_ROWS[0]:
        del rows[0]
    if len(rows) < len(HEADER_ROWS):
        raise UserError(
            f"labels {path}: empty; expected three header rows ({', '.join(HEADER_ROWS)}) and labeled images"
        )
    return rows


def _find_header(path: Path, rows: Rows) -> tuple[Rows, tuple[int, list[str]] | None]:
    """The rows scorer, bodyparts and coords; and the row individuals, where there is one."""
    individuals = None
    header = list(rows[: len(HEADER_ROWS) + 1])
    if not any(header[0][1]):
        header[0] = (header[0][0], [HEADER_ROWS[0]])
    for row in header:
        if row[1][0].strip() == INDIVIDUALS:
            individuals = row
            header.remove(row)
            break
    header = header[: len(HEADER_ROWS)]
    for (number, cells), name in zip(header, HEADER_ROWS, strict=False):
        if cells[0].strip() != name:
            raise UserError(
                f"labels {path}: row {number} must begin with '{name}', found '{cells[0]}'; expected the "
                f"header rows {', '.join(HEADER_ROWS)} of a labels file"
            )
    return header, individuals


def _read_header(
    path: Path, header: Rows, individuals: tuple[int, list[str]] | None
) -> tuple[int, list[KeypointColumns]]:
    """How many columns the path takes, and where each keypoint's cells stand."""
    parts, coordinates = (_without_blank_end(header[row][1]) for row in (1, 2))
    paths = 1 if any(coordinates[1:PATH_COLUMNS]) else PATH_COLUMNS
    if len(parts) != len(coordinates):
        raise UserError(
            f"labels {path}: keypoint counts disagree: row {header[1][0]} (bodyparts) has "
            f"{len(parts) - paths} columns, row {header[2][0]} (coords) {len(coordinates) - paths}"
        )
    animals = _animals(path, individuals, parts, paths)
    columns: dict[tuple[str, str], KeypointColumns] = {}
    for index, (part, coordinate) in enumerate(zip(parts, coordinates, strict=True)):
        if index < paths or not (part.strip() or coordinate.strip()):
            continue
        own = (animals[index], part.strip())
        place = columns.setdefault(own, KeypointColumns(part.strip(), animals[index]))
        if coordinate.strip() not in ("x", "y", "visible"):
            raise UserError(
                f"labels {path}: column {index + 1} of row {header[2][0]} is called '{coordinate}'; expected "
                "x, y or visible (and the image path in the first column, or the first three)"
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
        raise UserError(f"labels {path}: row {header[1][0]} (bodyparts) names no keypoint")
    return paths, list(columns.values())


def _animals(
    path: Path, individuals: tuple[int, list[str]] | None, parts: list[str], paths: int
) -> list[str]:
    """The animal of each column; empty texts where the table names one at most."""
    number, row = individuals or (0, [])
    cells = [*map(str.strip, row), *[""] * len(parts)][: len(parts)]
    if len({cell for cell in cells[paths:] if cell}) < 2:
        return [""] * len(parts)
    for index in range(paths, len(parts)):
        if parts[index].strip() and not cells[index]:
            raise UserError(
                f"labels {path}: column {index + 1} of row {number} ({INDIVIDUALS}) is blank; expected the "
                f"name of an animal above '{parts[index].strip()}', or '{NO_ANIMAL}' for a body part of none"
            )
    return cells


def _without_blank_end(cells: list[str]) -> list[str]:
    """A row of the header without the blank columns that spreadsheets leave on its right."""
    last = max((i for i, cell in enumerate(cells) if cell.strip()), default=-1)
    return cells[: last + 1]


def _read_keypoint(cells: list[str], column: KeypointColumns) -> tuple[tuple[float, float], int]:
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
