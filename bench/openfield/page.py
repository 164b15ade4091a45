"""The text and the page of `bench.openfield`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from bench.output import machine_line
from bench.tables import Table, tables_page, tables_text
from rt_pose.reports.render import render
from rt_pose.reports.svg import Plot
from rt_pose.reports.svg_elements import colour
from train.evaluation.pictures import Picture

TITLE = "A DeepLabCut project and another mouse"
COLOURS = ("grey", "orange", "green", "red")
"""Colours of the networks beside ours, which is blue."""
ERRORS = [("n", "n", ","), ("median", "median_px", ".2f"), ("P90", "p90_px", ".2f")]
OUTLIERS = ("outliers", "outliers", ".2%")


def tables(r: dict[str, Any]) -> list[Table]:
    """Make all tables.

    Parameters
    ----------
    r
        The result.

    Returns
    -------
    list[Table]
        The tables.
    """
    return [_validation(r), _comparison_table(r), _keypoints(r), _likelihood(r)]


def _validation(r: dict[str, Any]) -> Table:
    v = r["validation"]
    records = (([name], own) for name, own in {"all": v, **v["per_keypoint"]}.items())
    note = f"{v['frames']} frames kept back, split {v['split']}. {_network(r)}"
    columns = [*ERRORS[:2], ("mean", "mean_px", ".2f"), ERRORS[2]]
    return Table.of_records("Error on labels kept back, px", ["keypoint"], records, columns, note)


def _network(r: dict[str, Any]) -> str:
    training, size = r["training"], f"{r['input'][0]}x{r['input'][1]}"
    settings = training.get("configuration", {})
    if not settings:
        return f"Input {size}."
    return (
        f"{settings['network']['backbone']}, input {size}, {settings['steps']} steps asked for, "
        f"{training['frames_train']} frames; kept is the best validation on these frames, of step "
        f"{training['step']}."
    )


def _comparison_table(r: dict[str, Any]) -> Table:
    rows = []
    for name, pair in r["left_out"].items():
        theirs, ours = pair["theirs"]["all"], pair["ours"]["all"]
        cells = [f"{who[key]:.2f}" for key in ("median_px", "p90_px", "p99_px") for who in (theirs, ours)]
        rows.append([name, f"{theirs['n']:,}", *cells, _share(theirs["outliers"]), _share(ours["outliers"])])
    heads = [f"{what}, {who}" for what in ("median", "P90", "P99") for who in ("it", "ours")]
    note = (
        "Each network's distance to the median of the other three, and ours to the same three, on the same "
        f"keypoints: those where the three agree to {r['agree_px']:g} px. Outliers are more than "
        f"{r['outlier_px']:g} px away. The four were trained by one program on nearly the same labels; that "
        "they agree with each other more than with another kind of network says not who is right."
    )
    heads += ["outliers, it", "outliers, ours"]
    return Table(
        "Another mouse: each network against the others, px",
        ["network left out", "n", *heads],
        rows,
        note,
    )


def _keypoints(r: dict[str, Any]) -> Table:
    rows = []
    for name, own in r["ours"].items():
        beside = [pair["theirs"][name] for pair in r["left_out"].values()]
        medians, p90s, far = ([b[key] for b in beside] for key in ("median_px", "p90_px", "outliers"))
        rows.append(
            [
                name,
                f"{own['n']:,}",
                f"{own['median_px']:.2f}",
                f"{min(medians):.2f} - {max(medians):.2f}",
                f"{own['p90_px']:.2f}",
                f"{min(p90s):.2f} - {max(p90s):.2f}",
                _share(own["outliers"]),
                f"{_share(min(far))} - {_share(max(far))}",
            ]
        )
    heads = ["keypoint", "n", "median, ours", "theirs", "P90, ours", "theirs", "outliers, ours", "theirs"]
    frames, agreed = r["outlier_frames"], r["agreed"]
    elsewhere = agreed["likelihood_median_elsewhere"]
    note = (
        "Ours against the median of all four where they agree; theirs: the least and the largest of the "
        f"four, each against the other three. They agree on {agreed['keypoints']:.1%} of all keypoints; our "
        f"likelihood there is {agreed['likelihood_median']:.2f} (median), elsewhere "
        f"{'-' if elsewhere is None else format(elsewhere, '.2f')}. Ours is the outlier with a keypoint or "
        f"more in {frames['outliers']:,} of {frames['judged']:,} frames "
        f"({frames['outliers'] / max(frames['judged'], 1):.1%})."
    )
    return Table("Another mouse: by keypoint, px", heads, rows, note)


def _likelihood(r: dict[str, Any]) -> Table:
    records = (
        ([name, f"{own['from']:g} - {own['to']:g}"], own)
        for who, name in (("ours", "ours"), ("theirs", "the four"))
        for own in r["by_likelihood"][who]
    )
    note = "Distance to where the (other) networks agree, in bins of a network's own likelihood."
    heads = ["network", "likelihood"]
    return Table.of_records("Errors by likelihood", heads, records, [*ERRORS, OUTLIERS], note)


def _share(share: float) -> str:
    return f"{share:.2%}"


def text(r: dict[str, Any]) -> str:
    """Format the result for the terminal and as Markdown.

    Parameters
    ----------
    r
        The result.

    Returns
    -------
    str
        Markdown.
    """
    return tables_text(TITLE, [_where(r)], tables(r))


def _where(r: dict[str, Any]) -> str:
    width, height = r["video"]["size"]
    text = (
        f"{machine_line(r)}; {r['video']['frames']:,} frames of {width}x{height}, {len(r['networks'])} "
        f"DeepLabCut networks beside ours. Ours: {r['engine']}. {r['note']}"
    )
    return text.rstrip()


def page(r: dict[str, Any]) -> str:
    """Format the result for a browser.

    Parameters
    ----------
    r
        The result.

    Returns
    -------
    str
        HTML.
    """
    networks = dict(zip([*r["networks"], "ours"], [*COLOURS, "blue"], strict=False))
    title = "Share of keypoints within a distance of where the others agree"
    plots = [(title, _within(r["curves"], networks))]
    colours = [(name, colour(own)) for name, own in networks.items()]
    return tables_page(TITLE, [_where(r)], tables(r), plots, colours)


def worst_page(pictures: Sequence[Picture]) -> str:
    """Show where ours is furthest from the consensus.

    Parameters
    ----------
    pictures
        The frames.

    Returns
    -------
    str
        HTML.
    """
    return render("worst.html", "bench", title="The frames furthest from the consensus", pictures=pictures)


def _within(curves: dict[str, Any], networks: dict[str, str]) -> Markup:
    at = np.array(curves["px"])
    plot = Plot((0.0, float(at[-1])), (0.0, 1.0), "px", "share", height=300)
    for name, stroke in networks.items():
        plot.line(at, np.array(curves[name]), stroke, 2.4 if name == "ours" else 1.2)
    return plot.render("share within a distance")
