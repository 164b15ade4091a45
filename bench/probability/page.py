"""The results of `bench.probability` as a table and as one self-contained page."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from bench.output import markdown_table
from rt_pose.reports.render import UNKNOWN, render
from rt_pose.reports.svg import Plot

COLOURS = {"threshold": "orange", "probability": "blue"}
SHOWN_ALARMS = 10.0
HEADS = [
    *("alarms/min at most", "missed by threshold", "by probability", "difference", "95 % interval"),
    *("delay difference, ms", "repeats/min", "verdict"),
]


def text(result: dict[str, Any]) -> str:
    """Format the comparisons of every condition for the terminal.

    Parameters
    ----------
    result
        The result.

    Returns
    -------
    str
        A Markdown table.
    """
    rows = [
        [f"{part['film']}, {part['chain']}", case["name"], f"{case['delay_ms']:g}", str(case["onsets"]), *row]
        for part in result["parts"]
        for case in part["cases"]
        for row in _rows(case)
    ]
    return markdown_table(["film, chain", "condition", "ahead, ms", "onsets", *HEADS], rows)


def page(result: dict[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    result
        The result.

    Returns
    -------
    str
        HTML.
    """
    return render(
        "probability.html",
        "bench",
        title="Rules by probability against rules by threshold",
        result=result,
        heads=HEADS,
        rows=_rows,
        curves=_curves,
        delays=_delays,
    )


def _rows(case: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{row['false_alarms_per_minute_at_most']:g}",
            *(f"{100 * row[k]['miss_share']:.1f} % (at {row[k]['threshold']:g})" for k in COLOURS),
            *_difference(row["difference"]["miss_share"], row["difference"]["delay_ms"]),
            " / ".join(f"{row[kind]['repeats_per_minute']:.1f}" for kind in COLOURS),
            row["verdict"],
        ]
        for row in case["compared"]
    ]


def _difference(misses: dict[str, Any], delay: dict[str, Any]) -> list[str]:
    """Difference of misses, its interval, and that of delays; dashes for what could not be compared."""
    cells = [UNKNOWN, UNKNOWN, UNKNOWN]
    if misses["mean"] is not None:
        cells[0] = f"{100 * misses['mean']:+.1f} %"
        cells[1] = f"{100 * misses['low']:+.1f} to {100 * misses['high']:+.1f}"
    if delay["mean"] is not None:
        cells[2] = f"{delay['mean']:+.1f} ({delay['low']:+.1f} to {delay['high']:+.1f})"
    return cells


def _curves(case: dict[str, Any]) -> Markup:
    plot = Plot((0, SHOWN_ALARMS), (0, 100), "false alarms a minute", "missed, %", 500, 240)
    _draw(plot, case, "miss_share", 100)
    return plot.render("misses against false alarms")


def _delays(case: dict[str, Any]) -> Markup | None:
    delays = [p["delay_p50_ms"] for points in case["curves"].values() for p in points]
    delays = [delay for delay in delays if np.isfinite(delay)]
    if not delays:
        return None
    limits = min(delays), max(delays)
    plot = Plot((0, SHOWN_ALARMS), limits, "false alarms a minute", "delay P50, ms", 500, 240)
    _draw(plot, case, "delay_p50_ms", 1)
    return plot.render("delay against false alarms")


def _draw(plot: Plot, case: dict[str, Any], key: str, factor: float) -> None:
    for kind, points in case["curves"].items():
        line = np.array([(p["false_alarms_per_minute"], factor * p[key]) for p in points])
        inside = line[:, 0] <= SHOWN_ALARMS
        plot.line(line[inside, 0], line[inside, 1], COLOURS[kind], 1.6)
