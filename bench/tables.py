"""Results that are mostly tables: as Markdown, and as a page with plots above them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.output import markdown_table
from rt_pose.reports.render import render


@dataclass
class Table:
    """A title, heads, rows of cells, and what to know of it. A cell in two pairs of asterisks is bold."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    note: str = ""
    of_text: bool = False
    """Its columns are words, not numbers."""

    def markdown(self) -> str:
        """Its text, for a document and for a terminal."""
        note = [self.note] if self.note else []
        return "\n\n".join([f"## {self.title}", *note, markdown_table(self.heads, self.rows)])


def tables_text(title: str, facts: Iterable[str], tables: Iterable[Table]) -> str:
    """A document in Markdown."""
    return "\n\n".join([f"# {title}", *facts, *(table.markdown() for table in tables)])


def tables_page(
    title: str,
    facts: Iterable[str],
    tables: Iterable[Table],
    plots: Sequence[tuple[str, str]] = (),
    colours: Sequence[tuple[str, str]] = (),
) -> str:
    """The same as HTML. `plots`: (title, SVG) of each; `colours`: (name, CSS colour) of what they show."""
    return render(
        "tables.html",
        "bench",
        title=title,
        facts=facts,
        tables=tables,
        plots=plots,
        colours=colours,
    )
