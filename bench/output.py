"""How a benchmark ends: a table for people, files where they are wanted, one JSON line last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.session.describe import machine, versions


def conditions() -> dict[str, Any]:
    """Describe when and on what a benchmark runs.

    Returns
    -------
    dict[str, Any]
        t_utc_s (s since the Unix epoch), machine and versions: the first keys of every result.
    """
    return {"t_utc_s": HostClock().utc_ns() // NS_PER_S, "machine": machine(), "versions": versions()}


def check_out(out: Path | None) -> None:
    """Check, before the work, that result files can be written.

    Parameters
    ----------
    out
        Stem of the files; None where none are wanted.

    Raises
    ------
    UserError
        Where its folder does not exist.
    """
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; make it first")


def finish(figures: dict[str, Any], text: str, out: Path | None) -> None:
    """Print a result: the text, and last the JSON line; write files where they are wanted.

    Parameters
    ----------
    figures
        The result, for JSON.
    text
        The result, for people.
    out
        Stem of OUT.json and OUT.md; None writes none.
    """
    print(text)
    if out is not None:
        write(figures, text, out)
    print(json.dumps(figures))


def write(figures: dict[str, Any], text: str, out: Path) -> None:
    """Write OUT.json and OUT.md.

    Parameters
    ----------
    figures
        The result, for JSON.
    text
        The result, as Markdown.
    out
        Stem of the files.
    """
    out.with_name(out.name + ".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    out.with_name(out.name + ".md").write_text(text + "\n", encoding="utf-8")


def machine_line(figures: dict[str, Any]) -> str:
    """Describe the machine in words.

    Parameters
    ----------
    figures
        A result with `conditions`.

    Returns
    -------
    str
        Processor, usable cores and the features that matter for arithmetic.
    """
    found = figures["machine"]
    features = ", ".join(f for f in found["features"] if f.startswith(("avx512f", "avx512_", "amx")))
    return f"{found['cpu']}, {found['cores_usable']} cores usable ({features or 'no AVX-512'})"


def precision_words(runs: Iterable[Mapping[str, Any]]) -> str:
    """Name the precision that the network had, which `auto` chooses.

    Parameters
    ----------
    runs
        Runs with their `precision`; those of before have none.

    Returns
    -------
    str
        Such as `bf16`; of several, all.
    """
    found = dict.fromkeys(run["precision"] for run in runs if run.get("precision"))
    return " and ".join(found) or "precision not noted"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table as Markdown whose columns are padded to one width, so that it reads well as text too.

    Parameters
    ----------
    head
        Headings.
    rows
        Cells, as many a row as there are headings; the first column is aligned left, the others right.

    Returns
    -------
    str
        The table.
    """
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(f"{'-' * (w + 2)}" for w in widths)
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])
