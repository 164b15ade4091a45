"""The text of tables as people have them: CSV in the usual encodings, with the usual separators, or HDF."""

from __future__ import annotations

import csv
import io
import re
from itertools import islice
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.offline.hdf import hdf_text, is_hdf

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""Marks with which spreadsheets begin what they call Unicode text."""
_HEADER = re.compile(r'"?(?:scorer|individuals|bodyparts|coords|image|split)"?([,;\t])')
"""The first cell of a header row and the separator after it."""
_HEADER_LINES = 5
_DECIMAL_COMMA = re.compile(r"\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*")


def table_text(path: Path, what: str) -> str:
    """Read a table as comma-separated text.

    Parameters
    ----------
    path
        A CSV in UTF-8, or in UTF-16 with its mark; separated by commas, by semicolons (numbers may then have
        a decimal comma) or by tabs; or a table in HDF.
    what
        What it is, the beginning of messages.

    Returns
    -------
    str
        Its text, separated by commas.

    Raises
    ------
    UserError
        Where it is no such text.
    """
    if is_hdf(path):
        return hdf_text(path, what)
    text = decoded(path, what)
    separator = find_separator(text)
    if separator == ",":
        return text
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{what} {path}: not a CSV text file: {error}") from error
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_with_point(cell) for cell in row] for row in rows)
    return out.getvalue()


def find_separator(text: str) -> str:
    """Find what separates the cells of a table, by its header.

    Parameters
    ----------
    text
        The table's text.

    Returns
    -------
    str
        A comma, a semicolon or a tab; a comma where no header is there.
    """
    found = next(filter(None, map(_HEADER.match, islice(io.StringIO(text), _HEADER_LINES))), None)
    return "," if found is None else found[1]


def decoded(path: Path, what: str) -> str:
    """Read a text file that a spreadsheet or editor wrote.

    Parameters
    ----------
    path
        The file, in UTF-8, or in UTF-16 with its mark.
    what
        What it is, the beginning of messages.

    Returns
    -------
    str
        The text, without the mark.

    Raises
    ------
    UserError
        Where it is in another encoding.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in _UTF16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{what} {path}: not a CSV text file: {error}; in a spreadsheet save it as 'CSV UTF-8'"
        ) from error
    if "\0" in text:
        raise UserError(f"{what} {path}: not a CSV text file: it holds zero bytes; save it as 'CSV UTF-8'")
    return text


def _with_point(cell: str) -> str:
    return _DECIMAL_COMMA.sub(r"\1.\2", cell) if _DECIMAL_COMMA.fullmatch(cell) else cell


def single_individual(path: Path, what: str, number: int, cells: list[str]) -> None:
    """Check that the row `individuals` of a multi-animal table names one animal.

    Parameters
    ----------
    path
        The table.
    what
        What it is, the beginning of messages.
    number
        Number of the row.
    cells
        Its cells.

    Raises
    ------
    UserError
        Where it names several, or none.
    """
    animals = sorted({cell.strip() for cell in cells[1:] if cell.strip()})
    if len(animals) != 1:
        raise UserError(
            f"{what} {path}: row {number} names {len(animals)} individuals ({', '.join(animals)}); one can "
            "be learned: write a file with one animal's columns"
        )
