"""The scores as one self-contained HTML page: what was true, what was decided, how late."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.audit.hindsight import Curve, Hindsight, Score, as_json
from rt_pose.clock import NS_PER_S
from rt_pose.files import write_atomic
from rt_pose.loop.latency import summary
from rt_pose.reports.style import STYLE
from rt_pose.reports.svg import Plot

JSON_NAME = "hindsight.json"
PAGE_NAME = "hindsight.html"
COLOURS = {"hit": "green", "repeat": "orange", "false alarm": "red", "lost": "grey"}
PANEL_S = 30.0
"""Scene time a panel shows: more would be a block of ink."""
MAX_PANELS = 12
DELAY_BINS = 40
COPY = "copy the session elsewhere"
HOW = (
    "A band is an episode: a stretch over which the condition truly held, at the mean, gaps shorter than the "
    "tolerance bridged, and at least as long as the rule's hold; red where no event came. A line is an event "
    "at the time of its effect: green a hit, orange a repeat within the same episode, red a false alarm, "
    "grey on a lost keypoint. The delay runs from the moment the condition with its hold was met to the "
    "effect; below 0 the event came before."
)


def write(folder: Path, found: list[Hindsight]) -> dict[str, Any]:
    """Write `hindsight.json` and `hindsight.html` into a folder; the figures."""
    plain = {"schema": 1, "scores": [as_json(one) for one in found]}
    write_atomic(folder / JSON_NAME, json.dumps(plain, indent=1) + "\n", COPY)
    write_atomic(folder / PAGE_NAME, page(found, folder.name), COPY)
    return plain


def page(found: list[Hindsight], name: str) -> str:
    """The page's text."""
    title = f"Hindsight: {name}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="soft">{escape(HOW)}</p>'
        + "".join(_hindsight(one) for one in found)
        + "</main></body></html>\n"
    )


def score_table(plain: dict[str, Any]) -> str:
    """One truth's scores, as `hindsight.json` holds them, as a table."""
    head = (
        "rule",
        "onsets",
        "hits",
        "misses",
        "false alarms",
        "repeats",
        "delay P50, ms",
        "P90, ms",
        "hits became",
    )
    rows = []
    for rule, s in plain["rules"].items():
        delay = s["delay_ms"]
        rows.append(
            [
                rule,
                *(f"{s[key]:,}" for key in ("onsets", "hits", "misses", "false_alarms", "repeats")),
                *("–" if delay is None else f"{delay[key]:.1f}" for key in ("p50", "p90")),
                ", ".join(f"{n} {outcome}" for outcome, n in sorted(s["hits_became"].items())) or "–",
            ]
        )
    cells = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells}</tr>{body}</table></div>'


def _hindsight(one: Hindsight) -> str:
    rules = "".join(f"<h3>{escape(s.rule)}</h3>{''.join(_rule(s))}" for s in one.scores)
    return (
        f"<section><h2>Against {escape(one.source)}</h2>"
        f'<p class="soft">{one.seconds:.1f} s; an event may be up to {one.tolerance_ms:g} ms off.</p>'
        f"{score_table(as_json(one))}{rules}</section>"
    )


def _rule(s: Score) -> Iterable[str]:
    delays = delay_histogram(s)
    if delays:
        yield f'<div class="picture">{delays}</div>'
    for curve in s.curves:
        panels = _panels(curve)
        yield from panels[:MAX_PANELS]
        if len(panels) > MAX_PANELS:
            yield f'<p class="soft">and {len(panels) - MAX_PANELS} more panels of {PANEL_S:g} s</p>'


def delay_histogram(s: Score) -> str | None:
    """How long after (or before) its onset each hit took effect; None without hits."""
    delays = np.array(s.delays_ms)
    figures = summary(delays)
    if figures is None:
        return None
    low, high = float(delays.min()), float(delays.max())
    margin = 0.05 * (high - low) + 1.0
    counts, edges = np.histogram(delays, DELAY_BINS, (low - margin, high + margin))
    plot = Plot((low - margin, high + margin), (0, float(counts.max()) * 1.1), "delay, ms", "hits", 560)
    plot.columns(edges, counts, "blue")
    plot.down(figures["p50"], "orange", f"P50 {figures['p50']:.1f} ms")
    return plot.render("delay from the onset to the effect")


def _panels(curve: Curve) -> list[str]:
    """The value of the rule's first quantity over time, with episodes and events, a panel a stretch."""
    t0 = int(curve.t_ns[0])
    seconds = (curve.t_ns - t0) / NS_PER_S
    finite = curve.value[np.isfinite(curve.value)]
    limits = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
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
        plot.line(seconds[shown], curve.value[shown], "blue", 1.1)
        for event in curve.events:
            at = (event.t_effect_ns - t0) / NS_PER_S
            if begin <= at <= end:
                title = f"{event.verdict} at {at:.3f} s: {event.outcome} {event.reason}"
                plot.down(at, COLOURS[event.verdict], title, dashed=event.outcome != "fired")
        panels.append(plot.render(f"{curve.rule}, camera {curve.camera}, individual {curve.individual}"))
    return panels
