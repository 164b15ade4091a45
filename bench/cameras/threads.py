"""Ways to arrange the network's threads while an emulated camera delivers, in turns: which has the best tail?

A run chooses at its start, on a machine that has nothing else to do. Here every way has to share the cores
with the camera, the sockets and the records of a run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.cameras.emulated import EmulatedRun, run_emulated
from bench.output import conditions, machine_line, markdown_table
from bench.program import say
from rt_pose.inference.device import physical_cores

RATE_HZ, SECONDS = 60.0, 60.0
ROUNDS = 3
AUTO = 0


def measure(plan: EmulatedRun, rate_hz: float | None, seconds: float | None) -> dict[str, Any]:
    """Measure all ways in turns, every second round backwards.

    Parameters
    ----------
    plan
        Model, frame size, precision, priority; its threads are not used.
    rate_hz
        Frames a second; None for 60.
    seconds
        Length of each run, s; None for a minute.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    rate, length = rate_hz or RATE_HZ, seconds or SECONDS
    ways = [AUTO, *range(1, physical_cores() + 1)]
    runs: dict[int, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(ROUNDS):
        for way in ways if number % 2 == 0 else ways[::-1]:
            say(f"round {number + 1} of {ROUNDS}, threads: {way or 'auto'} ...")
            runs[way].append(run_emulated(plan.with_threads(way), 1, rate, length, alone=False).figures)
    return {
        "bench": "cameras threads",
        **conditions(),
        "model": plan.model,
        "size": list(plan.size),
        "rate_hz": rate,
        "seconds": length,
        "priority": plan.priority,
        "ways": [{"threads": way, **_sum_up(found), "runs": found} for way, found in runs.items()],
    }


def _sum_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The runs of a way: what was lost of all, and medians of what each has."""
    frames = [one for run in runs for one in run["frames"].values()]
    times = [run["arrival_to_decision_ms"] for run in runs]
    quiet = [run["others"]["quiet"] for run in runs]
    lost = sum(one["skipped"] + one["replaced"] for one in frames)
    return {
        "delivered": sum(one["delivered"] for one in frames),
        "lost": lost,
        "quiet_frames": sum(one["frames"] for one in quiet),
        "quiet_lost": sum(one["lost"] for one in quiet),
        **{key: float(np.median([one[key] for one in times if one])) for key in ("p50", "p90", "p99")},
        "cores": float(np.median([run["cores_in_use"]["whole"] for run in runs])),
    }


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
    head = ["threads", "delivered", "lost", "lost while others were quiet", "P50", "P90", "P99", "cores"]
    rows = [
        [
            "auto" if way["threads"] == AUTO else str(way["threads"]),
            f"{way['delivered']:,}",
            f"{way['lost']} ({way['lost'] / max(1, way['delivered']):.3%})",
            f"{way['quiet_lost']} of {way['quiet_frames']:,}",
            *(f"{way[key]:.2f}" for key in ("p50", "p90", "p99")),
            f"{way['cores']:.2f}",
        ]
        for way in figures["ways"]
    ]
    width, height = figures["size"]
    (auto,) = (way for way in figures["ways"] if way["threads"] == AUTO)
    chosen = dict.fromkeys(run["engine"] for run in auto["runs"])
    rate = f"{figures['rate_hz']:g} frames a second"
    lines = [
        f"# Threads of the network beside an emulated camera, {width}x{height}, {rate}",
        f"{machine_line(figures)}; {len(auto['runs'])} runs of {figures['seconds']:g} s each way, in turns; "
        f"priority {figures['priority']}. Arrival to decision in ms, the median of the runs.",
        markdown_table(head, rows),
        "What `auto` chose:",
        "\n".join(f"- {engine}" for engine in chosen),
    ]
    return "\n\n".join(lines)
