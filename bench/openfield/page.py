"""The text and the page of `bench.openfield`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from bench.output import machine_line, markdown_table
from rt_pose.reports.style import STYLE
from rt_pose.reports.svg import Plot
from train.evaluation.page import gallery
from train.evaluation.pictures import Picture

Table = tuple[str, list[str], list[list[str]], str]
"""Title, heads, rows, and what to know of it."""
COLOURS = ("grey", "orange", "green", "red")
"""Of the networks beside ours, which is blue."""


def tables(r: dict[str, Any]) -> list[Table]:
    """Everything that was measured, as tables."""
    return [_validation(r), _comparison_table(r), _keypoints(r), _likelihood(r)]


def _validation(r: dict[str, Any]) -> Table:
    v = r["validation"]
    rows = [
        [name, str(e["n"]), *(f"{e[key]:.2f}" for key in ("median_px", "mean_px", "p90_px"))]
        for name, e in {"all": v, **v["per_keypoint"]}.items()
    ]
    note = f"{v['frames']} frames kept back, split {v['split']}. {_network(r)}"
    return ("Error on labels kept back, px", ["keypoint", "n", "median", "mean", "P90"], rows, note)


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
    return (
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
    return ("Another mouse: by keypoint, px", heads, rows, note)


def _likelihood(r: dict[str, Any]) -> Table:
    rows = []
    bins = r["by_likelihood"]
    for who, name in (("ours", "ours"), ("theirs", "the four")):
        for b in bins[who]:
            figures = [f"{b[key]:.2f}" for key in ("median_px", "p90_px")]
            edges = f"{b['from']:g} - {b['to']:g}"
            rows.append([name, edges, f"{b['n']:,}", *figures, _share(b["outliers"])])
    note = "Distance to where the (other) networks agree, in bins of a network's own likelihood."
    heads = ["network", "likelihood", "n", "median", "P90", "outliers"]
    return ("Does the likelihood tell right from wrong?", heads, rows, note)


def _share(share: float) -> str:
    return f"{share:.2%}"


def text(r: dict[str, Any]) -> str:
    """For the terminal and as Markdown."""
    parts = [f"# A DeepLabCut project and another mouse\n\n{_where(r)}"]
    for title, heads, rows, note in tables(r):
        parts.append(f"## {title}\n\n{markdown_table(heads, rows)}\n\n{note}")
    return "\n\n".join(parts)


def _where(r: dict[str, Any]) -> str:
    width, height = r["video"]["size"]
    text = (
        f"{machine_line(r)}; {r['video']['frames']:,} frames of {width}x{height}, {len(r['networks'])} "
        f"DeepLabCut networks beside ours. Ours: {r['engine']}. {r['note']}"
    )
    return text.rstrip()


def page(r: dict[str, Any]) -> str:
    """For a browser."""
    sections = [
        _section("Share of keypoints within a distance of where the others agree", _within(r)),
        *(_section(title, _table(heads, rows) + _soft(note)) for title, heads, rows, note in tables(r)),
    ]
    return _document("A DeepLabCut project and another mouse", _soft(_where(r)) + "".join(sections))


def worst_page(pictures: Sequence[Picture]) -> str:
    """Where ours is furthest from the consensus."""
    return _document("The frames furthest from the consensus", gallery(pictures, "the median of the others"))


def _within(r: dict[str, Any]) -> str:
    curves = r["curves"]
    at = np.array(curves["px"])
    plot = Plot((0.0, float(at[-1])), (0.0, 1.0), "px", "share", height=300)
    key = []
    for name, colour in zip([*r["networks"], "ours"], [*COLOURS, "blue"], strict=False):
        plot.line(at, np.array(curves[name]), colour, 2.4 if name == "ours" else 1.2)
        key.append(f'<span><i style="background: var(--{colour})"></i>{escape(name)}</span>')
    return f'{plot.render("share within a distance")}<p class="key">{"".join(key)}</p>'


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table><tr>{head}</tr>{body}</table></div>"


def _soft(note: str) -> str:
    return f"<p class='soft'>{escape(note)}</p>"
