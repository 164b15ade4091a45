"""The tables of `bench.gpu`, for people."""

from __future__ import annotations

from typing import Any

from bench.tables import Table, tables_page, tables_text

HIDDEN = ("what", "failed", "engine", "versions", "tail", "lines")
LONGEST = 150
HELD = {True: "yes", False: "**no**", None: "not measured"}


def text(figures: dict[str, Any]) -> str:
    """Format the result for a terminal, as Markdown: every row in a line, with figures or why it has none.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        Markdown.
    """
    return tables_text(_title(figures), [], _tables(figures))


def page(figures: dict[str, Any]) -> str:
    """Format the result for a browser.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        HTML.
    """
    return tables_page(_title(figures), [], _tables(figures))


def _title(figures: dict[str, Any]) -> str:
    return f"GPU, {'quick, ' if figures['quick'] else ''}{figures.get('seconds', 0):.0f} s"


def _tables(figures: dict[str, Any]) -> list[Table]:
    tables = []
    for name, section in figures["sections"].items():
        rows = [_line(row) for row in section["rows"]]
        failed = f"section: {section['failed'][-400:]}" if section["failed"] else ""
        title = f"{name}, {section['seconds']:.0f} s"
        tables.append(Table(title, ["what", "figures"], rows, failed, of_text=True))
    rows = [[claim["what"], HELD[claim["held"]], claim["figures"]] for claim in figures.get("claims", [])]
    return [*tables, *([Table("Claims", ["claim", "held", "figures"], rows, of_text=True)] if rows else [])]


def _line(row: dict[str, Any]) -> list[str]:
    if "failed" in row:
        return [row["what"], f"FAILED: {row['failed']}"[:LONGEST].replace("\n", " ").replace("|", "/")]
    cells = [
        f"{key} {_value(value)}" for key, value in row.items() if key not in HIDDEN and value is not None
    ]
    return [row["what"], ", ".join(cells)[: 2 * LONGEST]]


def _value(value: Any) -> str:
    """A summary by its percentiles, a number to four digits."""
    if isinstance(value, dict) and "p50" in value:
        tail = value.get("p99.9", value.get("p99_9"))
        found = f"{value['p50']:.3f} / {value['p99']:.3f}"
        return f"{found} / {tail:.3f} (n {value['n']})" if tail is not None else f"{found} (n {value['n']})"
    if isinstance(value, dict):
        return " ".join(f"{key}:{_value(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
