"""The scores as one self-contained HTML page: what was true, what was decided, how late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from rt_pose.audit.hindsight import Curve, Hindsight, Score
from rt_pose.audit.hindsight_format import as_json, left_out
from rt_pose.clock import NS_PER_S
from rt_pose.files import write_atomic
from rt_pose.loop.latency import summary
from rt_pose.reports.plots import histogram
from rt_pose.reports.render import render
from rt_pose.reports.svg import Plot

JSON_NAME = "hindsight.json"
PAGE_NAME = "hindsight.html"
COLOURS = {"hit": "green", "repeat": "orange", "false alarm": "red", "lost": "grey"}
LINES = ("blue", "orange", "green", "grey")
"""Colours of the cameras, where several are judged together."""
PANEL_S = 30.0
"""Scene time that a panel shows; lines over a longer time could not be told apart."""
MAX_PANELS = 12
DELAY_BINS = 40
COPY = "copy the session elsewhere"


def write(folder: Path, found: list[Hindsight]) -> dict[str, Any]:
    """Write `hindsight.json` and `hindsight.html`.

    Parameters
    ----------
    folder
        Where they are written.
    found
        The scores.

    Returns
    -------
    dict[str, Any]
        The content of `hindsight.json`.

    Raises
    ------
    UserError
        Where the folder cannot be written.
    """
    plain = {"schema": 1, "scores": [as_json(one) for one in found]}
    write_atomic(folder / JSON_NAME, json.dumps(plain, indent=1) + "\n", COPY)
    write_atomic(folder / PAGE_NAME, page(found, folder.name), COPY)
    return plain


def page(found: list[Hindsight], name: str) -> str:
    """Render the page.

    Parameters
    ----------
    found
        The scores.
    name
        Name of the session, for the title.

    Returns
    -------
    str
        HTML.
    """
    return render(
        "hindsight.html",
        title=f"Hindsight: {name}",
        truths=[(one, as_json(one)) for one in found],
        delay_histogram=delay_histogram,
        left_out=left_out,
        panels=_panels,
        most_panels=MAX_PANELS,
        panel_s=PANEL_S,
    )


def delay_histogram(s: Score) -> Markup | None:
    """Plot how long after (or before) its onset each hit took effect.

    Parameters
    ----------
    s
        The score; its delays are in ms.

    Returns
    -------
    Markup or None
        SVG; None where there are no hits.
    """
    delays = np.array(s.delays_ms)
    figures = summary(delays)
    if figures is None:
        return None
    low, high = float(delays.min()), float(delays.max())
    margin = 0.05 * (high - low) + 1.0
    plot = histogram(delays, DELAY_BINS, (low - margin, high + margin), "delay, ms", "hits")
    plot.down(figures["p50"], "orange", f"P50 {figures['p50']:.1f} ms")
    return plot.render("delay from the onset to the effect")


def _panels(curve: Curve) -> list[Markup]:
    """Plot the value of the rule's first quantity over time, with episodes and events, `PANEL_S` a panel."""
    t0 = int(curve.t_ns[0])
    seconds = (curve.t_ns - t0) / NS_PER_S
    finite = curve.value[np.isfinite(curve.value)]
    limits = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    of_camera = np.zeros(len(curve.t_ns), np.int64) if curve.line is None else curve.line
    missed = {id(episode) for episode in curve.missed}
    panels = []
    for begin in np.arange(0.0, float(seconds[-1]) + 1e-9, PANEL_S):
        end = min(begin + PANEL_S, float(seconds[-1]))
        plot = Plot((begin, end), limits, "seconds", "value", width=1000, height=170)
        for episode in curve.episodes:
            first, last = (
                max(min((t - t0) / NS_PER_S, end), begin) for t in (episode.start_ns, episode.end_ns)
            )
            if first < last:
                plot.span(
                    first, last, "red" if id(episode) in missed else "green", f"true from {first:.3f} s"
                )
        shown = (seconds >= begin) & (seconds <= end)
        for number, colour in enumerate(LINES[: 1 + int(of_camera.max(initial=0))]):
            of_line = shown & (of_camera % len(LINES) == number)
            plot.line(seconds[of_line], curve.value[of_line], colour, 1.1)
        for event in curve.events:
            at = (event.t_effect_ns - t0) / NS_PER_S
            if begin <= at <= end:
                title = f"{event.verdict} at {at:.3f} s: {event.outcome} {event.reason}"
                plot.down(at, COLOURS[event.verdict], title, dashed=event.outcome != "fired")
        panels.append(plot.render(f"{curve.rule}, {curve.says}"))
    return panels
