"""`rt-pose predict --videos`: many videos, one table each; interrupted, it goes on where it was.

A table takes its name when it is whole, and then a record of its package and video appears next to it. What
has both is never done again; what lacks either is. What else lies there is made of the table
(`rt_pose.offline.finish`), also where the table was done before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.files import PART, atomic_writer
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.finish import Finish
from rt_pose.offline.predict import Predictor, check_video
from rt_pose.offline.prediction_record import clear_failures, note_failure, state, write_record
from rt_pose.offline.quality import shares_text
from rt_pose.package import Package

_LOG = logging.getLogger(__name__)

FAILURES = "failures.txt"


@dataclass
class Failure:
    """A video that could not be predicted."""

    name: str
    reason: str


@dataclass
class PredictionOutcome:
    """The outcome of predicting videos."""

    predicted: list[str] = field(default_factory=list)
    done_before: int = 0
    failures: list[Failure] = field(default_factory=list)


def predict_many(
    package: Package, jobs: Sequence[VideoJob], config: EngineConfig, finish: Finish | None = None
) -> PredictionOutcome:
    """Predict every job that is not done. A video that cannot be predicted is a failure; the others go on.

    Parameters
    ----------
    package
        The model package.
    jobs
        The videos with their tables.
    config
        The `engine` section of a configuration.
    finish
        Makes what lies beside the tables; None for nothing.

    Returns
    -------
    PredictionOutcome
        What became of the videos, with the reasons of failures.

    Raises
    ------
    UserError
        Where no engine can serve the package.
    """
    todo, outcome = open_jobs(package, jobs, finish)
    if not todo:
        return outcome
    clear_failures(todo)
    fresh = {job for job in todo if state(job, package.sha256) != "done"}
    predictor = Predictor(package, config) if fresh else None
    if predictor is not None:
        _LOG.info(f"engine: {predictor.choice}")
    with _progress() as bar:
        # Frames are only known once a video is opened, so time left goes by bytes of video.
        task = bar.add_task("", total=sum(map(size_of, todo)))
        for number, job in enumerate(todo, len(jobs) - len(todo) + 1):
            bar.update(task, description=f"{number} of {len(jobs)}: {job.name}")
            before = bar.tasks[task].completed
            advance = partial(_advance, bar, task, before, size_of(job))
            try:
                how = _complete(package, predictor if job in fresh else None, job, finish, advance)
                outcome.predicted += [job.name] if job in fresh else []
            except (UserError, OSError) as error:
                outcome.failures.append(Failure(job.name, str(error)))
                how = f"failed: {error}"
                with suppress(UserError, OSError):  # a folder that takes no table takes no record
                    note_failure(job, package.sha256, str(error))
            bar.update(task, completed=before + size_of(job))
            left = bar.tasks[task].time_remaining
            until = "" if left is None else f", {timedelta(seconds=round(left))} left"
            _LOG.info(f"[{number}/{len(jobs)}{until}] {job.name}: {how}")
    return outcome


def open_jobs(
    package: Package, jobs: Sequence[VideoJob], finish: Finish | None = None
) -> tuple[list[VideoJob], PredictionOutcome]:
    """Find the jobs that are not done, or lack what is to lie beside their tables.

    Parameters
    ----------
    package
        The model package.
    jobs
        The videos with their tables.
    finish
        Makes what lies beside the tables; None for nothing.

    Returns
    -------
    tuple[list[VideoJob], PredictionOutcome]
        These jobs, those first that were not begun; and an outcome that counts those whose tables are done.
    """
    states = {job: state(job, package.sha256) for job in jobs}
    done = [job for job in jobs if states[job] == "done"]
    due = {job for job in done if finish is not None and finish.is_due(job)}
    _LOG.info(f"{len(jobs)} videos, {len(done)} of them done before")
    if stale := list(states.values()).count("stale"):
        _LOG.info(
            f"{stale} were done with another package, or their videos have changed: they are done again"
        )
    if due:
        _LOG.info(f"{len(due)} tables lack their quality, or files next to them: made of the tables")
    todo = [job for job in jobs if job in due or states[job] != "done"]
    # A video at which a process was killed comes last, so that it cannot end each run before the others.
    return sorted(todo, key=_was_cut), PredictionOutcome(done_before=len(done))


def conclude(outcome: PredictionOutcome, out: Path) -> bool:
    """Print a summary, and list the failures here and in OUT/failures.txt.

    Parameters
    ----------
    outcome
        What became of the videos.
    out
        Folder of the tables.

    Returns
    -------
    bool
        Whether there were no failures.
    """
    failed = len(outcome.failures)
    _LOG.info(f"{len(outcome.predicted)} predicted, {outcome.done_before} done before, {failed} failed")
    lines = [f"{failure.name}: {failure.reason}" for failure in outcome.failures]
    if not lines:
        (out / FAILURES).unlink(missing_ok=True)
        return True
    for line in lines:
        _LOG.info(f"failed: {line}")
    with atomic_writer(out / FAILURES) as file:
        file.write("\n".join(lines) + "\n")
    _LOG.info(f"started again, it tries these {len(lines)} once more; the list is {out / FAILURES}")
    return False


def _complete(
    package: Package,
    predictor: Predictor | None,
    job: VideoJob,
    finish: Finish | None,
    report_progress: Callable[[int, int], object],
) -> str:
    """Predict a video, where there is a predictor, and make what lies beside its table; a line on both."""
    how = "its table is from before"
    if predictor is not None:
        info = check_video(package, job.video, job.out)
        frames = predictor.write(
            job.video, job.out, lambda done: report_progress(done, info.frames), job.covariance
        )
        write_record(job, package.sha256, str(predictor.choice.engine.precision), frames)
        how = f"{frames} frames"
    quality = "" if finish is None else shares_text(finish(job, package))
    return f"{how}, {quality}" if quality else how


def _was_cut(job: VideoJob) -> bool:
    """Whether a process was killed at this video: only then it leaves a part of the table."""
    return job.out.with_name(job.out.name + PART).exists()


def size_of(job: VideoJob) -> int:
    """Look up the size of a job's video.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    int
        Bytes; 1 where the video is not there.
    """
    return max(job.video.stat().st_size, 1) if job.video.is_file() else 1


def _progress() -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _advance(bar: Progress, task: TaskID, before: float, size: int, frames: int, of: int) -> None:
    bar.update(task, completed=before + size * min(frames / max(of, 1), 1.0))
