"""Accuracy from few labels: supervised, each loss on unlabeled video, all of them, ensemble, distilled.

    python -m bench.accuracy --data mirror-mouse --work WORK --labels 15,60 --folds 0,1,2 --jobs 2

A grid of small trainings, each `rt-pose train fit` in a process of its own. What is done is kept in WORK:
run again with more rows, labels, folds or seeds and only what is missing is done; `--table` writes the
results of what is there. Labeled frames are held out by fold; the first half of the recording is the
unlabeled training video, the second half is what smoothness, plausibility, jitter and steps are measured on.
Writes OUT.json, OUT.md, OUT.html and OUT.svg, prints the tables and, last, one JSON line.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy_cells import (
    DISTILLED,
    ENSEMBLE,
    FITS,
    FOLDS,
    ROWS,
    Cell,
    base_settings,
    check_rows,
    halves,
    training_frames,
)
from bench.accuracy_claims import claims, gain_kept
from bench.accuracy_compare import table_rows
from bench.accuracy_gather import Network, Yardstick, ensemble, ensembles, look, seen_by
from bench.accuracy_grid import MEASURED, Grid, run
from bench.accuracy_measure import Measured, read_measured
from bench.accuracy_page import markdown, page, picture
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.offline.predict import appearing_whole
from rt_pose.session.describe import machine, versions
from rt_pose.video import probe
from train.accuracy import figures
from train.data.labels import LabeledFrames, read_labels
from train.evaluation.spaces import fit_pose, fit_views

GRID = "grid.json"


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    options = _parser().parse_args(argv)
    try:
        return _main(options)
    except UserError as error:
        print(f"bench.accuracy: {error}", file=sys.stderr)
        return 1


def _main(options: argparse.Namespace) -> int:
    check_rows(options.rows)
    if any(not 0 <= fold < FOLDS for fold in options.folds):
        raise UserError(f"--folds: there are {FOLDS}, 0 to {FOLDS - 1}")
    work, data = Path(options.work), Path(options.data)
    video = _video(data, options.video)
    grid = _grid(options, data, work, halves(video, work)[1])
    frames = read_labels(data, grid.labels_file)
    for fold, labels in ((f, n) for f in options.folds for n in options.labels):
        training_frames(len(frames), fold, labels)
    failed = [] if options.table else run(grid, planned(options), options.jobs, _say)
    result = gather(grid, frames, video, options.steps_of)
    result["failed"] = [{"name": cell.name, "why": why} for cell, why in failed]
    _write(result, options)
    return 1 if failed else 0


def planned(options: argparse.Namespace) -> list[Cell]:
    """The cells to do, whole folds first, so that what is done can be compared at any time. The members
    of ensembles come last, and after them what learns from them."""
    folds, labels = options.folds, options.labels
    cells = [
        Cell(row, n, fold, seed)
        for seed in options.seeds
        for fold in folds
        for row in FITS
        for n in labels
        if row in options.rows
    ]
    if {ENSEMBLE, DISTILLED} & set(options.rows):
        cells += [Cell("all", n, fold, seed) for fold in folds for n in labels for seed in options.members]
    return list(dict.fromkeys(cells))


def gather(grid: Grid, frames: LabeledFrames, video: Path, steps_of: str) -> dict[str, Any]:
    """Everything that is done under the grid's settings, compared."""
    done, seconds = _done(grid)
    if not done:
        raise UserError(f"--work {grid.work}: not one cell is done under these settings")
    on, facts = _yardstick(grid, frames, done, steps_of)
    whole = done | ensembles(done, "all", grid.members, frames.keypoints)
    networks = [look(cell, measured, on) for cell, measured in whole.items()]
    rows, kept = table_rows(networks, on), gain_kept(networks, on)
    training = grid.base
    return {
        "date": _today(),
        "machine": machine(),
        "versions": versions(),
        "dataset": grid.data.name,
        "grid": {
            "network": f"{training['network'].get('backbone', 'lite0')}, {training['network']['width']}x"
            f"{training['network']['height']}",
            "steps": training["steps"],
            "batch_size": training.get("batch_size", 8),
            "clip_length": training.get("clip_length", 16),
            "folds_of": FOLDS,
            "video": video.name,
            "members": list(grid.members),
            "training": training,
        },
        "yardstick": facts,
        "rows": rows,
        "gain_kept": kept,
        "claims": [asdict(claim) for claim in claims(rows, kept)],
        "cells": [_cell(network) | seconds.get(network.cell, {}) for network in networks],
    }


def _done(grid: Grid) -> tuple[dict[Cell, Measured], dict[Cell, dict[str, float]]]:
    """What was measured under the grid's settings; cells of other settings are left out, and that is said."""
    done, seconds, others = {}, {}, []
    for path in sorted((grid.work / "cells").glob("*/result.json")):
        row, labels, fold, seed = path.parent.name.rsplit("-", 3)
        cell = Cell(row, int(labels), int(fold[1:]), int(seed[1:]))
        found = grid.result(cell)
        if found is None:
            others.append(cell.name)
            continue
        done[cell] = read_measured(path.with_name(MEASURED))
        seconds[cell] = {key: found[key] for key in ("train_s", "measure_s")}
    if others:
        _say(f"left out, being of other settings: {', '.join(others)}")
    return done, seconds


def _yardstick(
    grid: Grid, frames: LabeledFrames, done: dict[Cell, Measured], steps_of: str
) -> tuple[Yardstick, dict[str, Any]]:
    steppers = [k for k, name in enumerate(frames.keypoints) if name.startswith(steps_of)]
    if not steppers:
        raise UserError(
            f"--steps-of {steps_of}: no keypoint's name begins so; there are {', '.join(frames.keypoints)}"
        )
    views = [[frames.keypoints.index(name) for name in view] for view in grid.base.get("views", [])]
    most = max(cell.labels for cell in done)
    surest = [cell for cell in done if cell.labels == most and cell.row in FITS]
    on = Yardstick(
        fit_pose(frames.xy),
        fit_views(frames.xy, views),
        seen_by([done[cell] for cell in surest or done]),
        steppers,
        probe(grid.held).rate_hz,
    )
    on.steppers = [k for k in steppers if on.present[k]]
    told = []
    for row, name in (("all", "smoothed ensemble"), ("supervised", "smoothed supervised networks")):
        members = [done[cell] for cell in surest if cell.row == row]
        if members:
            on.references[name] = ensemble(members, frames.keypoints).xy
            told.append(f"the {name} ({len(members)} of {most} labels)")
    pose, mirror = on.pose, on.mirror
    return on, {
        "labels": len(frames),
        "frames": len(on.seen),
        "keypoints": len(frames.keypoints),
        "seen_keypoints": int(on.present.sum()),
        "seen_share": dict(zip(frames.keypoints, on.seen.mean(axis=0).round(3).tolist(), strict=True)),
        "pose_keypoints": len(pose.keypoints[0]) if pose else 0,
        "pose_components": len(pose.components) if pose else 0,
        "views": len(mirror.keypoints) if mirror else 0,
        "view_components": len(mirror.components) if mirror else 0,
        "steppers": [frames.keypoints[k] for k in on.steppers],
        "reference": " and ".join(told) or "nothing",
        "seen_by": [cell.name for cell in surest],
    }


def _cell(network: Network) -> dict[str, Any]:
    """A network's own figures, and all of its errors."""
    errors = network.measured.errors
    return {
        "name": network.cell.name,
        **asdict(network.cell),
        "error": figures(errors),
        "held_out": network.measured.held_names,
        "errors_px": errors.round(3).tolist(),
        "steps": {name: ratio.round(4).tolist() for name, ratio in network.steps.items()},
    }


def _grid(options: argparse.Namespace, data: Path, work: Path, held: Path) -> Grid:
    """As asked for; with `--table` as the last run was asked for."""
    record = work / GRID
    if options.table and record.is_file():
        return Grid(data, work, held, **json.loads(record.read_bytes()))
    base = base_settings(Path(options.config), options.size, options.steps, options.set)
    grid = Grid(data, work, held, base, options.members, options.jitter_frames)
    kept = {"base": base, "members": grid.members, "jitter_frames": grid.jitter_frames}
    with appearing_whole(record) as file:
        file.write(json.dumps(kept, indent=1) + "\n")
    return grid


def _video(data: Path, given: str | None) -> Path:
    if given:
        return Path(given)
    videos = sorted(p for p in (data / "videos").glob("*") if p.is_file())
    if len(videos) != 1:
        raise UserError(f"{data / 'videos'}: {len(videos)} videos, expected one; say which with --video")
    return videos[0]


def _write(result: dict[str, Any], options: argparse.Namespace) -> None:
    out = options.out or f"bench/results/{result['date']}-accuracy"
    finite = _finite(result)
    text = markdown(result)
    texts = {
        f"{out}.json": json.dumps(finite, indent=1, allow_nan=False) + "\n",
        f"{out}.md": text,
        f"{out}.html": page(result),
        options.picture or f"{out}.svg": picture(result),
    }
    for name, content in texts.items():
        with appearing_whole(Path(name)) as file:
            file.write(content)
    print(text)
    told = ("date", "grid", "rows", "gain_kept", "claims", "failed")
    print(json.dumps({key: finite[key] for key in told}))


def _finite(value: Any) -> Any:
    """With None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_finite(own) for own in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _today() -> str:
    return datetime.fromtimestamp(HostClock().utc_ns() / NS_PER_S, UTC).date().isoformat()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="labeled folder in Lightning Pose layout")
    parser.add_argument("--work", required=True, help="folder for cells; several GB for a whole grid")
    parser.add_argument("--video", help="recording to cut in halves; default: the folder's only one")
    parser.add_argument("--config", default="configs/train/mirror-mouse-semi.yaml", help="of row `all`")
    parser.add_argument("--size", type=int, default=192, help="of the network's input, px")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rows", type=lambda t: t.split(","), default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--labels", type=_numbers, default=[15, 60])
    parser.add_argument("--folds", type=_numbers, default=[0, 1, 2])
    parser.add_argument("--seeds", type=_numbers, default=[0])
    parser.add_argument("--members", type=_numbers, default=[0, 1, 2, 3, 4], help="seeds of an ensemble")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every training")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side, one a core")
    parser.add_argument("--jitter-frames", type=int, default=100)
    parser.add_argument(
        "--steps-of", default="paw", help="keypoints whose steps count: how their names begin"
    )
    parser.add_argument("--table", action="store_true", help="only write the results of what is done")
    parser.add_argument("--out", help="OUT.json, .md, .html, .svg; default bench/results/DATE-accuracy")
    parser.add_argument("--picture", help="the plot's file; default OUT.svg")
    return parser


if __name__ == "__main__":
    sys.exit(main())
