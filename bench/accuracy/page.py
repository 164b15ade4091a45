"""The accuracy grid as one page, and its plot as a picture that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from bench.accuracy.cells import LEARNERS
from bench.accuracy.compare import HEADLINES, PIXEL, SUPERVISED, TITLES
from bench.accuracy.tables import NAMES, tables
from bench.tables import tables_page, tables_text
from rt_pose.reports.render import render
from rt_pose.reports.svg import Plot
from rt_pose.reports.svg_elements import colour, element, text

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
TITLE = "Accuracy from few labels"


def page(result: dict[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    result
        What `gather` returned, with date and failed cells.

    Returns
    -------
    str
        HTML.
    """
    every = ((TITLES[key], plot(result["rows"], key, tuple(NAMES))) for key in (*PIXEL, *HEADLINES))
    plots = [(name, svg) for name, svg in every if svg]
    colours = [(name, colour(COLOURS[row])) for row, name in NAMES.items()]
    return tables_page(TITLE, facts(result), tables(result), plots, colours)


def facts(result: dict[str, Any]) -> list[str]:
    """Say in sentences what was measured, and on what.

    Parameters
    ----------
    result
        What `gather` returned, with date and failed cells.

    Returns
    -------
    list[str]
        Paragraphs.
    """
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
    """Format the tables as a document.

    Parameters
    ----------
    result
        What `gather` returned, with date and failed cells.

    Returns
    -------
    str
        Markdown.
    """
    return tables_text(TITLE, facts(result), tables(result)) + "\n"


def plot(rows: Sequence[dict[str, Any]], key: str, shown: Sequence[str]) -> Markup | None:
    """Plot a figure by number of labels, a line a row, with intervals.

    Parameters
    ----------
    rows
        Rows of the table.
    key
        The figure.
    shown
        Names of the rows to show.

    Returns
    -------
    Markup or None
        SVG; None where no row has the figure.
    """
    there = [row for row in rows if row["row"] in shown and key in row["figures"]]
    if not there:
        return None
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
    """Draw supervised against semi-supervised training by number of labels.

    Parameters
    ----------
    result
        What `gather` returned.

    Returns
    -------
    str
        An SVG file.
    """
    plots = [(TITLES[key], plot(result["rows"], key, PICTURE_ROWS)) for key in PICTURE]
    there = [(name, svg) for name, svg in plots if svg]
    width, height = 2 * WIDTH, KEY + (HEIGHT + 22) * -(-len(there) // 2)
    parts = []
    for i, (name, svg) in enumerate(there):
        x, y = WIDTH * (i % 2), KEY + (HEIGHT + 22) * (i // 2)
        parts.append(text(x + 52, y + 14, name, class_="name"))
        parts.append(element("g", _inside(svg), transform=f"translate({x} {y + 18})"))
    shown = [row for row in PICTURE_ROWS if any(own["row"] == row for own in result["rows"])]
    for i, row in enumerate(shown):
        parts.append(element("rect", x=52 + 160 * i, y=9, width=14, height=4, fill=colour(COLOURS[row])))
        parts.append(text(72 + 160 * i, 15, NAMES[row], class_="name"))
    look = Markup(render("style.css") + "svg.plot text { font-family: sans-serif; }")
    ground = element("rect", width="100%", height="100%", fill="var(--bg)")
    size = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    drawn = element(
        "svg",
        element("style", look),
        ground,
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_="plot",
        **size,
    )
    return f"{drawn}\n"


def _inside(svg: Markup) -> Markup:
    """What an SVG element holds: some readers draw no SVG within another."""
    return Markup(svg[svg.index(">") + 1 : svg.rindex("</svg>")])
