"""One emulated Basler camera for half an hour: does memory grow, does latency, what is lost?"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.cameras.emulated import LOOP, EmulatedRun, Usage, run_emulated
from bench.cameras.two import explained, run_table
from bench.output import conditions, machine_line, markdown_table
from bench.program import say
from bench.soak import latencies
from rt_pose.clock import NS_PER_S

RATE_HZ, SECONDS = 60.0, 1800.0
WARM_UP_SHARE = 0.1
"""Share of the run after which memory must no longer grow."""
SAMPLES = 60
"""Of the memory, kept in the result."""
MOST_LOST = 0.0005


def measure(plan: EmulatedRun, rate_hz: float | None, seconds: float | None) -> dict[str, Any]:
    """Measure the run.

    Parameters
    ----------
    plan
        Model, frame size, precision.
    rate_hz
        Frames a second; None for 60.
    seconds
        Length, s; None for half an hour.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    rate, length = rate_hz or RATE_HZ, seconds or SECONDS
    say(f"one camera at {rate:g} frames a second for {length:g} s ...")
    measured = run_emulated(plan, 1, rate, length)
    (frames,) = measured.figures["frames"].values()
    lost = frames["skipped"] + frames["replaced"]
    memory = memory_of(measured.usage)
    return {
        "bench": "cameras long",
        **conditions(),
        "model": plan.model,
        "size": list(plan.size),
        "run": measured.figures,
        "ends": latencies(measured.session),
        "memory": memory,
        "lost_share": round(lost / max(1, frames["delivered"]), 6),
        "held": {
            "few_lost": lost <= MOST_LOST * frames["delivered"],
            "none_uncounted": not (frames["uncounted"] or frames["unrecorded"]),
        },
    }


def memory_of(usage: Usage) -> dict[str, Any]:
    """Describe the memory of each process over the run.

    Parameters
    ----------
    usage
        What was noted.

    Returns
    -------
    dict[str, Any]
        By process: MiB after the warm-up and at the end, the greatest, the slope (MiB an hour) from then on,
        and samples with their times (s).
    """
    at_s = (np.array(usage.t_ns) - usage.t_ns[0]) / NS_PER_S
    found = {}
    for name in usage.memory_mib[-1]:
        mib = np.array([sample.get(name, np.nan) for sample in usage.memory_mib])
        warm = (at_s >= WARM_UP_SHARE * at_s[-1]) & np.isfinite(mib)
        slope = np.polyfit(at_s[warm], mib[warm], 1)[0] if warm.sum() > 2 else np.nan
        kept = np.unique(np.linspace(0, len(mib) - 1, SAMPLES).round().astype(int))
        found[name] = {
            "warm_mib": round(float(mib[warm][0]), 2),
            "end_mib": round(float(mib[warm][-1]), 2),
            "greatest_mib": round(float(np.nanmax(mib)), 2),
            "slope_mib_per_hour": round(float(slope) * 3600, 2),
            "samples": [
                [round(float(at_s[i]), 1), round(float(mib[i]), 2)] for i in kept if np.isfinite(mib[i])
            ],
        }
    return found


def text(figures: dict[str, Any]) -> str:
    """Format the figures for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    run, ends_found = figures["run"], figures["ends"]
    width, height = figures["size"]
    (frames,) = run["frames"].values()
    minutes = ends_found["window_s"] / 60
    latency = [
        [
            f"{which} {minutes:g} minutes",
            *(_shown(ends_found[which], k) for k in ("n", "p50", "p99", "p99_9", "max")),
        ]
        for which in ("first", "last")
    ]
    memory = [
        [name, *(f"{found[k]:.1f}" for k in ("warm_mib", "end_mib", "greatest_mib", "slope_mib_per_hour"))]
        for name, found in figures["memory"].items()
    ]
    lines = [
        f"# An emulated Basler camera, {width}x{height}, {run['rate_hz']:g} frames a second, "
        f"{run['seconds']:g} s",
        f"{machine_line(figures)}. Delivered {frames['delivered']}, decided on {frames['processed']}, "
        f"replaced {frames['replaced']}, skipped by the library {frames['skipped']}, uncounted "
        f"{frames['uncounted']}: {figures['lost_share']:.4%} lost.",
        "Arrival to decision, ms:",
        markdown_table(["", "n", "P50", "P99", "P99.9", "max"], latency),
        f"P99 of the last by that of the first: {ends_found['p99_ratio']}.",
        "Memory that belongs to a process alone, MiB:",
        markdown_table(["process", "after a tenth", "end", "greatest", "slope an hour"], memory),
        memory_figure(figures["memory"][LOOP]["samples"]),
        "The whole run, ms and processor cores in use:",
        run_table([run], figures["machine"]["cores_usable"]),
        *explained(run),
        "; ".join(f"{name.replace('_', ' ')}: {held}" for name, held in figures["held"].items()),
    ]
    return "\n\n".join(lines)


def memory_figure(samples: list[list[float]], height: int = 8) -> str:
    """Draw the loop's memory over the run with characters.

    Parameters
    ----------
    samples
        Time (s) and memory (MiB), each.
    height
        Lines of the picture.

    Returns
    -------
    str
        A block of Markdown; its axis begins at 0.
    """
    most = max(mib for _, mib in samples)
    rows = []
    for level in range(height, 0, -1):
        label = f"{most * level / height:7.1f} MiB |"
        rows.append(
            label + "".join("#" if mib >= most * (level - 0.5) / height else " " for _, mib in samples)
        )
    rows.append(f"{'0':>7}     +{'-' * len(samples)} {samples[-1][0]:.0f} s")
    return "```\n" + "\n".join(rows) + "\n```"


def _shown(found: dict[str, Any] | None, key: str) -> str:
    if not found or found.get(key) is None:
        return "-"
    return str(found[key]) if key == "n" else f"{found[key]:.2f}"
