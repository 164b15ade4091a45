"""One labels file, in which single cells are changed: all others stay as another program wrote them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.extras import installed, remedy
from rt_pose.files import write_atomic
from rt_pose.labeling.animal_points import AnimalPoints, point_name
from rt_pose.labeling.csv_text import CsvText, parse_csv
from rt_pose.labeling.hdf_table import write_hdf
from rt_pose.offline.hdf import hdf_text
from rt_pose.offline.prediction_files import HEADER_ROWS, INDIVIDUALS, NO_ANIMAL
from rt_pose.offline.table_text import table_text
from rt_pose.types import FloatArray
from train.data.dlc_project import compare_twin
from train.data.tables import PATH_COLUMNS, KeypointColumns, TableLayout, read_columns, read_layout

UNLABELED, OCCLUDED, VISIBLE = 0, 1, 2
"""What a column `visible` says."""


@dataclass
class FrameRow:
    """The labels of one image. P points: of several animals each one's keypoints."""

    xy: FloatArray
    """(P, 2) px; NaN where unlabeled."""
    visible: NDArray[np.uint8]
    """(P,) UNLABELED, OCCLUDED or VISIBLE."""


def read_rows(path: Path) -> tuple[list[str], dict[str, FrameRow]]:
    """Read all labels of a file.

    Parameters
    ----------
    path
        A .csv.

    Returns
    -------
    names : list of str
        Of the P points in the file's order, as `point_name` makes them.
    rows : dict of str to FrameRow
        By the path of the image.

    Raises
    ------
    UserError
        Where it is no labels file, where cells cannot be read, where an image is labeled twice, or where the
        HDF beside it says otherwise.
    """
    layout = read_layout(path)
    if not layout.rows:
        return _names(layout), {}
    table, problems = read_columns(path)
    twice = sorted(name for name, count in Counter(table.names).items() if count > 1)
    problems += [f"{name} is labeled in more than one row" for name in twice]
    problems += compare_twin(path, table, path.name, read_columns)
    if problems:
        raise UserError(f"labels {path}: correct the following first:\n  " + "\n  ".join(problems))
    rows = {n: FrameRow(xy, v) for n, xy, v in zip(table.names, table.xy, table.visible, strict=True)}
    return _names(layout), rows


def points_of(path: Path) -> AnimalPoints:
    """Find which keypoints of which animals a file has columns for.

    Parameters
    ----------
    path
        A .csv.

    Returns
    -------
    AnimalPoints
        Animals and keypoints in the order of the columns.

    Raises
    ------
    UserError
        Where it is no labels file.
    """
    columns = read_layout(path).columns
    own = [column for column in columns if column.animal != NO_ANIMAL]
    return AnimalPoints(
        list(dict.fromkeys(column.keypoint for column in own)),
        list(dict.fromkeys(column.animal for column in own if column.animal)),
        [column.keypoint for column in columns if column.animal == NO_ANIMAL],
    )


def _names(layout: TableLayout) -> list[str]:
    return [point_name(column.animal, column.keypoint) for column in layout.columns]


def has_visible(path: Path) -> bool:
    """Tell whether a file has a place for keypoints that are labeled though they are hidden.

    Parameters
    ----------
    path
        The .csv.

    Returns
    -------
    bool
        Whether every keypoint has a column `visible`.
    """
    return all(column.visible >= 0 for column in read_layout(path).columns)


def create_file(path: Path, points: AnimalPoints, scorer: str, paths: int) -> None:
    """Write a labels file without a row; where animals have names with the header row `individuals`.

    Parameters
    ----------
    path
        The .csv.
    points
        Its animals and keypoints.
    scorer
        Who labels.
    paths
        Columns of the path of an image: 1, or `PATH_COLUMNS`.
    """
    text = CsvText(b"", "utf-8", ",", [])
    owners = [(group.name, part) for group in points.groups for part in group.parts for _ in "xy"]
    scorers, parts = [scorer] * len(owners), [part for _, part in owners]
    rows = list(zip(HEADER_ROWS, (scorers, parts, ["x", "y"] * len(points.names)), strict=True))
    if points.animals:
        rows.insert(1, (INDIVIDUALS, [animal for animal, _ in owners]))
    for title, cells in rows:
        text.append([title, *[""] * (paths - 1), *map(text.quoted, cells)])
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, text.to_bytes(), with_hdf=False)


def unpack_hdf(path: Path) -> Path:
    """Write the CSV of a table that is there in HDF only.

    Parameters
    ----------
    path
        The .h5.

    Returns
    -------
    Path
        The .csv beside it, as DeepLabCut would have written it.
    """
    out = path.with_suffix(".csv")
    write_atomic(out, hdf_text(path, "labels"), "check the permissions of its folder")
    return out


def write_row(
    path: Path, name: str, row: FrameRow, with_hdf: bool = False, points: Sequence[str] = ()
) -> None:
    """Write the labels of one image: its cells that have changed, or a new row behind the others.

    The file is read anew, so that what another program has written meanwhile stays.

    Parameters
    ----------
    path
        The .csv; it is replaced in one step.
    name
        Path of the image, as `read_rows` gives it.
    row
        Its labels.
    with_hdf
        Whether an HDF is written beside it where none is; one that is there always is.
    points
        Names of the row's points, as of `read_rows`; empty: as many as the file has.

    Raises
    ------
    UserError
        Where the file cannot be read or written, or has other keypoints meanwhile.
    """
    try:
        text = parse_csv(path.read_bytes())
    except (OSError, UnicodeError) as error:
        raise UserError(f"labels {path}: cannot be read: {error}") from error
    layout = read_layout(path)
    found = _names(layout)
    if len(found) != len(row.xy) or (points and found != list(points)):
        raise UserError(f"labels {path}: its keypoints have changed meanwhile; start `rt-pose label` again")
    if name in layout.rows:
        _, rows = read_rows(path)
        _change_cells(text, layout, name, rows[name], row)
    else:
        text.append(_new_cells(text, layout, name, row))
    _replace(path, text.to_bytes(), with_hdf)


def finish_writing(path: Path) -> None:
    """Finish what a process was about when it was killed: both files are written before either is replaced.

    Parameters
    ----------
    path
        The .csv.
    """
    twin = path.with_suffix(".h5")
    _part(_part(twin)).unlink(missing_ok=True)
    if _part(path).exists():
        _part(path).unlink()
        _part(twin).unlink(missing_ok=True)
    elif _part(twin).exists():
        if twin.exists() and twin.stat().st_mtime_ns > _part(twin).stat().st_mtime_ns:
            _part(twin).unlink()  # another program has written both since
        else:
            _part(twin).replace(twin)


def _change_cells(text: CsvText, layout: TableLayout, name: str, before: FrameRow, row: FrameRow) -> None:
    cells = text.rows[layout.rows[name] - 1].cells
    for k, column in enumerate(layout.columns):
        same_place = np.array_equal(before.xy[k], row.xy[k], equal_nan=True)
        if same_place and before.visible[k] == row.visible[k]:
            continue
        if not same_place:
            _set_place(text, cells, column, row.xy[k])
        if column.visible >= 0:
            cells[column.visible] = str(row.visible[k])


def _new_cells(text: CsvText, layout: TableLayout, name: str, row: FrameRow) -> list[str]:
    parts = [name] if layout.paths == 1 else _three_parts(name)
    cells = [*map(text.quoted, parts), *[""] * (layout.width - layout.paths)]
    for k, column in enumerate(layout.columns):
        _set_place(text, cells, column, row.xy[k])
        if column.visible >= 0:
            cells[column.visible] = str(row.visible[k])
    return cells


def _set_place(text: CsvText, cells: list[str], column: KeypointColumns, xy: FloatArray) -> None:
    x, y = (None if np.isnan(value) else float(value) for value in xy)
    cells[column.x], cells[column.y] = text.number(x), text.number(y)


def _three_parts(name: str) -> list[str]:
    parts = name.rsplit("/", PATH_COLUMNS - 1)
    return [""] * (PATH_COLUMNS - len(parts)) + parts


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _replace(path: Path, data: bytes, with_hdf: bool) -> None:
    """Replace the CSV, and with it the HDF; both are whole before either takes its name."""
    twin = path.with_suffix(".h5")
    with_hdf = _hdf_wanted(twin, with_hdf)
    try:
        _part(path).write_bytes(data)
        with_hdf = with_hdf and _write_hdf(_part(path), _part(twin))
        _part(path).replace(path)
        if with_hdf:
            _part(twin).replace(twin)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{path}: cannot be written: {reason}; make room, or check its permissions"
        ) from error
    finally:
        with suppress(OSError):  # the first mistake is the one to report
            _part(path).unlink(missing_ok=True)
            _part(twin).unlink(missing_ok=True)


def _hdf_wanted(twin: Path, with_hdf: bool) -> bool:
    if not installed("h5py"):
        if twin.is_file():
            raise UserError(f"labels {twin}: changing it needs h5py; `{remedy('train')}`, or remove it")
        return False
    return with_hdf or twin.is_file()


def _write_hdf(table: Path, out: Path) -> bool:
    """Write a table's labels as HDF; False where it has none."""
    layout = read_layout(table)
    rows = list(csv.reader(io.StringIO(table_text(table, "labels"), newline="")))
    header = [rows[number - 1] for number in layout.header]
    body = [rows[number - 1] for number in layout.rows.values()]
    if not body:
        return False
    kept = sorted(i for c in layout.columns for i in (c.x, c.y, c.visible) if i >= 0)
    write_hdf(
        out,
        [row[0].strip() or HEADER_ROWS[0] for row in header],
        [tuple(row[i].strip() for row in header) for i in kept],
        [tuple(row[: layout.paths]) for row in body],
        np.array([[float(row[i].strip() or "nan") for i in kept] for row in body]),
    )
    return True
