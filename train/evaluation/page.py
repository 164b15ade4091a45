"""The page of an evaluation: one HTML file, nothing to load, in the look of the session's report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from rt_pose.reports.style import STYLE
from rt_pose.reports.svg import Plot, bars
from rt_pose.types import FloatArray
from train.evaluation.pictures import Picture

NAMES = {
    "temporal_norm": "Temporal norm",
    "pca_singleview_error": "Pose-PCA error",
    "pca_multiview_error": "Multi-view error",
}
NOT_MEASURED = "not measured"
MOVES = {"noise": "one grey level of noise"}


def page(
    figures: dict[str, Any], pictures: dict[str, list[Picture]], curves: dict[str, dict[str, FloatArray]]
) -> str:
    """The page's text. `curves`: each video's metrics, (T, K) px by name."""
    first = next(iter(figures["labels"]))
    found = figures["labels"][first]
    sections = [
        _head(figures, first),
        _section("Pixel error", _pixel_errors(figures["labels"])),
        _section("The worst labeled frames", gallery(pictures["labels"], "the label")),
        _section("Is the confidence honest?", _confidence(found, first)),
        _section("Is the covariance honest?", _covariance(figures["labels"])),
        _section("Jitter", _jitter(figures)),
        *(_section(f"Video {name}", _video(figures, name, pictures, curves)) for name in figures["videos"]),
    ]
    title = f"Evaluation on {figures['data']['folder']}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        + "".join(sections)
        + "</main></body></html>\n"
    )


def _head(figures: dict[str, Any], first: str) -> str:
    data, found = figures["data"], figures["labels"][first]
    spaces = [
        f"{NAMES[name]}: {s['components']} components from {s['poses']} rows of labels"
        for name, s in figures["spaces"].items()
    ]
    notes = [
        f"package {figures['model']['sha256'][:12]}",
        figures["engine"],
        f"split {data['split']}",
        *spaces,
    ]
    return (
        f"<h1>Evaluation on {escape(data['folder'])}</h1>"
        f'<p class="soft">{escape(" · ".join(notes))}</p>'
        f'<div class="tiles">{"".join(_tiles(figures, found, first))}</div>'
    )


def _tiles(figures: dict[str, Any], found: dict[str, Any], first: str) -> Iterable[str]:
    error = found["pixel_error"]
    if error["n"]:
        tail = f"mean {error['mean_px']:.2f} · P90 {error['p90_px']:.2f} · n {error['n']}"
        yield _tile(f"{error['median_px']:.2f} px", f"median error, {first}", tail)
        limit, share = list(error["pck"].items())[-2:][0]
        yield _tile(f"{share:.0%}", f"within {limit} px of the label", f"{found['frames']} frames")
    noise = found["jitter"]["noise"]
    yield _tile(f"{noise['median_px']:.2f} px", MOVES["noise"], f"P95 {noise['p95_px']:.2f} · n {noise['n']}")
    yield _tile(f"{found['confidence']['error']:.2f}", "calibration error", "of the confidence")
    for name, video in figures["videos"].items():
        steps = video["temporal_norm"]["all"]
        if steps["n"]:
            yield _tile(f"{steps['p99_9_px']:.1f} px", "temporal norm P99.9", f"{name} · n {steps['n']:,}")


def _pixel_errors(labels: dict[str, Any]) -> str:
    parts = []
    for name, found in labels.items():
        error = found["pixel_error"]
        if not error["n"]:
            continue
        limits = list(error["pck"])
        rows = [_error_row("all", error)]
        rows += [_error_row(k, own) for k, own in error["per_keypoint"].items()]
        head = ["keypoint", "n", "median", "mean", "P90 (px)", *(f"≤ {limit} px" for limit in limits)]
        drawn = bars(
            [
                (k, own["median_px"], own["p90_px"], f"{own['median_px']:.1f} (P90 {own['p90_px']:.1f})")
                for k, own in error["per_keypoint"].items()
                if own["n"] and np.isfinite(own["p90_px"])
            ],
            "px",
            "blue" if name == "validation" else "grey",
        )
        parts.append(f"<h3>{escape(name)}: {found['frames']} frames</h3>{drawn}{_table(head, rows)}")
    return _soft("Distance to the label, frame px. Bar: median; thin line: P90.") + "".join(parts)


def _error_row(name: str, own: dict[str, Any]) -> list[str]:
    if not own["n"]:
        return [name, "0", NOT_MEASURED]
    shares = [f"{share:.0%}" for share in own["pck"].values()]
    figures = [f"{own[key]:.2f}" for key in ("median_px", "mean_px", "p90_px")]
    return [name, str(own["n"]), *figures, *shares]


def _confidence(found: dict[str, Any], first: str) -> str:
    curve = found["confidence"]
    plot = Plot((0, 1), (0, 1), "confidence", f"share within {curve['right_px']:g} px", width=460, height=300)
    plot.line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "grey")
    plot.line(np.array(curve["claimed"]), np.array(curve["found"]), "blue", 2.4)
    rows = [
        [f"{claimed:.2f}", f"{share:.0%}", str(n)]
        for claimed, share, n in zip(curve["claimed"], curve["found"], curve["n"], strict=True)
    ]
    head = ["confidence", f"within {curve['right_px']:g} px", "n"]
    text = (
        f"Keypoints of {first} frames in bins of confidence. On the grey line the confidence is the share of "
        f"keypoints within {curve['right_px']:g} px of their labels; mean distance {curve['error']:.3f}, "
        f"mean excess of confidence {curve['bias']:+.3f}."
    )
    return (
        f'{_soft(text)}<div class="two"><figure>{plot.render("Calibration of the confidence")}</figure>'
        f"{_table(head, rows)}</div>"
    )


def _covariance(labels: dict[str, Any]) -> str:
    rows, levels = [], ["0.5", "0.8", "0.9", "0.95"]
    for name, found in labels.items():
        for whose, own in found["covariance"].items():
            if own["n"]:
                held = [f"{own['held'][level]:.0%}" for level in levels]
                rows.append(
                    [
                        f"{name}, {whose}'s",
                        str(own["n"]),
                        *held,
                        f"{own['median_sigma_px']:.2f} px",
                        f"{own['factor']:.2f}",
                    ]
                )
    head = ["covariance", "n", *(f"{float(level):.0%}" for level in levels), "σ (median)", "factor"]
    return (
        _soft(
            "Share of labels within the ellipse that should hold 50, 80, 90 and 95 % of them. network's: as "
            "decoded from the map; filter's: what the filter takes for the error (gain, floor, bias). "
            "factor: the covariance times this would hold half of the labels."
        )
        + _table(head, rows)
        + _soft("There is no such check on videos: it needs labels. Train calibrate fits it to innovations.")
    )


def _jitter(figures: dict[str, Any]) -> str:
    rows = []
    for where, group in ((f"labels, {k}", v) for k, v in figures["labels"].items()):
        rows += _jitter_rows(where, group["jitter"])
    for name, video in figures["videos"].items():
        rows += _jitter_rows(name, video["jitter"])
    text = (
        "Movement of sure keypoints when nothing has moved: Gaussian noise of one grey level added, "
        "and the same frame in another precision than float32."
    )
    return _soft(text) + _table(["frames", "under", "n", "median", "P95 (px)"], rows)


def _jitter_rows(where: str, jitter: dict[str, Any]) -> list[list[str]]:
    return [
        [
            where,
            MOVES.get(name, name),
            str(own["n"]),
            f"{own['median_px']:.3f}",
            f"{own['p95_px']:.3f}",
        ]
        for name, own in jitter.items()
    ]


def _video(
    figures: dict[str, Any],
    name: str,
    pictures: dict[str, list[Picture]],
    curves: dict[str, dict[str, FloatArray]],
) -> str:
    video = figures["videos"][name]
    rows, plots = [], []
    for metric, values in curves[name].items():
        for which in ("all", "sure"):
            rows.append([f"{NAMES[metric]}, {which}", *_spread(video[metric][which])])
        plots.append(f"<h3>{NAMES[metric]}: the worst keypoint of each frame</h3>{_over_time(values)}")
    head = ["metric", "n", "median", "mean", "P90", "P99", "P99.9", "max (px)"]
    seen = f"{video['seen_share']:.1%} of keypoints seen"
    text = f"{video['frames']:,} frames at {video['rate_hz']:g} a second; {seen}."
    return (
        _soft(text)
        + _table(head, rows)
        + "".join(plots)
        + "<h3>The largest steps</h3>"
        + gallery(pictures[name], "a frame before")
    )


def _spread(own: dict[str, Any]) -> list[str]:
    if not own["n"]:
        return ["0", NOT_MEASURED]
    keys = ("median_px", "mean_px", "p90_px", "p99_px", "p99_9_px", "max_px")
    return [f"{own['n']:,}", *(f"{own[key]:.2f}" for key in keys)]


def _over_time(values: FloatArray) -> str:
    known = np.isfinite(values)
    worst = np.where(known.any(axis=1), np.where(known, values, -np.inf).max(axis=1), np.nan)
    top = float(np.nanmax(worst)) if np.isfinite(worst).any() else 1.0
    plot = Plot((0, max(len(values) - 1, 1)), (0, top), "frame", "px")
    plot.line(np.arange(len(values), dtype=np.float64), worst, "blue")
    return plot.render("over time")


def gallery(pictures: Sequence[Picture], other: str) -> str:
    """Crops side by side, with what was found and, under the name `other`, what it is compared with."""
    if not pictures:
        return _soft("None.")
    note = f"Orange cross: what was found. Green ring: {other}."
    figures = "".join(
        f"<figure>{_picture_html(picture)}<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    columns = "grid-template-columns: repeat(auto-fill, minmax(220px, 1fr))"
    return f'{_soft(note)}<div class="strip" style="{columns}">{figures}</div>'


def _picture_html(picture: Picture) -> str:
    width, height = picture.size
    x, y = picture.found
    marks = (
        f'<path d="M{x - 4:.1f} {y:.1f}h8M{x:.1f} {y - 4:.1f}v8" stroke="var(--orange)" stroke-width="1.2"/>'
    )
    if picture.other is not None:
        ox, oy = picture.other
        marks += (
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{ox:.1f}" y2="{oy:.1f}" stroke="var(--orange)" '
            f'stroke-width="0.6"/><circle cx="{ox:.1f}" cy="{oy:.1f}" r="4" fill="none" '
            'stroke="var(--green)" stroke-width="1.2"/>'
        )
    # Pixel centres lie at integers, so the picture begins half a pixel before.
    return (
        f'<svg class="frame" viewBox="-0.5 -0.5 {width} {height}"><image x="-0.5" y="-0.5" width="{width}" '
        f'height="{height}" href="{picture.uri}"/>{marks}</svg>'
    )


def _tile(value: str, name: str, tail: str) -> str:
    spans = f"<span>{escape(name)}</span><span>{escape(tail)}</span>"
    return f'<div class="tile"><b>{escape(value)}</b>{spans}</div>'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells}</tr>{body}</table></div>'
