"""The page of `rt-pose bench latency`: self-contained, in the look of the session report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
from markupsafe import Markup

from bench.latency.table import (
    NAMES,
    drops_line,
    machine_line,
    ratio_line,
    recording_line,
    reference_line,
    sustainable_lines,
)
from rt_pose.clock import NS_PER_S
from rt_pose.reports.plots import latency_histogram, stage_waterfall
from rt_pose.reports.render import render
from rt_pose.reports.svg import Plot
from rt_pose.types import FloatArray


def page(figures: dict[str, Any], drawn: dict[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    figures
        The result.
    drawn
        The columns behind the plots, as `bench.latency.program.summed_up` returns them.

    Returns
    -------
    str
        HTML.
    """
    bench, latency = figures["bench"], figures["latency_ms"]
    sustainable, compared = bench.get("sustainable"), bench.get("compared")
    return render(
        "latency.html",
        "bench",
        title="Latency",
        about=_about(figures),
        report=figures,
        names=NAMES,
        latencies=[(name, latency.get(key)) for key, name in NAMES.items()],
        reference_line=reference_line(figures),
        ratio_line=ratio_line(figures),
        drops_line=drops_line(figures),
        over_time=over_time(figures, drawn),
        histogram=latency_histogram(drawn["to_decision_ms"]),
        waterfall=stage_waterfall(figures["stages_ms"]),
        lost=_lost(figures["frames"]),
        losses=_losses(drawn["drops"]),
        bare=list(_bare(bench["reference"])),
        tail_ratio=bench["p99_over_p50"]["loop_over_bare_paced"],
        sustainable=sustainable,
        sustainable_lines=sustainable_lines(sustainable) if sustainable else [],
        compared=compared,
        ratios=_ratios(compared) if compared else [],
        what_ran={
            "Engine": {key: value for key, value in figures["engine"].items() if not isinstance(value, dict)},
            "Package": {key: figures["package"].get(key) for key in ("path", "sha256")},
            "Machine": figures["machine"],
            "Versions": figures["versions"],
        },
    )


def over_time(figures: dict[str, Any], drawn: dict[str, Any]) -> Markup:
    """Plot image to decision, the bare engine's medians and every drop against the time of the run.

    Parameters
    ----------
    figures
        The result.
    drawn
        The columns behind the plots.

    Returns
    -------
    Markup
        SVG.
    """
    seconds, values = drawn["seconds"], drawn["to_decision_ms"]
    bare = np.array(drawn["bare"], np.float64).reshape(-1, 2)
    budget = figures["deadline"]["budget_ms"]
    begin, end = min(0.0, float(bare[0, 0])), max(float(seconds[-1]), float(bare[-1, 0]))
    top = float(np.nanmax(values)) * 1.08
    plot = Plot((begin, end), (0, top), "seconds", "ms", width=1000, height=250)
    for at in drawn["drops_s"]:
        plot.down(at, "red", f"dropped at {at:.2f} s")
    plot.line(*_with_gaps(seconds, values), "blue", 0.9)
    plot.line(bare[:, 0], bare[:, 1], "orange", 1.6)
    if budget is not None and budget <= top:
        plot.across(budget, "red", f"budget {budget:g} ms (exposure to decision)")
    return plot.render("latency over time")


def _with_gaps(seconds: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Break the line where the loop stood still, between blocks."""
    steps = np.diff(seconds)
    if not len(steps):
        return seconds, values
    at = np.flatnonzero(steps > max(1.0, 10 * float(np.median(steps)))) + 1
    return np.insert(seconds, at, seconds[at]), np.insert(values, at, np.nan)


def _about(figures: dict[str, Any]) -> list[str]:
    """When, on what and with what, a line each."""
    started = figures["session"]["started_utc_ns"]
    when = "" if started is None else datetime.fromtimestamp(started / NS_PER_S, UTC).strftime("%F %T UTC · ")
    return [when + machine_line(figures), recording_line(figures)]


def _lost(frames: dict[str, Any]) -> int:
    """Frames without a decision that were not merely left over at the end."""
    return int(sum(n for stage, n in frames["dropped"].items() if stage != "end") + frames["device_gaps"])


def _losses(drops: list[tuple[str, str, int]]) -> list[list[str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for stage, reason, n in drops:
        counts[stage, reason] += n
    return [[stage, f"{n:,}", reason] for (stage, reason), n in sorted(counts.items())]


def _bare(reference: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Summaries of the bare engine: of the whole run, then before and after it."""
    for name, found in reference["bare_ms"].items():
        yield name.replace("_", " "), found
    for when, end in zip(("before", "after"), reference["ends_ms"], strict=False):
        for name, found in end.items():
            yield f"{name.replace('_', ' ')}, {when} the run", found


def _ratios(compared: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each figure to the earlier run's, with that one's own times."""
    for name, ratios in compared["ratios"].items():
        then = compared["earlier"][name]
        yield name.replace("_", " "), ratios | {"p50_ms": then["p50"], "p99_ms": then["p99"]}
