"""The results of `bench.probability` as one self-contained page."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from rt_pose.reports.render import render
from rt_pose.reports.svg import Plot

COLOURS = {"threshold": "orange", "probability": "blue"}
SHOWN_ALARMS = 10.0


def page(result: dict[str, Any]) -> str:
    """The page's text."""
    return render(
        "probability.html",
        "bench",
        title="Rules by probability against rules by threshold",
        result=result,
        curves=_curves,
        delays=_delays,
    )


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
