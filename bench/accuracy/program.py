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

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

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
from bench.program import guarded, say
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from train.data.labels import read_labels

GRID = "grid.json"
INTERRUPTED = 130


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    data: Annotated[Path, "labeled folder in Lightning Pose layout"]
    work: Annotated[Path, "folder for cells; several GB for a whole grid"]
    video: Annotated[Path | None, "recording to cut in halves; default: the folder's only one"] = None
    config: Annotated[Path, "of row `all`"] = Path("configs/train/mirror-mouse-semi.yaml")
    size: Annotated[int, "of the network's input, px"] = 192
    steps: int = 400
    rows: Annotated[Sequence[str], ", ".join(ROWS), lambda text: text.split(",")] = ROWS
    labels: Annotated[Sequence[int], "training frames", _numbers] = (15, 60)
    folds: Annotated[Sequence[int], "", _numbers] = (0, 1, 2)
    seeds: Annotated[Sequence[int], "", _numbers] = (0,)
    members: Annotated[Sequence[int], "seeds of an ensemble", _numbers] = (0, 1, 2, 3, 4)
    set: Annotated[list[str], "KEY=VALUE, for every training"] = field(default_factory=list)
    jobs: Annotated[int, "trainings side by side, one a core"] = 2
    jitter_frames: int = 100
    steps_of: Annotated[str, "keypoints whose steps count: how their names begin"] = "paw"
    table: Annotated[bool, "only write the results of what is done"] = False
    out: Annotated[str, "OUT.json, .md, .html, .svg; default bench/results/DATE-accuracy"] = ""
    picture: Annotated[str, "the plot's file; default OUT.svg"] = ""


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    int
        Exit status.
    """
    try:
        return guarded(Options, _main, argv, failed=1)
    except KeyboardInterrupt:
        say("interrupted: the same command resumes what is not done")
        return INTERRUPTED


def _main(options: Options) -> int:
    check_rows(options.rows)
    if any(not 0 <= fold < FOLDS for fold in options.folds):
        raise UserError(f"--folds: there are {FOLDS}, 0 to {FOLDS - 1}")
    video = options.video or _only_video(options.data)
    grid = _grid(options, halves(video, options.work)[1])
    frames = read_labels(options.data, grid.labels_file)
    for fold, labels in ((f, n) for f in options.folds for n in options.labels):
        training_frames(len(frames), fold, labels)
    failed = [] if options.table else _run(grid, planned(options), options.jobs)
    result = {"date": _today()} | gather(grid, frames, video, options.steps_of)
    result["failed"] = [{"name": cell.name, "why": why} for cell, why in failed]
    _write(result, options)
    return 1 if failed else 0


def _run(grid: Grid, groups: list[list[Cell]], jobs: int) -> list[tuple[Cell, str]]:
    for cells in groups:
        grid.check(cells)
    kept = {"base": grid.base, "members": grid.members, "jitter_frames": grid.jitter_frames}
    with atomic_writer(grid.work / GRID) as file:
        file.write(json.dumps(kept, indent=1) + "\n")
    return [failed for cells in groups for failed in run(grid, cells, jobs)]


def planned(options: Options) -> list[list[Cell]]:
    """Plan the cells: whole folds first, so that what is done can be compared at any time; members last.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    list[list[Cell]]
        The cells, and, to be done after them, the cells that learn from ensembles.
    """
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


def _grid(options: Options, held: Path) -> Grid:
    """Make the grid of the command line; with `--table`, that of the last run."""
    record = options.work / GRID
    if options.table and record.is_file():
        return Grid(options.data, options.work, held, **json.loads(record.read_bytes()))
    base = base_settings(options.config, options.size, options.steps, options.set)
    return Grid(options.data, options.work, held, base, list(options.members), options.jitter_frames)


def _only_video(data: Path) -> Path:
    videos = sorted(p for p in (data / "videos").glob("*") if p.is_file())
    if len(videos) != 1:
        raise UserError(f"{data / 'videos'}: {len(videos)} videos, expected one; say which with --video")
    return videos[0]


def _write(result: dict[str, Any], options: Options) -> None:
    out = options.out or f"bench/results/{result['date']}-accuracy"
    plain = msgspec.json.encode(result, enc_hook=lambda number: number.item())  # NaN becomes null
    text = markdown(result)
    texts = {
        f"{out}.json": msgspec.json.format(plain, indent=1).decode() + "\n",
        f"{out}.md": text,
        f"{out}.html": page(result),
        options.picture or f"{out}.svg": picture(result),
    }
    for name, content in texts.items():
        with atomic_writer(Path(name)) as file:
            file.write(content)
    print(text)
    notes = ("date", "grid", "rows", "gain_kept", "claims", "failed")
    print(msgspec.json.encode({key: msgspec.json.decode(plain)[key] for key in notes}).decode())


def _today() -> str:
    return datetime.fromtimestamp(HostClock().utc_ns() / NS_PER_S, UTC).date().isoformat()
