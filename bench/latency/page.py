"""The page of `rt-pose bench latency`: self-contained, in the look of the session report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np

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
from rt_pose.reports.plots import stage_waterfall
from rt_pose.reports.style import STYLE
from rt_pose.reports.svg import Plot
from rt_pose.types import FloatArray

PERCENTILES = ("p50", "p90", "p99", "p99_9", "max")
HEAD = ("ms", "n", "P50", "P90", "P99", "P99.9", "max")
BINS = 90


def page(figures: dict[str, Any], drawn: dict[str, Any]) -> str:
    """The page's text. `drawn`: the columns behind the plots, as `bench.latency.summed_up` gives them."""
    bench = figures["bench"]
    sections = [
        _head(figures),
        _section("Latency", _latency(figures, drawn)),
        _section("Where the time goes", _stages(figures)),
        _section("What was dropped", _drops(figures, drawn)),
        _section("The bare engine", _bare(figures)),
    ]
    if bench.get("sustainable"):
        sections.append(_section("Sustainable rate", _sustainable(bench["sustainable"])))
    if bench.get("compared"):
        sections.append(_section("Compared", _compared(bench["compared"])))
    sections.append(_section("What ran", _what_ran(figures)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>rt-pose latency</title><style>{STYLE}</style></head><body><main>"
        + "".join(sections)
        + "</main></body></html>\n"
    )


def over_time(figures: dict[str, Any], drawn: dict[str, Any]) -> str:
    """Image to decision, the bare engine's medians and every drop against the time of the run."""
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


def histogram(figures: dict[str, Any], values: FloatArray) -> str:
    """How often which image to decision; what is beyond P99.9 is in the last column."""
    found = figures["latency_ms"]["image_to_decision"]
    high = float(np.nanpercentile(values, 99.9)) * 1.1
    counts, edges = np.histogram(np.minimum(values, high), BINS, (0.0, high))
    plot = Plot((0.0, high), (0, float(counts.max()) * 1.1), "ms, image to decision", "frames", 560)
    plot.columns(edges, counts, "blue")
    for name, dashed in (("p50", False), ("p99", True)):
        plot.down(found[name], "orange", f"{name.upper()} {found[name]:.2f} ms", dashed)
    return plot.render("histogram of image to decision")


def _with_gaps(seconds: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The line broken where the loop stood still, between blocks."""
    steps = np.diff(seconds)
    if not len(steps):
        return seconds, values
    at = np.flatnonzero(steps > max(1.0, 10 * float(np.median(steps)))) + 1
    return np.insert(seconds, at, seconds[at]), np.insert(values, at, np.nan)


def _head(figures: dict[str, Any]) -> str:
    started = figures["session"]["started_utc_ns"]
    when = "" if started is None else datetime.fromtimestamp(started / NS_PER_S, UTC).strftime("%F %T UTC · ")
    return (
        f'<h1>Latency</h1><p class="soft">{escape(when + machine_line(figures))}</p>'
        f'<p class="soft">{escape(recording_line(figures))}</p>'
        f'<div class="tiles">{"".join(_tiles(figures))}</div>'
    )


def _tiles(figures: dict[str, Any]) -> Iterable[str]:
    latency = figures["latency_ms"]
    for key in ("image_to_decision", "exposure_to_decision", "overhead"):
        found = latency[key]
        if found:
            yield _tile(f"{found['p50']:.2f} ms", NAMES[key], f"P50 · P99 {found['p99']:.2f} ms")
    due, frames = figures["deadline"], figures["frames"]
    if due["missed"] is not None:
        share = f"of {due['n']:,} past {due['budget_ms']:g} ms"
        yield _tile(f"{due['missed']:,}", "deadlines missed", share, bool(due["missed"]))
    lost = sum(n for stage, n in frames["dropped"].items() if stage != "end") + frames["device_gaps"]
    yield _tile(f"{lost:,}", "frames dropped", f"of {frames['captured']:,} captured", bool(lost))
    ratio = figures["bench"]["p99_over_p50"]["loop_over_bare_paced"]
    if ratio is not None:
        yield _tile(f"{ratio:.2f}", "tail, loop over bare engine", "ratio of the two P99 / P50")


def _latency(figures: dict[str, Any], drawn: dict[str, Any]) -> str:
    rows = [[name, *_cells(figures["latency_ms"].get(key))] for key, name in NAMES.items()]
    return (
        _table(HEAD, rows)
        + _soft(f"P99.9 is stated from 10,000 values on. {reference_line(figures)}.")
        + f"<h3>Over time</h3>{over_time(figures, drawn)}"
        + _soft("blue: image to decision · orange: the bare engine at the same pace (medians) · red: a drop")
        + f'<div class="two"><div><h3>How often</h3>{histogram(figures, drawn["to_decision_ms"])}'
        + _soft("orange: P50, dashed: P99; what is beyond P99.9 is in the last column")
        + f"</div></div><p>{escape(ratio_line(figures))}</p>"
    )


def _stages(figures: dict[str, Any]) -> str:
    stages = figures["stages_ms"]
    return (
        (stage_waterfall(stages) or "")
        + _soft("bar: median, thin line: P99; each stage begins where the one before ends in the median")
        + _table(("stage, ms", *HEAD[1:]), [[name, *_cells(found)] for name, found in stages.items()])
    )


def _drops(figures: dict[str, Any], drawn: dict[str, Any]) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    for stage, reason, n in drawn["drops"]:
        counts[stage, reason] += n
    rows = [[stage, f"{n:,}", reason] for (stage, reason), n in sorted(counts.items())]
    notes = f"<p>{escape(drops_line(figures))}</p>"
    return notes + (_table(("stage", "n", "why"), rows, "text why") if rows else "")


def _bare(figures: dict[str, Any]) -> str:
    reference = figures["bench"]["reference"]
    rows = [[name.replace("_", " "), *_cells(found)] for name, found in reference["bare_ms"].items()]
    for when, end in zip(("before", "after"), reference["ends_ms"], strict=False):
        rows += [[f"{name.replace('_', ' ')}, {when} the run", *_cells(found)] for name, found in end.items()]
    return _table(HEAD, rows) + _soft(
        "The same network in the same precision on a ready tensor, nothing else. Back to back is the bare "
        "forward of the definition of overhead; paced sleeps between the forwards as the loop does."
    )


def _sustainable(found: dict[str, Any]) -> str:
    rows = [
        [
            f"{t['rate_hz']:.1f}",
            f"{t['frames']:,}",
            f"{t['dropped']:,}",
            _ms(t["p99_ms"]),
            "holds" if t["holds"] else "does not hold",
        ]
        for t in sorted(found["trials"], key=lambda t: t["rate_hz"])
    ]
    notes = "".join(f"<p>{escape(line)}</p>" for line in sustainable_lines(found))
    return notes + _table(("frames/s", "frames", "dropped", "P99, ms", ""), rows)


def _compared(compared: dict[str, Any]) -> str:
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in compared["notes"])
    rows = []
    for name, ratios in compared["ratios"].items():
        then = compared["earlier"][name]
        cells = ("–" if ratios[key] is None else f"{ratios[key]:.3f}" for key in PERCENTILES)
        rows.append([name.replace("_", " "), *cells, _ms(then["p50"]), _ms(then["p99"])])
    head = ("this run / that run", "P50", "P90", "P99", "P99.9", "max", "its P50, ms", "its P99, ms")
    return _soft(f"with {compared['file']}") + notes + _table(head, rows)


def _what_ran(figures: dict[str, Any]) -> str:
    engine = {k: v for k, v in figures["engine"].items() if not isinstance(v, dict)}
    package = {key: figures["package"].get(key) for key in ("path", "sha256")}
    parts = {
        "Engine": engine,
        "Package": package,
        "Machine": figures["machine"],
        "Versions": figures["versions"],
    }
    return f'<div class="two">{"".join(_facts(title, facts) for title, facts in parts.items())}</div>'


def _facts(title: str, facts: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(key)}</td><td><code>{escape(_plain(value))}</code></td></tr>"
        for key, value in facts.items()
    )
    return f'<div><h3>{escape(title)}</h3><table class="text facts">{rows}</table></div>'


def _plain(value: Any) -> str:
    return "; ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _tile(value: str, name: str, tail: str, bad: bool = False) -> str:
    kind = "tile bad" if bad else "tile"
    return f'<div class="{kind}"><b>{value}</b><span>{escape(name)}</span><span>{escape(tail)}</span></div>'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table class="{kind}"><tr>{cells}</tr>{body}</table></div>'


def _cells(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return ["not measured", "", "", "", "", ""]
    return [f"{found['n']:,}", *(_ms(found[key]) for key in PERCENTILES)]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
