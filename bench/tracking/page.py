"""The text and the page of `bench.tracking`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from bench.tables import Table, tables_page, tables_text
from rt_pose.reports.svg import Plot
from rt_pose.reports.svg_elements import colour

CURVES = {"at rest": "blue", "1 Hz, 100 px sinusoid": "orange", "500 px/s": "green"}
ENSEMBLES = [
    ("step 99.9 %", "step_99.9_second_half", ".1f"),
    ("(all frames)", "step_99.9_all", ".1f"),
    ("over 30 px", "steps_over_30_second_half", "d"),
    ("(all)", "steps_over_30_all", "d"),
    ("RMS to smoother", "rms_to_smoother", ".2f"),
    ("fastest 10 %", "rms_to_smoother_fastest_tenth", ".2f"),
    ("to median, fast and confident", "rms_to_median_fast_and_confident", ".2f"),
    ("n", "n_fast_and_confident", "d"),
    ("lag, frames", "lag_frames", ".2f"),
    ("fastest 10 %", "lag_frames_fastest_tenth", ".2f"),
]


def tables(r: dict[str, Any]) -> list[Table]:
    """Make the tables of every part that was measured.

    Parameters
    ----------
    r
        The result.

    Returns
    -------
    list[Table]
        The tables.
    """
    makers: dict[str, Callable[[dict[str, Any]], list[Table]]] = {
        "prediction_rmse_px": lambda r: [_prediction(r), _curve(r)],
        "occlusion": lambda r: [_occlusion(r)],
        "ensembles": _ensembles,
        "coverage_simulated": lambda r: [_simulated(r)],
        "coverage_labels": lambda r: [_labels(r)],
        "time_us": lambda r: [_times(r)],
        "smoother": lambda r: [_smoother(r)],
    }
    return [table for part, make in makers.items() if part in r for table in make(r)]


def text(r: dict[str, Any]) -> str:
    """Format the result for the terminal.

    Parameters
    ----------
    r
        The result.

    Returns
    -------
    str
        Markdown.
    """
    return tables_text("Tracking", [_machine(r)], tables(r))


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
    plots, colours = [], []
    if "prediction_rmse_px" in r:
        plots = [("Error 50 ms ahead by the movement allowed, 30 frames a second", _curve_plot(r))]
        colours = [(name, colour(own)) for name, own in CURVES.items()]
    return tables_page("Tracking", [_machine(r)], tables(r), plots, colours)


def _machine(r: dict[str, Any]) -> str:
    return f"{r['machine']['cpu']}, {r['machine']['cores_usable']} cores"


def _prediction(r: dict[str, Any]) -> Table:
    rows = []
    for name, by_rate in r["prediction_rmse_px"]["rows"].items():
        for rate, c in by_rate.items():
            measured = f"{c['dlc_live']:.1f}" if "dlc_live" in c else "-"
            cells = [f"{c['ours']:.2f}", measured, f"{c['dlc_live_reference']:.1f}", f"{c['no filter']:.2f}"]
            rows.append([name, rate, *cells])
    p = r["prediction_rmse_px"]["frozen"]
    return Table(
        "Prediction 50 ms ahead, RMSE px, 1 px of noise",
        ["movement", "frames/s", "ours", "DLC-Live here", "DLC-Live before", "no filter"],
        rows,
        f"One set of parameters throughout: q {p['q_px2_s3']:g} px^2/s^3, tau {p['tau_s']:g} s, noise "
        f"{p['floor_px2']:g} px^2.",
    )


def _curve(r: dict[str, Any]) -> Table:
    points = r["prediction_rmse_px"]["curve_30"]
    return Table.of_records(
        "The trade-off at 30 frames a second, RMSE px 50 ms ahead",
        ["q px^2/s^3"],
        (([f"{p['q_px2_s3']:g}"], p) for p in points),
        [(name, name, ".2f") for name in points[0] if name != "q_px2_s3"],
        "More movement allowed (q): worse at rest, better in the sinusoid. No set is best at both.",
    )


def _curve_plot(r: dict[str, Any]) -> Markup:
    points = r["prediction_rmse_px"]["curve_30"]
    x = np.log10([p["q_px2_s3"] for p in points])
    plot = Plot((float(x[0]), float(x[-1])), (0.0, 25.0), "log10 q (px^2/s^3)", "RMSE px", height=260)
    for name, stroke in CURVES.items():
        plot.line(x, np.array([p[name] for p in points]), stroke, 2.0)
    return plot.render("prediction error by the movement allowed")


def _occlusion(r: dict[str, Any]) -> Table:
    o = r["occlusion"]
    rows = [[name, f"{o['sd_px'][name]:.1f}", f"{100 * o['inside_99'][name]:.1f}"] for name in o["sd_px"]]
    return Table(
        "Hidden for a second",
        ["since the last sight", "standard deviation px", "truth inside the 99 % region, %"],
        rows,
        f"{o['trials']} trials of the model's own movement at 100 frames a second; inside while hidden: "
        f"{100 * o['inside_99_mean_while_hidden']:.1f} %; lost after a second: {o['lost_after_1s']}.",
    )


def _ensembles(r: dict[str, Any]) -> list[Table]:
    return [
        Table.of_records(
            f"{name}: five networks, fitted on the first half, scored on the second",
            ["keypoint", "filter"],
            (([k, label], found) for k, own in data["keypoints"].items() for label, found in own.items()),
            ENSEMBLES,
            f"px. Pose prior: {'; '.join(data['subspaces']) or 'none'}. Confident: mean likelihood "
            "at least 0.9 and spread of the members below 3 px. No step is clamped.",
        )
        for name, data in r["ensembles"].items()
    ]


def _simulated(r: dict[str, Any]) -> Table:
    rows = []
    for name, c in r["coverage_simulated"].items():
        consistent = f"{c['innovation_d2_mean (2 is consistent)']:.2f}"
        for when in ("filtered", "50 ms ahead"):
            rows.append([name, when, str(c["n"]), *(f"{100 * v:.1f}" for v in c[when].values()), consistent])
    return Table(
        "Coverage against simulated truth, %",
        ["noise", "", "n", "50 %", "90 %", "99 %", "innovation d2 (2)"],
        rows,
        "Parameters fitted on another half. A slow error does not show in the innovations: only told, by "
        "labels, does the region cover.",
    )


def _labels(r: dict[str, Any]) -> Table:
    c = r["coverage_labels"]
    rows = [
        [name, *(f"{100 * v:.1f}" for v in c[name].values())]
        for name in ("noise alone", "noise and bias, leave one frame out")
    ]
    return Table(
        "Coverage of held-out labels, %",
        ["region", "50 %", "90 %", "99 %"],
        rows,
        f"{c['labels']} labels of {c['frames']} frames; single observations; the package is "
        f"{'calibrated' if c['calibrated'] else 'not calibrated'}.",
    )


def _times(r: dict[str, Any]) -> Table:
    return Table.of_records(
        "Time per frame, microseconds",
        ["keypoints", ""],
        (([k, name], t) for k, both in r["time_us"].items() for name, t in both.items()),
        [
            ("n", "n", "d"),
            *(("step P50", "step_p50", ".0f"), ("P99", "step_p99", ".0f")),
            *(("predict P50", "predict_p50", ".0f"), ("P99", "predict_p99", ".0f")),
        ],
        "Calm: no pose prior. Wild: a prior of 8 dimensions.",
    )


def _smoother(r: dict[str, Any]) -> Table:
    s = r["smoother"]

    def seconds(values: Sequence[float] | None) -> str:
        return ", ".join(f"{v:.2f}" for v in values) if values else "-"

    rows = [["ours", seconds(s["ours_s"])], ["ensemble-kalman-smoother", seconds(s["eks_s"])]]
    if "ratio" in s:
        rows.append(["ratio of medians", f"{s['ratio']:.1f}"])
    size = f"{s['frames']:,} frames, {s['keypoints']} keypoints, {s['members']} members"
    return Table(
        f"The smoother, seconds: {size}, parameters searched",
        ["", "runs"],
        rows,
        f"Mean error {s['error_px']:.2f} px where the median of the members has {s['median_error_px']:.2f}.",
    )
