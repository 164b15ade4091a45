"""Head to head with the programs that others train with: each trained by its own, on the same labels.

    python -m bench.headtohead --part setup --work WORK
    python -m bench.headtohead --part litpose-train --work WORK --data SHARED --fold 0
    python -m bench.headtohead --part litpose-train --work WORK --data SHARED --fold 0 --semi
    python -m bench.headtohead --part litpose-ours --work WORK --data SHARED --fold 0 1 2 [--semi]
        [--backbone resnet18]
    python -m bench.headtohead --part sleap-train --work WORK --data SHARED --minutes 60
    python -m bench.headtohead --part sleap-ours --work WORK --data SHARED --minutes 60
    python -m bench.headtohead --part sleap-time --work WORK --data SHARED
    python -m bench.headtohead --part table --work WORK --data SHARED --out bench/results/NAME

Each part is done once and kept in WORK; one that was interrupted begins again; two do not run at a time, and
nothing else should. `table` shows what is there. The peers have environments of their own in WORK, made by
`setup`. Nothing of the other day's recording enters a training.

litpose: Lightning Pose on its example, a head-fixed mouse, 60 labels, folds of 12 held out. Its ResNet-18
from random weights, by its own configuration cut to --steps; ours from its own weights (Lite0), or its
ResNet-18 from random ones. One evaluator: held-out labels, the second half of the recording
(`bench.accuracy`) and 500 frames of another day.

sleap: sleap-nn, bottom-up, on two flies, split by time with gaps; both from random weights (ours from its own
with --own-weights) for --minutes, at half of the frames' scale. Poses, identities, times in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from bench.accuracy.cells import FOLDS
from bench.headtohead import fly_table, mouse_table
from bench.headtohead.flies import train_ours as train_our_flies
from bench.headtohead.flies import train_theirs as train_their_flies
from bench.headtohead.mouse import train_ours as train_our_mouse
from bench.headtohead.mouse import train_theirs as train_their_mouse
from bench.headtohead.steps import alone
from bench.output import check_out, conditions, finish, machine_line
from bench.peers.environments import make_environments, python_of
from bench.program import guarded, say
from bench.tables import tables_text
from rt_pose.errors import UserError
from rt_pose.inference.device import physical_cores

PEERS = ("litpose", "sleap", "motmetrics")
PARTS = (
    "setup",
    "litpose-train",
    "litpose-ours",
    "sleap-train",
    "sleap-ours",
    "sleap-time",
    "table",
)
INTERRUPTED = 130


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    part: Annotated[str, "what to do", PARTS]
    work: Annotated[Path, "folder of everything that is kept"]
    data: Annotated[Path, "folder of the data sets"] = Path("../shared/data")
    fold: Annotated[list[int], "litpose: numbers of folds"] = field(default_factory=lambda: [0])
    semi: Annotated[bool, "litpose: with losses on clips of unlabeled video"] = False
    backbone: Annotated[str, "litpose-ours: of our network"] = "lite0"
    steps: Annotated[int, "litpose: training steps"] = 600
    jobs: Annotated[int, "litpose-ours: trainings side by side, one a core"] = 1
    minutes: Annotated[float, "sleap: length of a training"] = 60.0
    stride: Annotated[int, "sleap: every how many-th frame is learned from"] = 4
    own_weights: Annotated[bool, "sleap-ours: begin with the backbone's own weights"] = False
    rounds: Annotated[int, "sleap-time: of alternating blocks"] = 30
    block: Annotated[int, "sleap-time: frames a block"] = 20
    precision: Annotated[str, "sleap-time: of our engine"] = "float32"
    threads: Annotated[int, "of each program"] = field(default_factory=physical_cores)
    out: Annotated[Path | None, "table: write OUT.json and OUT.md"] = None


def main(argv: Sequence[str] | None = None) -> int:
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
        return guarded(Options, run_part, argv)
    except KeyboardInterrupt:
        say("interrupted: the same command does what is not done")
        return INTERRUPTED


def run_part(options: Options) -> int:
    """Run one part.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    UserError
        Where an option is out of range, or the part fails.
    """
    _check(options)
    check_out(options.out)
    parts: dict[str, Callable[[Options], None]] = {
        "setup": _set_up,
        "litpose-train": _litpose_train,
        "litpose-ours": _litpose_ours,
        "sleap-train": _sleap_train,
        "sleap-ours": _sleap_ours,
        "sleap-time": _sleap_time,
        "table": _table,
    }
    with alone(options.work):
        parts[options.part](options)
    return 0


def _check(options: Options) -> None:
    if any(not 0 <= fold < FOLDS for fold in options.fold):
        raise UserError(f"--fold: there are {FOLDS}, 0 to {FOLDS - 1}")
    for name in ("steps", "jobs", "minutes", "stride", "rounds", "block", "threads"):
        if getattr(options, name) <= 0:
            raise UserError(f"--{name}: expected more than 0, got {getattr(options, name)}")
    if options.part != "setup" and not options.data.is_dir():
        raise UserError(f"--data {options.data}: no such folder; expected that of the data sets")


def _python(options: Options, name: str) -> Path:
    return python_of(options.work / "environments" / name)


def _set_up(options: Options) -> None:
    for name, python in make_environments(options.work / "environments", PEERS).items():
        say(f"{name}: {python}")


def _litpose_train(options: Options) -> None:
    python = _python(options, "litpose")
    for fold in options.fold:
        train_their_mouse(
            options.data, options.work, python, fold, options.semi, options.steps, options.threads
        )


def _litpose_ours(options: Options) -> None:
    train_our_mouse(
        options.data, options.work, options.fold, options.backbone, options.semi, options.steps, options.jobs
    )


def _sleap_train(options: Options) -> None:
    python = _python(options, "sleap")
    train_their_flies(options.data, options.work, python, options.minutes, options.stride, options.threads)


def _sleap_ours(options: Options) -> None:
    train_our_flies(
        options.data, options.work, options.minutes, options.stride, options.threads, options.own_weights
    )


def _sleap_time(options: Options) -> None:
    python = _python(options, "sleap")
    fly_table.time_both(
        options.data,
        options.work,
        python,
        options.threads,
        options.rounds,
        options.block,
        options.precision,
    )


def _table(options: Options) -> None:
    mouse = mouse_table.gather(options.data, options.work)
    flies = fly_table.gather(options.data, options.work, _python(options, "motmetrics"))
    if mouse is None and flies is None:
        raise UserError(f"--work {options.work}: nothing is done yet")
    figures: dict[str, Any] = {"bench": "headtohead", **conditions(), "mouse": mouse, "flies": flies}
    tables = [*(mouse_table.tables(mouse) if mouse else []), *(fly_table.tables(flies) if flies else [])]
    text = tables_text("Head to head", [machine_line(figures)], tables)
    finish(figures, text, options.out)
