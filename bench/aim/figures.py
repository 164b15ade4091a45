"""Figures of aimed light: a row for each rule, and the table of all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.aim.shots import Tally
from bench.output import machine_line, markdown_table

Z_95 = 1.959964


def row(radius_px: float, gate: float, tally: Tally) -> dict[str, Any]:
    """Sum up one rule.

    Parameters
    ----------
    radius_px
        Of the spot.
    gate
        p of the ellipse.
    tally
        What became of its tries.

    Returns
    -------
    dict[str, Any]
        Counts, the share of shots that hit with its interval (Wilson, 95 %), and that share by seed.
    """
    shots = [hit for hits in tally.by_seed.values() for hit in hits]
    low, high = wilson(sum(shots), len(shots))
    return {
        "radius_px": radius_px,
        "gate": gate,
        "tries": tally.tries,
        "held_back": tally.held_back,
        "lost": tally.lost,
        "shots": len(shots),
        "hits": sum(shots),
        "share": sum(shots) / len(shots) if shots else None,
        "low": low,
        "high": high,
        "median_px": float(np.median(tally.apart_px)) if shots else None,
        "p99_px": float(np.percentile(tally.apart_px, 99)) if shots else None,
        "share_by_seed": {seed: round(sum(hits) / len(hits), 4) for seed, hits in tally.by_seed.items()},
    }


def wilson(hits: int, n: int) -> tuple[float | None, float | None]:
    """Compute Wilson's 95 % interval of a share.

    Parameters
    ----------
    hits, n
        How many of how many.

    Returns
    -------
    tuple[float | None, float | None]
        Its ends; None where there is nothing to tell from.
    """
    if n == 0:
        return None, None
    share, z2 = hits / n, Z_95 * Z_95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def table(figures: dict[str, Any]) -> str:
    """Format the figures for people.

    Parameters
    ----------
    figures
        What the program measured.

    Returns
    -------
    str
        Markdown.
    """
    head = ["spot, px", "gate", "tries", "held back", "lost", "shots", "hits", "share of hits", "95 %"]
    head += ["by seed", "median, px", "P99, px"]
    rows = [_cells(one) for one in figures["rows"]]
    seeds = figures["seeds"]
    return "\n\n".join(
        [
            f"Aimed light on the simulated rig: {len(seeds)} animals (seeds {seeds[0]} to {seeds[-1]}), "
            f"{figures['seconds']:g} s each at {figures['rate_hz']:g} frames a second; keypoints: "
            f"{figures['keypoints']}; light {figures['ahead_ms'][0]:g} to "
            f"{figures['ahead_ms'][1]:g} ms after the exposure; {machine_line(figures)}. A hit: "
            "the light is within the spot's radius of the true nose at the time of effect. Mirrors "
            f"calibrated from spots, largest residual {figures['calibration_residual_px']:.2f} px. Shots of "
            "one animal are not independent: compare the shares by seed with the interval.",
            markdown_table(head, rows),
        ]
    )


def _cells(one: dict[str, Any]) -> list[str]:
    gate = "always" if one["gate"] == 0.0 else f"{100 * one['gate']:g} %"
    counts = [str(one[key]) for key in ("tries", "held_back", "lost", "shots", "hits")]
    if not one["shots"]:
        return [f"{one['radius_px']:g}", gate, *counts, *["-"] * 5]
    shares = one["share_by_seed"].values()
    return [
        f"{one['radius_px']:g}",
        gate,
        *counts,
        f"{100 * one['share']:.1f} %",
        f"{100 * one['low']:.1f} to {100 * one['high']:.1f}",
        f"{100 * min(shares):.0f} to {100 * max(shares):.0f}",
        f"{one['median_px']:.2f}",
        f"{one['p99_px']:.2f}",
    ]
