"""The page of an evaluation: one HTML file, nothing to load, in the look of the session's report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from markupsafe import Markup

from rt_pose.reports.render import render
from rt_pose.reports.svg import Plot, bars
from rt_pose.types import FloatArray
from train.evaluation.labeled import VALIDATION
from train.evaluation.pictures import Picture

NAMES = {
    "temporal_norm": "Temporal norm",
    "pca_singleview_error": "Pose-PCA error",
    "pca_multiview_error": "Multi-view error",
}
MOVES = {"noise": "one grey level of noise"}


def page(
    figures: dict[str, Any], pictures: dict[str, list[Picture]], curves: dict[str, dict[str, FloatArray]]
) -> str:
    """Render the page of an evaluation.

    Parameters
    ----------
    figures
        The content of its JSON.
    pictures
        By set of labels, its worst frames.
    curves
        By video, its metrics by name: (T, K) px.

    Returns
    -------
    str
        HTML.
    """
    labels, videos = figures["labels"], figures["videos"]
    first = next(iter(labels))
    errors = {name: found["pixel_error"] for name, found in labels.items()}
    within = next((error["pck"] for error in errors.values() if error["n"]), ())
    return render(
        "evaluation.html",
        "train.evaluation",
        title=f"Evaluation on {figures['data']['folder']}",
        about=_about(figures),
        labels=labels,
        videos=videos,
        first=first,
        found=labels[first],
        error_bars={name: _error_bars(name, error) for name, error in errors.items()},
        calibration=_calibration(labels[first]["confidence"]),
        errors={name: _error_rows(error) for name, error in errors.items()},
        limits=[(f"≤ {limit} px", limit, ".0%") for limit in within],
        covariances=[
            (f"{name}, {whose}'s", own | own["held"])
            for name, found in labels.items()
            for whose, own in found["covariance"].items()
            if own["n"]
        ],
        package_covariance=figures["model"]["covariance"],
        jitter=[
            (f"{where}: {MOVES.get(under, under)}", own)
            for where, group in [*((f"labels, {k}", v) for k, v in labels.items()), *videos.items()]
            for under, own in group["jitter"].items()
        ],
        metrics={name: _metric_rows(video, curves[name]) for name, video in videos.items()},
        curves={name: _metric_plots(own) for name, own in curves.items()},
        pictures=pictures,
        noise=MOVES["noise"],
    )


def _about(figures: dict[str, Any]) -> list[str]:
    spaces = [
        f"{NAMES[name]}: {s['components']} components from {s['poses']} rows of labels"
        for name, s in figures["spaces"].items()
    ]
    package = f"package {figures['model']['sha256'][:12]}"
    return [package, figures["engine"], f"split {figures['data']['split']}", *spaces]


def _error_rows(error: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Of all and of each keypoint, with the share within each limit beside the other figures."""
    rows = {"all": error, **error.get("per_keypoint", {})}
    return [(name, own | own.get("pck", {})) for name, own in rows.items()]


def _error_bars(name: str, error: dict[str, Any]) -> Markup:
    rows = [
        (k, own["median_px"], own["p90_px"], f"{own['median_px']:.1f} (P90 {own['p90_px']:.1f})")
        for k, own in error.get("per_keypoint", {}).items()
        if own["n"] and np.isfinite(own["p90_px"])
    ]
    return bars(rows, "px", "blue" if name == VALIDATION else "grey")


def _calibration(curve: dict[str, Any]) -> Markup:
    plot = Plot((0, 1), (0, 1), "confidence", f"share within {curve['right_px']:g} px", width=460, height=300)
    plot.line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "grey")
    plot.line(np.array(curve["claimed"]), np.array(curve["found"]), "blue", 2.4)
    return plot.render("Calibration of the confidence")


def _metric_rows(video: dict[str, Any], metrics: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{NAMES[key]}, {which}", video[key][which]) for key in metrics for which in ("all", "sure")]


def _metric_plots(curves: dict[str, FloatArray]) -> dict[str, Markup]:
    return {NAMES[key]: _over_time(values) for key, values in curves.items()}


def _over_time(values: FloatArray) -> Markup:
    """The worst keypoint of each frame."""
    known = np.isfinite(values)
    worst = np.where(known.any(axis=1), np.where(known, values, -np.inf).max(axis=1), np.nan)
    top = float(np.nanmax(worst)) if np.isfinite(worst).any() else 1.0
    plot = Plot((0, max(len(values) - 1, 1)), (0, top), "frame", "px")
    plot.line(np.arange(len(values), dtype=np.float64), worst, "blue")
    return plot.render("over time")
