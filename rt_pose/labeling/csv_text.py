"""A CSV as it was written, cell by cell: what is not changed comes back byte for byte.

The standard library's `csv` gives values only: quotes, line ends and the spelling of numbers are lost in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from rt_pose.offline.table_text import find_separator

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
"""Marks at the beginning of a text, and its encoding."""
_LINE_END = re.compile(r"(\r\n|\n|\r)")
_DECIMAL_COMMA = re.compile(r'"?[+-]?\d+,\d+"?')


@dataclass
class CsvRow:
    """One row, as it was written."""

    cells: list[str]
    """With their quotes and spaces."""
    end: str
    """The line end; empty behind the last row of a file without one."""

    @property
    def blank(self) -> bool:
        """Whether the row says nothing."""
        return not any(self.cells)


@dataclass
class CsvText:
    """A whole file."""

    mark: bytes
    """The byte order mark; empty for none."""
    encoding: str
    separator: str
    rows: list[CsvRow]

    def to_bytes(self) -> bytes:
        """Return the file's content; without a change, what it was read from."""
        text = "".join(self.separator.join(row.cells) + row.end for row in self.rows)
        return self.mark + text.encode(self.encoding)

    @cached_property
    def decimal_comma(self) -> bool:
        """Whether numbers are written with a comma in place of the point."""
        cells = (cell for row in self.rows for cell in row.cells)
        return self.separator != "," and any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)

    @cached_property
    def missing(self) -> str:
        """The spelling of a missing number, such as NaN; empty where cells are left blank."""
        words = (cell for row in self.rows for cell in row.cells if cell.lower() == "nan")
        return next(words, "")

    def number(self, value: float | None) -> str:
        """Write a number as the other cells do.

        Parameters
        ----------
        value
            The number; None where it is missing.

        Returns
        -------
        str
            The cell.
        """
        if value is None:
            return self.missing
        return repr(value).replace(".", ",") if self.decimal_comma else repr(value)

    def quoted(self, text: str) -> str:
        """Write a text as a cell, in quotes where it needs them.

        Parameters
        ----------
        text
            The text.

        Returns
        -------
        str
            The cell.
        """
        if any(letter in text for letter in (self.separator, '"', "\n", "\r")):
            return '"' + text.replace('"', '""') + '"'
        return text

    def append(self, cells: list[str]) -> None:
        """Add a row behind the last one that is not blank.

        Parameters
        ----------
        cells
            Its cells, as they are to be written.
        """
        last = max((i for i, row in enumerate(self.rows) if not row.blank), default=-1)
        ends = [row.end for row in self.rows if row.end]
        end = ends[0] if ends else "\n"
        if last >= 0 and not self.rows[last].end:
            self.rows[last].end = end
        self.rows.insert(last + 1, CsvRow(cells, end))


def parse_csv(data: bytes) -> CsvText:
    """Split a file into its rows and cells.

    Parameters
    ----------
    data
        Its content: UTF-8, or UTF-16 with its mark.

    Returns
    -------
    CsvText
        Rows in the order and number in which `csv.reader` gives them, blank ones included.

    Raises
    ------
    UnicodeDecodeError
        Where it is in another encoding.
    """
    mark, encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", "utf-8"))
    text = data[len(mark) :].decode(encoding)
    separator = find_separator(text)
    rows = _split_quoted(text, separator) if '"' in text else _split(text, separator)
    return CsvText(mark, encoding, separator, rows)


def _split(text: str, separator: str) -> list[CsvRow]:
    pieces = _LINE_END.split(text)
    rows = [
        CsvRow(line.split(separator), end) for line, end in zip(pieces[::2], [*pieces[1::2], ""], strict=True)
    ]
    return rows if pieces[-1] else rows[:-1]


def _split_quoted(text: str, separator: str) -> list[CsvRow]:
    """As `_split`, where cells in quotes may hold separators and line ends."""
    plain = f"[^{re.escape(separator)}\r\n]*"
    cell = re.compile(rf'("(?:[^"]|"")*"{plain}|{plain})({re.escape(separator)}|\r\n|\n|\r|\Z)')
    rows: list[CsvRow] = []
    cells: list[str] = []
    place = 0
    while place < len(text) or cells:
        found = cell.match(text, place)
        assert found is not None  # `plain` may be empty, and every other letter ends a cell
        place = found.end()
        cells.append(found[1])
        if found[2] != separator:
            rows.append(CsvRow(cells, found[2]))
            cells = []
    return rows
