"""The accuracy grid's tables, one line a row and number of labels, for Markdown and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.accuracy.compare import HEADLINES, PIXEL, SUPERVISED, TITLES, VIDEO, steps_shortfall
from bench.accuracy.grid import RUN_SECONDS
from bench.tables import Table
from rt_pose.reports.render import UNKNOWN

NAMES = {
    SUPERVISED: "supervised",
    "temporal": "+ temporal",
    "pose_pca": "+ pose PCA",
    "multiview_pca": "+ multi-view PCA",
    "all": "all losses",
    "ensemble": "ensemble, smoothed",
    "distilled": "distilled",
    "distilled_all": "distilled, all losses",
}


def tables(result: dict[str, Any]) -> list[Table]:
    """Make all tables; those for which nothing was measured are left out.

    Parameters
    ----------
    result
        What `gather` returned, with failed cells.

    Returns
    -------
    list[Table]
        The tables.
    """
    rows = result["rows"]
    others = [m.key for m in VIDEO if m.key not in HEADLINES]
    found = [
        _claims(result["claims"]),
        _errors(rows),
        _figures("The second half of the video, px", HEADLINES, rows, _VIDEO_NOTE),
        _differences(rows),
        _steps(rows),
        *map(_kept, result["gain_kept"]),
        _figures("Other figures of the video, px", others, rows, ""),
        _differences(rows, others),
        _cells(result["cells"]),
        _failed(result["failed"]),
    ]
    return [table for table in found if table.rows]


_VIDEO_NOTE = (
    "Where a keypoint is seen (the same frames and keypoints for every row); 95 % intervals over networks "
    "and blocks of frames. Temporal norm: px from the frame before. Jitter: one grey level of noise. Steps: "
    "amplitude of the paws' movement as below; where it is marked, smoothness is worth nothing."
)


def _claims(claims: Sequence[dict[str, Any]]) -> Table:
    rows = [[c["text"], "yes" if c["holds"] else "**no**", c["why"]] for c in claims]
    return Table("What was to be shown", ["", "holds", ""], rows, of_text=True)


def _errors(rows: Sequence[dict[str, Any]]) -> Table:
    heads = ["row", "labels", "folds", "networks", "frames", "n", "median px", "mean px", "P90 px"]
    heads += ["mean, to supervised", "frames won / lost", "reach"]
    lines = []
    for row in rows:
        cells = [*_who(row), str(len(row["folds"])), str(row["networks"]), str(row["held_out_frames"])]
        cells += [str(row["figures"]["error_mean"]["n"])]
        cells += [_figure(row["figures"].get(key)) for key in PIXEL]
        against = (row["against_supervised"] or {}).get("error_mean")
        cells += [_signed(against), f"{against['won']} / {against['lost']}" if against else UNKNOWN]
        lines.append([*cells, _figure(row.get("reach"))])
    return Table(
        "Error on held-out labels",
        heads,
        lines,
        "95 % intervals over held-out frames, not keypoints; the difference is paired by frame. Reach: of "
        "the paws, slope of where they are found on where they were labeled; less than 1 is drawn inward.",
    )


def _figures(title: str, keys: Sequence[str], rows: Sequence[dict[str, Any]], note: str) -> Table:
    there = [key for key in keys if any(key in row["figures"] for row in rows)]
    lines = [[*_who(row), _moving(row), *(_figure(row["figures"].get(key)) for key in there)] for row in rows]
    heads = ["row", "labels", "steps", *(TITLES[key] for key in there)]
    return Table(title, heads, lines if there else [], note)


def _differences(rows: Sequence[dict[str, Any]], keys: Sequence[str] = HEADLINES) -> Table:
    compared = [row for row in rows if row["against_supervised"]]
    there = [key for key in keys if any(key in row["against_supervised"] for row in compared)]
    lines = []
    for row in compared:
        own = [row["against_supervised"].get(key) for key in there]
        lines.append([*_who(row), *(f"{_signed(d)} {d['won']}/{d['lost']}" if d else UNKNOWN for d in own)])
    title = "Against supervised, px" if keys is HEADLINES else "Other figures against supervised, px"
    note = "Paired difference with its interval (negative is better), and pairs of networks won/lost."
    return Table(title, ["row", "labels", *(TITLES[key] for key in there)], lines, note)


def _steps(rows: Sequence[dict[str, Any]]) -> Table:
    lines = []
    for row in rows:
        for name, own in row["steps"].items():
            spread = f"{own['least']:.2f} to {own['most']:.2f}"
            messages = "yes" if own["within"] else "**no**"
            cells = [name, f"{own['amplitude']:.3f}", spread, f"{own['speed']:.2f}", messages]
            lines.append([*_who(row), *cells])
    heads = [
        "row",
        "labels",
        "to",
        "step amplitude",
        "of single keypoints",
        "P95 of the speed",
        "within 10 %",
    ]
    return Table(
        "Do the paws still step?",
        heads,
        lines,
        "Ratios of paws: the range of positions within 0.2 s, and P95 of the speed, to those of a "
        "smoothed reference on the same frames. A frozen pose has 0.",
    )


def _kept(kept: dict[str, Any]) -> Table:
    lines = [
        [
            TITLES[key],
            f"{own['ensemble']:+.3f}",
            f"{own['learner']:+.3f}",
            UNKNOWN if own["kept"] is None else f"{own['kept']:.0%}",
        ]
        for key, own in kept["metrics"].items()
    ]
    folds = ", ".join(map(str, kept["folds"]))
    return Table(
        f"The ensemble's gain, and what is kept of it: {NAMES[kept['row']]}, {kept['labels']} labels",
        ["px", "the ensemble gains", "the distilled network gains", "kept"],
        lines,
        f"On the supervised networks of folds {folds}. Where it gains nothing, nothing can be kept.",
    )


def _cells(cells: Sequence[dict[str, Any]]) -> Table:
    return Table.of_records(
        "Every network",
        ["network"],
        (([cell["name"]], dict.fromkeys(RUN_SECONDS) | cell | cell["error"]) for cell in cells),
        [
            *(("median px", "median_px", ".2f"), ("mean px", "mean_px", ".2f")),
            *(("training s", "train_s", ".0f"), ("measuring s", "measure_s", ".0f")),
        ],
        "Seconds of one core of a machine that may have had other work: no benchmark of training.",
    )


def _failed(failed: Sequence[dict[str, str]]) -> Table:
    return Table("Failed", ["network", "why"], [[f["name"], f["why"]] for f in failed], of_text=True)


def _moving(row: dict[str, Any]) -> str:
    """The step amplitude to the first reference, marked where smoothness is not to be praised."""
    if not row["steps"]:
        return UNKNOWN
    amplitude = f"{next(iter(row['steps'].values()))['amplitude']:.2f}"
    return f"**{amplitude}**" if steps_shortfall(row["steps"]) else amplitude


def _who(row: dict[str, Any]) -> list[str]:
    return [NAMES[row["row"]], str(row["labels"])]


def _figure(found: dict[str, Any] | None) -> str:
    return f"{found['value']:.2f} ({found['low']:.2f}–{found['high']:.2f})" if found else UNKNOWN


def _signed(found: dict[str, Any] | None) -> str:
    return f"{found['value']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})" if found else UNKNOWN
