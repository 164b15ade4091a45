"""Two emulated Basler cameras: at a rate that the loop holds, and at one that it does not."""

from __future__ import annotations

from typing import Any

from bench.cameras.disturbed import format_disturbance
from bench.cameras.emulated import EmulatedRun, run_emulated
from bench.output import conditions, machine_line, markdown_table
from bench.program import say

RATES_HZ = (30.0, 90.0)
SECONDS = 60.0
MOST_REPLACED = 2 / 3600
"""Share of frames that may be replaced at the first of the rates."""


def measure(plan: EmulatedRun, rate_hz: float | None, seconds: float | None) -> dict[str, Any]:
    """Measure both rates.

    Parameters
    ----------
    plan
        Model, frame size, precision.
    rate_hz
        A rate in the place of both; None for both.
    seconds
        Length of each run, s; None for a minute.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    rows = []
    for rate in RATES_HZ if rate_hz is None else (rate_hz,):
        say(f"two cameras at {rate:g} frames a second ...")
        rows.append(run_emulated(plan, 2, rate, seconds or SECONDS).figures)
    return {
        "bench": "cameras two",
        **conditions(),
        "model": plan.model,
        "size": list(plan.size),
        "runs": rows,
        "held": {
            "few_replaced": _share_replaced(rows[0]) <= MOST_REPLACED,
            "none_uncounted": not any(
                f["uncounted"] or f["unrecorded"] for r in rows for f in r["frames"].values()
            ),
        },
    }


def text(figures: dict[str, Any]) -> str:
    """Format the table for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    width, height = figures["size"]
    head = [
        "frames a second",
        "camera",
        "delivered",
        "captured",
        "skipped",
        "decided",
        "replaced",
        "left",
        "uncounted",
    ]
    keys = ("delivered", "captured", "skipped", "processed", "replaced", "left_at_end", "uncounted")
    frames = [
        [f"{run['rate_hz']:g}", name, *(str(found[key]) for key in keys)]
        for run in figures["runs"]
        for name, found in run["frames"].items()
    ]
    cores = figures["machine"]["cores_usable"]
    lines = [
        f"# Two emulated Basler cameras, {width}x{height}",
        f"{machine_line(figures)}; {figures['runs'][0]['seconds']:g} s each. Delivered is what the camera's "
        "own counter says; skipped is what its library passed over because its reader was late, or failed; "
        "replaced is what came while the loop was busy. The emulated cameras give no time of exposure.",
        markdown_table(head, frames),
        "Arrival to decision, ms, and processor cores in use:",
        run_table(figures["runs"], cores),
    ]
    for run in figures["runs"]:
        lines += explained(run)
    lines.append("; ".join(f"{name.replace('_', ' ')}: {held}" for name, held in figures["held"].items()))
    return "\n\n".join(lines)


def run_table(runs: list[dict[str, Any]], cores: int) -> str:
    """Format latencies and processor time.

    Parameters
    ----------
    runs
        Figures of runs.
    cores
        Cores that can be used.

    Returns
    -------
    str
        Markdown.
    """
    head = [
        "frames a second",
        "n",
        "P50",
        "P90",
        "P99",
        "P99.9",
        "max",
        f"whole, of {cores}",
        "loop",
        "emulator alone",
    ]
    rows = []
    for run in runs:
        found = run["arrival_to_decision_ms"] or {}
        times = [
            "-" if found.get(k) is None else f"{found[k]:.2f}" for k in ("p50", "p90", "p99", "p99_9", "max")
        ]
        used = run["cores_in_use"]
        rows.append(
            [
                f"{run['rate_hz']:g}",
                str(found.get("n", 0)),
                *times,
                f"{used['whole']:.2f}",
                f"{used.get('rt-pose-loop', 0.0):.2f}",
                f"{run['emulator_alone']['cores_in_use']:.2f}",
            ]
        )
    return markdown_table(head, rows)


def explained(run: dict[str, Any]) -> list[str]:
    """Format what became of lost frames, and what engine and machine did.

    Parameters
    ----------
    run
        Figures of a run.

    Returns
    -------
    list[str]
        Paragraphs.
    """
    others = f"{run['engine']}. {format_disturbance(run['others'])}"
    if not run["lost_by_reason"]:
        return [others, f"At {run['rate_hz']:g} frames a second nothing was lost."]
    counted = "; ".join(f"{n} x {kind}" for kind, n in run["lost_by_reason"].items())
    first = "\n".join(f"- {line}" for line in run["explained"])
    return [others, f"Lost at {run['rate_hz']:g} frames a second: {counted}. The first of them:", first]


def _share_replaced(run: dict[str, Any]) -> float:
    frames = run["frames"].values()
    return float(sum(f["replaced"] for f in frames) / max(1, sum(f["captured"] for f in frames)))
