"""Accuracy from few labels: supervised, each loss on unlabeled video, all of them, ensemble, distilled.

    python -m bench.accuracy --data mirror-mouse --work WORK --labels 15,60 --folds 0,1,2 --jobs 2

A grid of small trainings, each `rt-pose train fit` in a process of its own. What is done is kept in WORK:
run again with more rows, labels, folds or seeds and only what is missing is done; `--table` writes the
results of what is there. Labeled frames are held out by fold; the first half of the recording is the
unlabeled training video, the second half is what smoothness, plausibility, jitter and steps are measured on.
Writes OUT.json, OUT.md, OUT.html and OUT.svg, prints the tables and, last, one JSON line.

On a GPU the cells share it, each with a core for its frames; where a command may not last long, the same one
again goes on (SIGTERM ends it as Ctrl-C does):

    timeout -s TERM 540 python -m bench.accuracy --data mirror-mouse --work WORK --size 256 --steps 600 \\
        --seeds 0,1,2 --jobs 14 --set device=gpu --set precision=bf16

`decoder` stays pyav: the halves of the recording are cut without loss, in a profile of H.264 (High 4:4:4
Predictive) that NVDEC does not have.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy.cells import (
    ENSEMBLE,
    FITS,
    FOLDS,
    LEARNERS,
    ROWS,
    Cell,
    base_settings,
    check_rows,
    halves,
    training_frames,
)
from bench.accuracy.grid import Grid, run
from bench.accuracy.page import markdown, page, picture
from bench.accuracy.result import gather
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from train.data.labels import read_labels

GRID = "grid.json"
INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    options = _parser().parse_args(argv)
    try:
        return _main(options)
    except KeyboardInterrupt:
        print("interrupted: the same command resumes what is not done", file=sys.stderr)
        return INTERRUPTED
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
    failed = [] if options.table else _run(grid, planned(options), options.jobs)
    result = {"date": _today()} | gather(grid, frames, video, options.steps_of, _say)
    result["failed"] = [{"name": cell.name, "why": why} for cell, why in failed]
    _write(result, options)
    return 1 if failed else 0


def _run(grid: Grid, groups: list[list[Cell]], jobs: int) -> list[tuple[Cell, str]]:
    for cells in groups:
        grid.check(cells)
    kept = {"base": grid.base, "members": grid.members, "jitter_frames": grid.jitter_frames}
    with atomic_writer(grid.work / GRID) as file:
        file.write(json.dumps(kept, indent=1) + "\n")
    return [failed for cells in groups for failed in run(grid, cells, jobs, _say)]


def planned(options: argparse.Namespace) -> list[list[Cell]]:
    """The cells to do, whole folds first, so that what is done can be compared at any time; the members of
    ensembles last. And, when those are done, the cells that learn from them."""
    folds, labels = options.folds, options.labels
    cells = [
        Cell(row, n, fold, seed)
        for seed in options.seeds
        for fold in folds
        for row in FITS
        for n in labels
        if row in options.rows
    ]
    if {ENSEMBLE, *LEARNERS} & set(options.rows):
        cells += [Cell("all", n, fold, seed) for fold in folds for n in labels for seed in options.members]
    learners = [
        Cell(row, n, fold, options.seeds[0])
        for fold in folds
        for row in LEARNERS
        for n in labels
        if row in options.rows
    ]
    return [list(dict.fromkeys(cells)), learners]


def _grid(options: argparse.Namespace, data: Path, work: Path, held: Path) -> Grid:
    """As asked for; with `--table` as the last run was asked for."""
    record = work / GRID
    if options.table and record.is_file():
        return Grid(data, work, held, **json.loads(record.read_bytes()))
    base = base_settings(Path(options.config), options.size, options.steps, options.set)
    return Grid(data, work, held, base, options.members, options.jitter_frames)


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
        with atomic_writer(Path(name)) as file:
            file.write(content)
    print(text)
    notes = ("date", "grid", "rows", "gain_kept", "claims", "failed")
    print(json.dumps({key: finite[key] for key in notes}))


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
