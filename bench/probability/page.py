"""The results of `bench.probability` as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np

from rt_pose.reports.style import STYLE
from rt_pose.reports.svg import Plot

COLOURS = {"threshold": "orange", "probability": "blue"}
SHOWN_ALARMS = 10.0


def page(result: dict[str, Any]) -> str:
    """The page's text."""
    parts = "".join(_part(part) for part in result["parts"])
    verdicts = ", ".join(f"{n} times '{escape(v)}'" for v, n in sorted(result["verdicts"].items()))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Probability or threshold</title><style>{STYLE}</style></head><body><main>"
        "<h1>Rules by probability against rules by threshold</h1>"
        f"<p>Both on the same prediction to the time of effect, on {result['seeds']} simulated animals with "
        "known truth. By threshold: how far the predicted mean must be inside the condition. By probability: "
        "how probable the condition must be. Curves show every threshold, all animals together: down and "
        "left is better. In the tables each kind has the threshold that misses least at the allowed false "
        "alarms a minute, the same for all animals; differences are paired by animal, with 95 % intervals. "
        f"Filter parameters {'calibrated' if result['calibrated'] else 'not calibrated'}.</p>"
        f"<p>In all: {verdicts}. Of so many 95 % intervals, not all of them independent, one in twenty "
        f"misses the truth by chance: single verdicts prove little.</p>{parts}"
        f'<p class="soft">{escape(str(result["machine"]["cpu"]))}; {result["took_s"]:g} s</p>'
        "</main></body></html>\n"
    )


def _part(part: dict[str, Any]) -> str:
    errors = part["pose_error"]
    return (
        f"<section><h2>{escape(part['film'])}, {escape(part['chain'])}</h2>"
        f'<p class="soft">Error of visible keypoints: median {errors["median_px"]} px, P90 '
        f"{errors['p90_px']}, P99 {errors['p99_px']}, n {errors['n']:,}.</p>"
        f"{''.join(_case(c) for c in part['cases'])}</section>"
    )


def _case(case: dict[str, Any]) -> str:
    return (
        f"<h3>{escape(case['name'])}: <code>{escape(case['when'])}</code>, {case['delay_ms']:g} ms ahead, "
        f"{case['onsets']} onsets</h3>"
        f'<div class="two"><div>{_curves(case)}</div><div>{_delays(case)}</div></div>{_table(case)}'
    )


def _curves(case: dict[str, Any]) -> str:
    plot = Plot((0, SHOWN_ALARMS), (0, 100), "false alarms a minute", "missed, %", 500, 240)
    for kind, points in case["curves"].items():
        line = np.array([(p["false_alarms_per_minute"], 100 * p["miss_share"]) for p in points])
        inside = line[:, 0] <= SHOWN_ALARMS
        plot.line(line[inside, 0], line[inside, 1], COLOURS[kind], 1.6)
    return plot.render("misses against false alarms") + _key()


def _delays(case: dict[str, Any]) -> str:
    points = [p for curve in case["curves"].values() for p in curve if np.isfinite(p["delay_p50_ms"])]
    if not points:
        return ""
    delays = [p["delay_p50_ms"] for p in points]
    plot = Plot(
        (0, SHOWN_ALARMS), (min(delays), max(delays)), "false alarms a minute", "delay P50, ms", 500, 240
    )
    for kind, curve in case["curves"].items():
        line = np.array([(p["false_alarms_per_minute"], p["delay_p50_ms"]) for p in curve])
        inside = line[:, 0] <= SHOWN_ALARMS
        plot.line(line[inside, 0], line[inside, 1], COLOURS[kind], 1.6)
    return plot.render("delay against false alarms") + _key()


def _key() -> str:
    return '<p class="soft">orange: by threshold · blue: by probability</p>'


def _table(case: dict[str, Any]) -> str:
    head = (
        "alarms/min at most",
        "missed by threshold",
        "by probability",
        "difference",
        "95 % interval",
        "delay difference, ms",
        "repeats/min",
        "verdict",
    )
    cells = "".join(f"<th>{h}</th>" for h in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in _row(row)) + "</tr>" for row in case["compared"]
    )
    return f'<div class="scroll"><table><tr>{cells}</tr>{body}</table></div>'


def _row(row: dict[str, Any]) -> Iterable[str]:
    misses, delay = row["difference"]["miss_share"], row["difference"]["delay_ms"]
    yield f"{row['false_alarms_per_minute_at_most']:g}"
    for kind in ("threshold", "probability"):
        yield f"{100 * row[kind]['miss_share']:.1f} % (at {row[kind]['threshold']:g})"
    if misses["mean"] is None:
        yield from ("–", "–")
    else:
        yield f"{100 * misses['mean']:+.1f} %"
        yield f"{100 * misses['low']:+.1f} to {100 * misses['high']:+.1f}"
    yield (
        "–"
        if delay["mean"] is None
        else f"{delay['mean']:+.1f} ({delay['low']:+.1f} to {delay['high']:+.1f})"
    )
    yield f"{row['threshold']['repeats_per_minute']:.1f} / {row['probability']['repeats_per_minute']:.1f}"
    yield row["verdict"]
