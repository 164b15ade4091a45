"""The short table of `bench.gpu`, for people."""

from __future__ import annotations

from typing import Any

from bench.output import markdown_table

HIDDEN = ("what", "failed", "engine", "versions", "tail", "lines")
LONGEST = 150


def short_table(figures: dict[str, Any]) -> str:
    """Every row in a line: what, figures, or why there are none."""
    parts = [f"# GPU, {'quick, ' if figures['quick'] else ''}{figures.get('seconds', 0):.0f} s"]
    for name, section in figures["sections"].items():
        parts.append(f"\n{name}, {section['seconds']:.0f} s")
        if section["failed"]:
            parts.append(f"  section: {section['failed'][-400:]}")
        if section["rows"]:
            parts.append(markdown_table(["what", "figures"], [_line(row) for row in section["rows"]]))
    return "\n".join(parts)


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
