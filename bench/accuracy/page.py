"""The accuracy grid as one page, and its plot as a picture that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from bench.accuracy.cells import LEARNERS
from bench.accuracy.compare import HEADLINES, PIXEL, SUPERVISED, TITLES
from bench.accuracy.tables import NAMES, Table, tables
from rt_pose.reports.style import STYLE
from rt_pose.reports.svg import Plot, colour

COLOURS = {
    SUPERVISED: "orange",
    "temporal": "#8a63d2",
    "pose_pca": "#c2569b",
    "multiview_pca": "#3aa6a6",
    "all": "blue",
    "ensemble": "green",
    "distilled": "red",
    "distilled_all": "#a87f2a",
}
PICTURE_ROWS = (SUPERVISED, "all", "ensemble", "distilled")
PICTURE = ("error_mean", "temporal_p99_9", "mirror_mean", "jitter_median")
WIDTH, HEIGHT, KEY = 360, 230, 28


def page(result: dict[str, Any]) -> str:
    """The page's text."""
    drawn = [(key, plot(result["rows"], key, tuple(NAMES))) for key in (*PIXEL, *HEADLINES)]
    figures = "".join(f"<figure><h3>{escape(TITLES[key])}</h3>{svg}</figure>" for key, svg in drawn if svg)
    sections = "".join(map(_section, tables(result)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Accuracy</title><style>{STYLE}</style></head><body><main><h1>Accuracy from few labels</h1>"
        + "".join(f"<p>{escape(line)}</p>" for line in facts(result))
        + f'<div class="key">{_key()}</div><div class="two">{figures}</div>{sections}</main></body></html>\n'
    )


def facts(result: dict[str, Any]) -> list[str]:
    """What was measured, on what, in sentences."""
    grid, on, machine = result["grid"], result["yardstick"], result["machine"]
    learned = any(row["row"] in LEARNERS for row in result["rows"])
    return [
        f"{result['date']}. {grid['network']}, {grid['steps']} steps of {grid['batch_size']} labeled frames"
        f" and a clip of {grid['clip_length']}; {result['dataset']}: {on['labels']} labeled frames in "
        f"{grid['folds_of']} folds, fewer labels nested in more; no checkpoint is chosen by held-out frames.",
        f"Unlabeled training video: the first half of {grid['video']}; figures of the video: its second "
        f"half, {on['frames']} frames, {on['seen_keypoints']} of {on['keypoints']} keypoints seen in half of "
        f"it or more. Spaces fitted to all labels: poses of {on['pose_keypoints']} keypoints, "
        f"{on['pose_components']} components; {on['views']} mirrored parts, {on['view_components']} "
        "components.",
        f"Steps are compared with {on['reference']}."
        + (
            " A distilled network learns from what the ensemble's members are confident of; of their errors "
            "on held-out frames it knows the median, from which that is derived."
            if learned
            else ""
        ),
        f"{machine['cpu']}, {machine['cores_usable']} cores, no GPU.",
    ]


def markdown(result: dict[str, Any]) -> str:
    """The tables as a document."""
    parts = ["# Accuracy from few labels\n", *(f"{line}\n" for line in facts(result))]
    return "\n".join([*parts, *(table.markdown() for table in tables(result))])


def plot(rows: Sequence[dict[str, Any]], key: str, shown: Sequence[str]) -> str:
    """A figure by number of labels, a line a row, with intervals; nothing where there is none."""
    there = [row for row in rows if row["row"] in shown and key in row["figures"]]
    if not there:
        return ""
    numbers = sorted({row["labels"] for row in there})
    found = [row["figures"][key] for row in there]
    top = max(max(f["value"], f["high"]) for f in found)
    margin = 0.12 * (numbers[-1] - numbers[0] or 1)
    drawn = Plot(
        (numbers[0] - margin, numbers[-1] + margin), (0.0, 1.05 * top), "labels", "px", WIDTH, HEIGHT
    )
    for i, row in enumerate(dict.fromkeys(row["row"] for row in there)):
        own = {row_["labels"]: row_["figures"][key] for row_ in there if row_["row"] == row}
        aside = (i - 1) * 0.1 * margin
        x = np.array(sorted(own)) + aside
        drawn.line(x, np.array([own[n]["value"] for n in sorted(own)]), COLOURS[row], 2.2)
        for at, n in zip(x, sorted(own), strict=True):
            ends = np.array([own[n]["low"], own[n]["high"]])
            drawn.line(np.array([at, at]), ends, COLOURS[row], 1.2)
            dot = np.array([at - 0.06 * margin, at + 0.06 * margin])
            drawn.line(dot, np.full(2, own[n]["value"]), COLOURS[row], 6.0)
    return drawn.render(f"{TITLES[key]} by number of labels")


def picture(result: dict[str, Any]) -> str:
    """An SVG file: supervised against semi-supervised by number of labels."""
    there = [key for key in PICTURE if plot(result["rows"], key, PICTURE_ROWS)]
    width, height = 2 * WIDTH, KEY + (HEIGHT + 22) * -(-len(there) // 2)
    parts = []
    for i, key in enumerate(there):
        x, y = WIDTH * (i % 2), KEY + (HEIGHT + 22) * (i // 2)
        inside = _inside(plot(result["rows"], key, PICTURE_ROWS))
        parts.append(
            f'<text x="{x + 52}" y="{y + 14}" class="head">{escape(TITLES[key])}</text>'
            f'<g transform="translate({x} {y + 18})">{inside}</g>'
        )
    shown = [row for row in PICTURE_ROWS if any(own["row"] == row for own in result["rows"])]
    for i, row in enumerate(shown):
        parts.append(
            f'<rect x="{52 + 160 * i}" y="9" width="14" height="4" fill="{colour(COLOURS[row])}"/>'
            f'<text x="{72 + 160 * i}" y="15" class="head">{escape(NAMES[row])}</text>'
        )
    style = "svg.plot text { font-family: sans-serif; } svg.plot text.head { fill: var(--ink); }"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" {size}><style>{STYLE}{style}</style>'
        f'<rect width="100%" height="100%" fill="var(--bg)"/>{"".join(parts)}</svg>\n'
    )


def _inside(svg: str) -> str:
    """What an SVG element holds: some readers draw no SVG within another."""
    return svg[svg.index(">") + 1 : svg.rindex("</svg>")]


def _key() -> str:
    return "".join(
        f'<span><i style="background:{colour(COLOURS[row])}"></i>{escape(name)}</span>'
        for row, name in NAMES.items()
    )


def _section(table: Table) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in table.heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(c.replace('**', ''))}</td>" for c in row) + "</tr>"
        for row in table.rows
    )
    kind = ' class="text"' if len(table.heads) < 4 else ""
    return (
        f'<section><h2>{escape(table.title)}</h2><p class="soft">{escape(table.note)}</p>'
        f'<div class="scroll"><table{kind}><tr>{head}</tr>{body}</table></div></section>'
    )
