"""How a benchmark ends: a table for people, files where they are wanted, one JSON line last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.session.describe import machine, versions


def conditions() -> dict[str, Any]:
    """When and on what: the first keys of every result."""
    return {"t_utc_s": HostClock().utc_ns() // NS_PER_S, "machine": machine(), "versions": versions()}


def check_out(out: Path | None) -> None:
    """UserError, before the work, where `out` cannot become the stem of result files."""
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; make it first")


def finish(figures: dict[str, Any], text: str, out: Path | None) -> None:
    """Print the text and, last, the JSON line; write OUT.json and OUT.md where `out` is given."""
    print(text)
    if out is not None:
        write(figures, text, out)
    print(json.dumps(figures))


def write(figures: dict[str, Any], text: str, out: Path) -> None:
    """Write OUT.json and OUT.md."""
    out.with_name(out.name + ".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    out.with_name(out.name + ".md").write_text(text + "\n", encoding="utf-8")


def machine_line(figures: dict[str, Any]) -> str:
    """The machine in words."""
    found = figures["machine"]
    features = ", ".join(f for f in found["features"] if f.startswith(("avx512f", "avx512_", "amx")))
    return f"{found['cpu']}, {found['cores_usable']} cores usable ({features or 'no AVX-512'})"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads well as text too: columns padded to one width."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(f"{'-' * (w + 2)}" for w in widths)
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])
