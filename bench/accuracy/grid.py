"""Training and measuring the cells of the accuracy grid: one process a core, and nothing done twice.

A cell is done when its result.json says so for the settings that are asked for now. It may be interrupted
at any time; a cell that was under way then starts again.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from bench.accuracy.cells import LEARNERS, RESULT, Cell, data_folder, make_data, read_result, settings_of
from bench.program import say
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    # Freed memory is kept, not given back and asked for again at every step.
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
}
MEASURED, SETTINGS, LOG, PACKAGE = "measured.npz", "train.yaml", "train.log", "package"
BEST_CHECKPOINT = "best.ckpt"
RUN_SECONDS = ("train_s", "measure_s")


@dataclass
class Grid:
    """What is to be trained and measured, and on what."""

    data: Path
    """The labeled folder."""
    work: Path
    held: Path
    """The video to measure on."""
    base: dict[str, Any]
    """The configuration that all cells share."""
    members: Sequence[int] = ()
    """Seeds of the networks that a distilled one learns from."""
    jitter_frames: int = 100
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more is to be started."""

    @property
    def labels_file(self) -> str:
        """Name of the labels file in the labeled folder."""
        return str(self.base.get("labels") or "CollectedData.csv")

    def folder(self, cell: Cell) -> Path:
        """Get the folder of a cell.

        Parameters
        ----------
        cell
            The cell.

        Returns
        -------
        Path
            In `work`.
        """
        return self.work / "cells" / cell.name

    def settings(self, cell: Cell) -> dict[str, Any]:
        """Collect the settings on which a cell's result depends.

        Parameters
        ----------
        cell
            The cell.

        Returns
        -------
        dict[str, Any]
            For JSON.
        """
        training = settings_of(cell, self.base)
        found = {"training": training, "jitter_frames": self.jitter_frames}
        if cell.row in LEARNERS:
            found |= {"members": list(self.members), "begins_as": self.members[0]}
        return found

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """Get what was measured of a cell under these settings.

        Parameters
        ----------
        cell
            The cell.

        Returns
        -------
        dict[str, Any] or None
            None where it has not been measured.
        """
        found = read_result(self.folder(cell))
        return found if found and found["settings"] == self.settings(cell) else None

    def check(self, cells: Sequence[Cell]) -> None:
        """Check that no cell was done under other settings: hours of work may depend on it.

        Parameters
        ----------
        cells
            The cells.

        Raises
        ------
        UserError
            Where one was.
        """
        for cell in cells:
            found = read_result(self.folder(cell))
            if found and found["settings"] != self.settings(cell):
                differs = "; ".join(_differences(found["settings"], self.settings(cell)))
                raise UserError(
                    f"--work {self.work}: {cell.name} was done under other settings ({differs}); ask for "
                    "those, give another --work, or delete the cell's folder"
                )


def run(grid: Grid, cells: Sequence[Cell], jobs: int) -> list[tuple[Cell, str]]:
    """Do the cells that are not done, several side by side, each on a core of its own.

    Ctrl-C ends all processes and leaves what is done.

    Parameters
    ----------
    grid
        The grid.
    cells
        The cells.
    jobs
        How many side by side.

    Returns
    -------
    list[tuple[Cell, str]]
        Those that failed, and why.
    """
    if not cells:
        return []
    todo = [cell for cell in cells if grid.result(cell) is None]
    say(f"{len(cells)} cells, {len(cells) - len(todo)} of them done before")
    for cell in {data_folder(grid.work, cell): cell for cell in todo}.values():
        make_data(grid.data, grid.labels_file, grid.work, cell)
    clock, taken = HostClock(), _TimeEstimate(todo, jobs)
    cores = itertools.cycle(sorted(os.sched_getaffinity(0)))

    def pin_to_core() -> None:
        os.sched_setaffinity(0, {next(cores)})  # of this thread, and so of all that it starts

    def one(cell: Cell) -> tuple[Cell, str, float]:
        start = clock.now_ns()
        return cell, _run_cell(grid, cell, clock), (clock.now_ns() - start) / NS_PER_S

    failed = []
    with _ended_by_signals(), ThreadPoolExecutor(jobs, "accuracy", pin_to_core) as pool:
        waiting = [pool.submit(one, cell) for cell in todo]
        try:
            for i, future in enumerate(as_completed(waiting), 1):
                cell, problem, seconds = future.result()
                taken.add(cell, seconds)
                failed += [(cell, problem)] if problem else []
                say(
                    f"[{i}/{len(todo)}] {cell.name}: {problem or 'done'}, {seconds:.0f} s; "
                    f"about {taken.left_s() / 60:.0f} min left"
                )
        except BaseException:
            grid.stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(grid.running):
                process.kill()  # there is nothing worth keeping, and Lightning would first end its step
            raise
    return failed


def _differences(there: Any, here: Any, key: str = "") -> list[str]:
    """`key: there -> here` of every setting that differs."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = sorted({*there, *here})
        return [d for k in keys for d in _differences(there.get(k), here.get(k), f"{key}.{k}".strip("."))]
    return [f"{key}: {there} -> {here}"] if there != here else []


class _TimeEstimate:
    """How long cells took, by row, and so how long the others will."""

    def __init__(self, todo: Sequence[Cell], jobs: int) -> None:
        self._todo, self._jobs = set(todo), jobs
        self._seconds: dict[str, list[float]] = {}

    def add(self, cell: Cell, seconds: float) -> None:
        self._todo.discard(cell)
        self._seconds.setdefault(cell.row, []).append(seconds)

    def left_s(self) -> float:
        """Estimate the time left; a row without a finished cell counts as the slowest that has one."""
        means = {row: sum(s) / len(s) for row, s in self._seconds.items()}
        return sum(means.get(cell.row, max(means.values())) for cell in self._todo) / self._jobs


def _run_cell(grid: Grid, cell: Cell, clock: HostClock) -> str:
    """Train and measure; what went wrong, in words, or nothing."""
    folder = grid.folder(cell)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = data_folder(grid.work, cell)
    settings = grid.settings(cell)
    (folder / SETTINGS).write_text(yaml.safe_dump(settings["training"], sort_keys=False), encoding="utf-8")
    start = clock.now_ns()
    if cell.row in LEARNERS and (missing := _gather_members(grid, cell)):
        return f"failed: its members are not done: {', '.join(missing)}"
    problem = _call(grid, _training(grid, cell, data), folder / LOG)
    if problem:
        return problem
    trained = clock.now_ns()
    problem = _call(grid, _measuring(grid, folder, data), folder / "measure.log")
    if problem:
        return problem
    _clear(folder, may_teach=cell.row == "all" and cell.seed in grid.members[:1])
    result = {
        "settings": settings,
        "train_s": round((trained - start) / NS_PER_S, 1),
        "measure_s": round((clock.now_ns() - trained) / NS_PER_S, 1),
    }
    with atomic_writer(folder / RESULT) as file:
        file.write(json.dumps(result, indent=1) + "\n")
    return ""


def _clear(folder: Path, may_teach: bool) -> None:
    """Delete what nothing reads again. A distilled network starts from a teacher's best checkpoint."""
    for leavings in ("tensorboard", "teachers"):
        shutil.rmtree(folder / leavings, ignore_errors=True)
    for checkpoint in (folder / "checkpoints").glob("*.ckpt"):
        if checkpoint.name != BEST_CHECKPOINT or not may_teach:
            checkpoint.unlink()


def _training(grid: Grid, cell: Cell, data: Path) -> list[str]:
    folder = grid.folder(cell)
    places = ["--config", str(folder / SETTINGS), "--data", str(data), "--out", str(folder)]
    if cell.row in LEARNERS:
        members = _members_folder(grid, cell)
        # Not the best of them: which that is the held-out frames would decide, on which it is then measured.
        first = members / f"seed-{grid.members[0]}"
        teachers = ["--teachers", str(members), "--init_from", str(first)]
        return [sys.executable, "-m", "rt_pose.cli", "train", "distill", *places, *teachers]
    return [sys.executable, "-m", "rt_pose.cli", "train", "fit", *places]


def _members_folder(grid: Grid, cell: Cell) -> Path:
    return grid.work / "ensembles" / f"{cell.labels}-f{cell.fold}"


def _gather_members(grid: Grid, cell: Cell) -> list[str]:
    """Links to a cell's teachers in one folder, as `rt-pose train fit --seeds` leaves them; those missing."""
    folder = _members_folder(grid, cell)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    teachers = {seed: replace(cell, row="all", seed=seed) for seed in grid.members}
    for seed, teacher in teachers.items():
        (folder / f"seed-{seed}").symlink_to(grid.folder(teacher).resolve())
    return [teacher.name for teacher in teachers.values() if grid.result(teacher) is None]


def _measuring(grid: Grid, folder: Path, data: Path) -> list[str]:
    named = {
        "--package": folder / PACKAGE,
        "--data": data,
        "--labels": grid.labels_file,
        "--video": grid.held,
        "--jitter-frames": grid.jitter_frames,
        "--out": folder / MEASURED,
    }
    given = [str(part) for pair in named.items() for part in pair]
    return [sys.executable, "-m", "bench.accuracy.measure", *given]


def _call(grid: Grid, command: list[str], log: Path) -> str:
    """Run a command, its output in `log`; what it said last where it failed."""
    if grid.stopped.is_set():
        return "interrupted"
    with log.open("wb") as out:
        # A session of its own: Ctrl-C would make a training stop early and export what it has.
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )
        grid.running.add(process)
        if grid.stopped.is_set():
            process.kill()  # it began while the others were being ended
        code = process.wait()
        grid.running.discard(process)
    if code == 0:
        return ""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    notes = [line for line in lines if line.startswith("rt-pose: ")] or lines or ["no output"]
    return f"failed ({code}): {notes[-1].strip()}"


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within it SIGTERM acts as Ctrl-C: it ends the processes that were started as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
