"""Results that are mostly tables: as Markdown, and as a page with plots above them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.output import markdown_table
from rt_pose.reports.render import number, render

Column = tuple[str, str, str]
"""Heading, key of a record, and format of a figure."""


@dataclass
class Table:
    """A title, headings, rows of cells, and a note. A cell between two pairs of asterisks is bold."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    note: str = ""
    of_text: bool = False
    """Whether its columns are words, not numbers."""

    @classmethod
    def of_records(
        cls,
        title: str,
        heads: Sequence[str],
        records: Iterable[tuple[Sequence[str], Mapping[str, Any]]],
        columns: Sequence[Column],
        note: str = "",
    ) -> Table:
        """Make a table with a row a record.

        Parameters
        ----------
        title
            Its title.
        heads
            Headings of the names.
        records
            Names and figures of each row.
        columns
            The figures to show.
        note
            Text between the title and the table.

        Returns
        -------
        Table
            The names under `heads`, then the figures under the headings of `columns`.
        """
        rows = [[*names, *(number(found[key], form) for _, key, form in columns)] for names, found in records]
        return cls(title, [*heads, *(heading for heading, _, _ in columns)], rows, note)

    def markdown(self) -> str:
        """Format the table as Markdown, for a document and for a terminal."""
        note = [self.note] if self.note else []
        return "\n\n".join([f"## {self.title}", *note, markdown_table(self.heads, self.rows)])


def tables_text(title: str, facts: Iterable[str], tables: Iterable[Table]) -> str:
    """Format tables as a Markdown document.

    Parameters
    ----------
    title
        Title of the document.
    facts
        Paragraphs before the tables.
    tables
        The tables.

    Returns
    -------
    str
        Markdown.
    """
    return "\n\n".join([f"# {title}", *facts, *(table.markdown() for table in tables)])


def tables_page(
    title: str,
    facts: Iterable[str],
    tables: Iterable[Table],
    plots: Sequence[tuple[str, str]] = (),
    colours: Sequence[tuple[str, str]] = (),
) -> str:
    """Format tables as a self-contained HTML page.

    Parameters
    ----------
    title
        Title of the page.
    facts
        Paragraphs before the tables.
    tables
        The tables.
    plots
        Title and SVG of each plot.
    colours
        Name and CSS colour of what the plots show.

    Returns
    -------
    str
        HTML.
    """
    return render(
        "tables.html",
        "bench",
        title=title,
        facts=facts,
        tables=tables,
        plots=plots,
        colours=colours,
    )
