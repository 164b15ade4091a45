"""Command to light to frame on the simulated rig, where the true delay is known.

    python -m bench.loopback [--rates 30 60 200] [--delays-ms 5 23.4] [--flashes N] [--out STEM]

What `rt-pose rig loopback` measures, against what the simulated light was told to take. Every frame of the
simulated camera is handed over late by the same time, which must not enter the delay to the light. The goal:
a median within 1 ms of the truth at every rate.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import rigs
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from rt_pose.clock import HostClock
from rt_pose.config.schema import CameraConfig, OutputConfig, RunConfig
from rt_pose.session.loopback import Wanted, measure

LATE_MS = 6.0
GOAL_MS = 1.0
EVERY = 3
"""Frames between two flashes at least."""


@dataclass(kw_only=True)
class Options:
    """The command line."""

    rates: Annotated[list[float] | None, "frames a second, by default 30, 60 and 200"] = None
    delays_ms: Annotated[list[float] | None, "of the light, by default 5 and 23.4"] = None
    flashes: Annotated[int, "of each pair"] = 100
    out: Out = None


def rig(rate_hz: float, delay_ms: float) -> RunConfig:
    """Make a rig of one camera that sees one light.

    Parameters
    ----------
    rate_hz
        Of the camera.
    delay_ms
        From the command to the light.

    Returns
    -------
    RunConfig
        Without a model.
    """
    camera = {
        "width": 80,
        "height": 64,
        "rate_hz": rate_hz,
        "world": "loopback",
        "led": {"xy": [10, 10], "radius_px": 3},
        "faults": {"late": 1.0, "late_ms": LATE_MS},
    }
    light = {"world": "loopback", "delay_ms": delay_ms}
    return RunConfig(
        cameras={"top": CameraConfig("simulated", camera)},
        outputs={"light": OutputConfig("simulated", light)},
    )


def measure_all(options: Options) -> dict[str, Any]:
    """Measure every rate with every delay.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    rigs.register()
    rows = [
        measure_one(rate, delay, options.flashes)
        for rate in options.rates or (30.0, 60.0, 200.0)
        for delay in options.delays_ms or (5.0, 23.4)
    ]
    held = all(abs(row["error_ms"]) <= GOAL_MS for row in rows)
    return {"bench": "loopback", **conditions(), "late_ms": LATE_MS, "rows": rows, "held": held}


def measure_one(rate_hz: float, delay_ms: float, flashes: int) -> dict[str, Any]:
    """Measure one rate with one delay.

    Parameters
    ----------
    rate_hz
        Of the camera.
    delay_ms
        From the command to the light.
    flashes
        How many.

    Returns
    -------
    dict[str, Any]
        A row of the result; times in ms.
    """
    say(f"{flashes} flashes at {rate_hz:g} frames a second, {delay_ms:g} ms late ...")
    seen = measure(rig(rate_hz, delay_ms), Wanted("top", "light", flashes=flashes, every=EVERY), HostClock())
    light = seen.flashes.to_light().summary()
    median = light["p50"]
    return {
        "rate_hz": rate_hz,
        "delay_ms": delay_ms,
        "missed": seen.flashes.missed,
        "to_light_ms": light,
        "to_arrival_ms": seen.flashes.to_arrival().summary(),
        "error_ms": round(median - delay_ms, 4),
    }


def text(figures: dict[str, Any]) -> str:
    """Format the table for people.

    Parameters
    ----------
    figures
        What `measure_all` returned.

    Returns
    -------
    str
        Markdown.
    """
    rows = [
        [
            f"{row['rate_hz']:g}",
            f"{row['delay_ms']:g}",
            f"{row['to_light_ms']['n']}",
            f"{row['missed']}",
            f"{row['to_light_ms']['p50']:.2f}",
            f"{row['error_ms']:+.2f}",
            f"{row['to_light_ms']['p99']:.2f}",
            f"{row['to_arrival_ms']['p50']:.2f}",
        ]
        for row in figures["rows"]
    ]
    head = ["frames a second", "true, ms", "n", "missed", "P50", "error", "P99", "P50 to arrival"]
    verdict = "Every median is" if figures["held"] else "Not every median is"
    return (
        f"# Command to light on the simulated rig\n\n{machine_line(figures)}; every frame is handed over "
        f"{figures['late_ms']:g} ms late.\n\n{markdown_table(head, rows)}\n\n"
        f"{verdict} within {GOAL_MS:g} ms of the truth."
    )


if __name__ == "__main__":
    sys.exit(run(Options, measure_all, text))
