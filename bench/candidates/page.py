"""The comparison of ways of choosing, as Markdown."""

from __future__ import annotations

from typing import Any

from bench.candidates.score import CONFIDENT, FAR_PX
from bench.output import machine_line, markdown_table


def table(figures: dict[str, Any]) -> str:
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
    times = figures["time_us"]
    parts = [
        f"# Candidates against the highest peak\n\n{machine_line(figures)}; package "
        f"{figures['package'][:12]}. "
        f"Far: more than {FAR_PX:g} px. Confident: {CONFIDENT:g} or more. "
        f"{figures['candidates']:.2f} candidates a keypoint. Time, us, P50 and P99: "
        + ", ".join(f"{name} {t['p50']:.0f} and {t['p99']:.0f}" for name, t in times.items())
        + f". Weights: {', '.join(f'{name} {value:g}' for name, value in figures['spec'].items())}. "
        f"Spaces: {', '.join(figures['subspaces']) or 'none'}.",
        f"## What cannot be, in {figures['video_frames']} frames without labels",
        markdown_table(
            ["way", "steps, side", "steps, below", "views apart"],
            [[name, *(_share(v) for v in row.values())] for name, row in figures["video"].items()],
        ),
        f"## Labels of {figures['labeled_frames']} frames kept back",
        _comparison(figures["labels"]),
    ]
    if "other" in figures:
        other = figures["other"]
        parts += [
            f"## {other['frames']} frames of another session\n\nTo the median of several networks; in "
            f"{_share(other['left_out'])} of the points they do not agree, these are left out.",
            _comparison(other["ways"]),
        ]
    return "\n\n".join(parts)


def _comparison(ways: dict[str, Any]) -> str:
    head = ["way", "n", "far", "side", "below", "of far on another", "confident", "of these far"]
    head += ["P50 px", "P90", "P99", "calibration error"]
    rows = []
    for name, way in ways.items():
        every = way["all"]
        rows.append(
            [
                name,
                str(every["n"]),
                *(_share(way[part]["far"]) for part in ("all", "side", "below")),
                _share(every["on_another"]),
                str(every["n_confident"]),
                _share(every["far_confident"]),
                *(f"{every[p]:.2f}" for p in ("p50_px", "p90_px", "p99_px")),
                f"{way['reliability']['expected_calibration_error']:.3f}",
            ]
        )
    return markdown_table(head, rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
