"""`rt-pose predict --videos`: many videos, one table each; interrupted, it goes on where it was.

A table takes its name when it is whole, and then a record of its package and video appears beside it. What
has both is never done again; what lacks either is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rt_pose.clock import NS_PER_S, Clock
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
    """What became of the videos."""

    predicted: list[str] = field(default_factory=list)
    done_before: int = 0
    failures: list[Failure] = field(default_factory=list)


def predict_many(
    package: Package, jobs: Sequence[VideoJob], config: EngineConfig, clock: Clock
) -> PredictionOutcome:
    """Predict every job that is not done. A video that cannot be is a failure, told with its reason; the
    others go on. UserError where no engine can serve the package."""
    todo, outcome = open_jobs(package, jobs)
    if not todo:
        return outcome
    predictor = Predictor(package, config)
    _LOG.info(f"engine: {predictor.choice}")
    with _Progress(len(jobs), outcome.done_before, [_size(job) for job in todo], clock).shown() as shown:
        for job in todo:
            shown.begin(job.name)
            try:
                frames = _predict(package, predictor, job, shown.frames_done)
            except (UserError, OSError) as error:
                outcome.failures.append(Failure(job.name, str(error)))
                _LOG.info(f"{shown.end()} {job.name}: failed: {error}")
                continue
            outcome.predicted.append(job.name)
            _LOG.info(f"{shown.end()} {job.name}: {frames} frames")
    return outcome


def open_jobs(package: Package, jobs: Sequence[VideoJob]) -> tuple[list[VideoJob], PredictionOutcome]:
    """The jobs that are not done."""
    states: list[State] = [state(job, package.sha256) for job in jobs]
    outcome = PredictionOutcome(done_before=states.count("done"))
    _LOG.info(f"{len(jobs)} videos, {outcome.done_before} of them done before")
    if stale := states.count("stale"):
        _LOG.info(
            f"{stale} were done with another package, or their videos have changed: they are done again"
        )
    return [job for job, known in zip(jobs, states, strict=True) if known != "done"], outcome


def conclude(outcome: PredictionOutcome, out: Path) -> bool:
    """Say how it went, and list the failures here and in OUT/failures.txt; whether there were none."""
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
    frames = predictor.write(job.video, job.out, lambda done: report_progress(done, info.frames))
    write_record(job, package.sha256, str(predictor.choice.engine.precision), frames)
    return frames


def _size(job: VideoJob) -> int:
    try:
        return max(job.video.stat().st_size, 1)
    except OSError:
        return 1


class _Progress:
    """How far it is. Frames are only known once a video is opened, so time left goes by bytes of video."""

    def __init__(self, videos: int, before: int, sizes: list[int], clock: Clock) -> None:
        self._videos, self._number = videos, before
        self._sizes, self._at = sizes, 0
        self._clock, self._began_ns = clock, clock.now_ns()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=Console(stderr=True)
        )
        self._task = self._bar.add_task("", total=sum(sizes))

    @contextmanager
    def shown(self) -> Iterator[_Progress]:
        with self._bar:
            yield self

    def begin(self, name: str) -> None:
        self._number += 1
        self._bar.update(self._task, description=f"{self._number} of {self._videos}: {name}")

    def frames_done(self, frames: int, of: int) -> None:
        share = min(frames / max(of, 1), 1.0)
        done = sum(self._sizes[: self._at]) + share * self._sizes[self._at]
        self._bar.update(self._task, completed=done)

    def end(self) -> str:
        """The video is done, or failed; which one it was, and the time left, in words."""
        self._at += 1
        done = sum(self._sizes[: self._at])
        self._bar.update(self._task, completed=done)
        elapsed_s = (self._clock.now_ns() - self._began_ns) / NS_PER_S
        left_s = elapsed_s / done * (sum(self._sizes) - done)
        return f"[{self._number}/{self._videos}, {_duration(left_s)} left]"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
