"""Prediction files of Lightning Pose, DeepLabCut and the ensemble Kalman smoother: CSV, three header rows; or
what DeepLabCut writes beside it, the same table in HDF."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.offline.table_text import single_individual, table_text
from rt_pose.types import FloatArray

HEADER_ROWS = ("scorer", "bodyparts", "coords")
INDIVIDUALS = "individuals"
"""A row more in the tables of multi-animal projects."""
NO_ANIMAL = "single"
"""DeepLabCut's individual that stands for none: it has the unique body parts, such as corners of a cage."""
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
COVARIANCE_FIELDS = ("x_var", "xy_cov", "y_var")
"""Columns of a keypoint in the table of covariances beside a prediction file, px^2."""
SCORER = "rt-pose"
MOST_PX = 1e6
"""A position further away than this is none."""


@dataclass(slots=True)
class Predictions:
    """One network's predictions of a video. F frames, K keypoints."""

    keypoints: list[str]
    frames: list[str]
    """The first column."""
    xy: FloatArray
    """(F, K, 2), of several animals (F, N, K, 2), px; NaN where the cells are blank."""
    likelihood: FloatArray
    """(F, K), or (F, N, K)."""
    source: str = ""
    """The file, for messages."""
    skeleton: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of keypoints; empty where the file has none."""
    t_s: FloatArray | None = None
    """(F,) s; None for a file that has frame numbers only."""
    video: str = ""
    """The video, as the file names it."""
    unnumbered: int = 0
    """Rows that were left out, since they are no frame of the video."""
    individuals: list[str] = field(default_factory=list)
    """Names of the N animals of a table of several; empty for one."""


def read_predictions(path: Path | str, *, scored: bool = True, several: bool = False) -> Predictions:
    """Read a prediction file; columns beside x, y and likelihood are left out.

    Parameters
    ----------
    path
        A CSV with three header rows, of several animals with four, or the same table in HDF.
    scored
        Whether a file without likelihoods, such as one of labels, is refused; otherwise they are 1.
    several
        Whether it may be of several animals.

    Returns
    -------
    Predictions
        The predictions.

    Raises
    ------
    UserError
        Where it is not such a file, or a row cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"predictions {path}: no such file; `rt-pose predict` writes one")
    lines = table_text(path, "predictions").splitlines()
    header, height, animals = _header(path, lines, several)
    individuals, keypoints, columns = _columns(path, header, scored, animals)
    body = {n: line for n, line in enumerate(lines, 1) if n > height and line.strip()}
    if not body:
        raise UserError(f"predictions {path}: empty: header rows but not one frame")
    names, cells = zip(*map(_split, body.values()), strict=True)
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
    lead = (len(individuals),) if animals else ()
    taken = values[:, columns].reshape(len(values), *lead, len(keypoints), 3)
    far = np.isfinite(taken[..., :2]) & (np.abs(taken[..., :2]) > MOST_PX)
    if far.any():
        row, *place, axis = np.argwhere(far)[0]
        raise UserError(
            f"predictions {path}: row {list(body)[row]}: {FIELDS[axis]} of '{keypoints[place[-1]]}' is "
            f"{taken[row, *place, axis]:g} px, which is no place in an image"
        )
    xy, likelihood = taken[..., :2].copy(), taken[..., 2].copy()
    own = individuals if animals else []
    return Predictions(keypoints, list(names), xy, likelihood, str(path), individuals=own)


def _header(path: Path, lines: list[str], several: bool) -> tuple[list[list[str]], int, list[str]]:
    """The rows scorer, bodyparts and coords, how many lines the header has, and the animal of each column,
    where there are several."""
    rows = list(csv.reader(lines[: len(HEADER_ROWS) + 1]))
    for i, row in enumerate(rows):
        if row and row[0].strip() == INDIVIDUALS:
            animals = [cell.strip() for cell in row[1:]]
            if not several or len({animal for animal in animals if animal}) < 2:
                single_individual(path, "predictions", i + 1, row)
                animals = []
            return rows[:i] + rows[i + 1 :], len(rows), animals
    return rows[: len(HEADER_ROWS)], len(HEADER_ROWS), []


def _split(line: str) -> tuple[str, str]:
    """The first cell of a line, which is quoted where a path holds commas, and the text of the others."""
    if not line.startswith('"'):
        name, _, cells = line.partition(",")
        return name, cells
    row = next(csv.reader([line]))
    return row[0], ",".join(row[1:])


def _columns(
    path: Path, header: list[list[str]], scored: bool, animals: list[str]
) -> tuple[list[str], list[str], list[int]]:
    """The animals (one without a name, where `animals` is empty), the keypoints, and the columns of x, y and
    likelihood of each in turn; -1 for none."""
    found = [row[0].strip() if row else "" for row in header]
    if found != list(HEADER_ROWS):
        raise UserError(
            f"predictions {path}: expected the header rows {', '.join(HEADER_ROWS)} of a file of Lightning "
            f"Pose or DeepLabCut, found rows that begin with {', '.join(found) or 'nothing'}; "
            "`rt-pose predict` writes such a file"
        )
    whose = [*animals, *[""] * len(header[1])]
    places = {
        (animal, k.strip(), c.strip()): i
        for i, (animal, k, c) in enumerate(zip(whose, header[1][1:], header[2][1:], strict=False))
        if (k.strip() or c.strip()) and (animal != NO_ANIMAL or not animals)
    }
    individuals = list(dict.fromkeys(animal for animal, _, _ in places))
    keypoints = list(dict.fromkeys(k for _, k, _ in places))
    if animals and "" in individuals:
        raise UserError(f"predictions {path}: the row {INDIVIDUALS} has a blank cell above a keypoint's name")
    wanted = [(animal, k) for animal in individuals for k in keypoints]
    for animal, keypoint in wanted:
        for column in FIELDS if scored else FIELDS[:2]:
            if (animal, keypoint, column) not in places:
                of = f" of '{animal}'" if animals else ""
                raise UserError(f"predictions {path}: keypoint '{keypoint}'{of} has no column {column}")
    columns = [places.get((*own, column), -1) for own in wanted for column in FIELDS]
    return individuals, keypoints, columns


def _find_problem(body: dict[int, str], width: int) -> str:
    """The first row that cannot be read, by its number in the file, and why."""
    for number, line in body.items():
        cells = [cell.strip() for cell in next(csv.reader([line]))[1:]]
        if len(cells) != width:
            return f"row {number}: {len(cells)} cells where the header has {width}"
        for cell in cells:
            try:
                float(cell or "nan")
            except ValueError:
                return f"row {number}: '{cell}' is not a number"
    return ""


def _filled(row: str) -> str:
    """A row of numbers whose blank cells are nan."""
    if ",," in row or row.startswith(",") or row.endswith(","):
        return ",".join(cell if cell.strip() else "nan" for cell in row.split(","))
    return row


def is_own_table(head: bytes) -> bool:
    """Tell whether rt-pose has written a prediction file.

    Parameters
    ----------
    head
        Its first bytes.

    Returns
    -------
    bool
        Whether its scorer is rt-pose.
    """
    return head.startswith(f"{HEADER_ROWS[0]},{SCORER},".encode())


def write_predictions(
    path: Path, keypoints: Sequence[str], frames: Sequence[str], fields: Sequence[str], values: FloatArray
) -> None:
    """Write a prediction file; a NaN becomes a blank cell.

    Parameters
    ----------
    path
        The CSV; it appears when it is whole.
    keypoints
        K names.
    frames
        F cells of the first column.
    fields
        Columns of each keypoint.
    values
        (F, K, fields).
    """
    write_table(path, keypoints, fields, zip(frames, values, strict=True))


def write_table(
    path: Path,
    keypoints: Sequence[str],
    fields: Sequence[str],
    rows: Iterable[tuple[object, FloatArray]],
    *,
    individuals: Sequence[str] = (),
    scorer: str = SCORER,
    formats: Sequence[str] = ("%.5f",),
    last: tuple[str, Sequence[str]] | None = None,
) -> None:
    """Write rows as they come; the file appears when it is whole.

    Parameters
    ----------
    path
        The CSV.
    keypoints
        K names.
    fields
        Columns of each keypoint.
    rows
        Of each row the first cell and the values, as in `open_table`.
    individuals
        As in `open_table`.
    scorer
        The first header row's cells.
    formats
        Formats of the fields, or one for all.
    last
        Title of a further column and its cells; None for none.
    """
    title, cells = last or ("", ())
    with open_table(
        path,
        keypoints,
        fields,
        individuals=individuals,
        scorer=scorer,
        formats=formats,
        last=title if last else None,
    ) as add:
        for i, (name, values) in enumerate(rows):
            add(name, values, *cells[i : i + 1])


@contextmanager
def open_table(
    path: Path,
    keypoints: Sequence[str],
    fields: Sequence[str],
    *,
    individuals: Sequence[str] = (),
    scorer: str = SCORER,
    formats: Sequence[str] = ("%.5f",),
    last: str | None = None,
) -> Iterator[Callable[..., object]]:
    """Open a table to add rows to; the file appears when the block has ended well.

    Parameters
    ----------
    path
        The CSV.
    keypoints
        K names.
    fields
        Columns of each keypoint.
    individuals
        N names of a table of several animals, which has a header row more; none for a table of one.
    scorer
        The first header row's cells.
    formats
        Formats of the fields, or one for all.
    last
        Title of a further column; None for none.

    Yields
    ------
    Callable
        Adds a row: its first cell, the values (K, fields), or (N, K, fields) of several animals, of which a
        NaN becomes a blank cell, and the cell of the further column.
    """
    animals = max(1, len(individuals))
    own = list(formats) * (len(fields) // len(formats))
    line = ",".join(own * len(keypoints) * animals)
    width = len(keypoints) * len(fields)
    header: list[tuple[str, list[str], str | None]] = [
        (HEADER_ROWS[0], [scorer] * width * animals, last),
        (HEADER_ROWS[1], [keypoint for keypoint in keypoints for _ in fields] * animals, ""),
        (HEADER_ROWS[2], list(fields) * len(keypoints) * animals, ""),
    ]
    if individuals:
        header.insert(1, (INDIVIDUALS, [animal for animal in individuals for _ in range(width)], ""))
    with atomic_writer(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        for head, row, end in header:
            writer.writerow([head, *row, *([end] if last is not None else [])])

        def add(name: object, values: FloatArray, *more: str) -> None:
            numbers = (line % tuple(values.ravel().tolist())).replace("nan", "").split(",")
            writer.writerow([name, *numbers, *more])

        yield add
