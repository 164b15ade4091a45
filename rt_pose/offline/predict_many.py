"""`rt-pose predict --videos`: many videos, one table each; interrupted, it goes on where it was.

A table takes its name when it is whole, and then a record of its package and video appears beside it. What
has both is never done again; what lacks either is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.predict import Predictor, check_video
from rt_pose.offline.prediction_record import State, state, write_record
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


def predict_many(package: Package, jobs: Sequence[VideoJob], config: EngineConfig) -> PredictionOutcome:
    """Predict every job that is not done. A video that cannot be predicted is a failure; the others go on.

    Parameters
    ----------
    package
        The model package.
    jobs
        The videos with their tables.
    config
        The `engine` section of a configuration.

    Returns
    -------
    PredictionOutcome
        What became of the videos, with the reasons of failures.

    Raises
    ------
    UserError
        Where no engine can serve the package.
    """
    todo, outcome = open_jobs(package, jobs)
    if not todo:
        return outcome
    predictor = Predictor(package, config)
    _LOG.info(f"engine: {predictor.choice}")
    with _progress() as bar:
        # Frames are only known once a video is opened, so time left goes by bytes of video.
        task = bar.add_task("", total=sum(map(size_of, todo)))
        for number, job in enumerate(todo, outcome.done_before + 1):
            bar.update(task, description=f"{number} of {len(jobs)}: {job.name}")
            before = bar.tasks[task].completed
            try:
                frames = _predict(package, predictor, job, partial(_advance, bar, task, before, size_of(job)))
                how = f"{frames} frames"
                outcome.predicted.append(job.name)
            except (UserError, OSError) as error:
                outcome.failures.append(Failure(job.name, str(error)))
                how = f"failed: {error}"
            bar.update(task, completed=before + size_of(job))
            left = bar.tasks[task].time_remaining
            until = "" if left is None else f", {timedelta(seconds=round(left))} left"
            _LOG.info(f"[{number}/{len(jobs)}{until}] {job.name}: {how}")
    return outcome


def open_jobs(package: Package, jobs: Sequence[VideoJob]) -> tuple[list[VideoJob], PredictionOutcome]:
    """Find the jobs that are not done.

    Parameters
    ----------
    package
        The model package.
    jobs
        The videos with their tables.

    Returns
    -------
    tuple[list[VideoJob], PredictionOutcome]
        These jobs, and an outcome that counts the others.
    """
    states: list[State] = [state(job, package.sha256) for job in jobs]
    outcome = PredictionOutcome(done_before=states.count("done"))
    _LOG.info(f"{len(jobs)} videos, {outcome.done_before} of them done before")
    if stale := states.count("stale"):
        _LOG.info(
            f"{stale} were done with another package, or their videos have changed: they are done again"
        )
    return [job for job, known in zip(jobs, states, strict=True) if known != "done"], outcome


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


def _predict(
    package: Package, predictor: Predictor, job: VideoJob, report_progress: Callable[[int, int], object]
) -> int:
    info = check_video(package, job.video, job.out)
    frames = predictor.write(
        job.video, job.out, lambda done: report_progress(done, info.frames), job.covariance
    )
    write_record(job, package.sha256, str(predictor.choice.engine.precision), frames)
    return frames


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
