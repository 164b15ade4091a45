"""What has been predicted already: a record beside each table, of the package and the video it came from."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from rt_pose.errors import UserError
from rt_pose.files import write_atomic
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.quality import Quality

LOCK = ".predict.lock"
SUFFIX = ".json"
"""What a record's name adds to its table's."""
State = Literal["done", "stale", "open"]
"""Done; made by another package or of another video; not done."""


@dataclass
class PredictionRecord:
    """The file TABLE.json."""

    package: str
    """sha256 of the model package."""
    engine: str
    frames: int
    video_bytes: int
    video_mtime_ns: int
    table_bytes: int
    """0 where there is no table, since the video failed."""
    video: str = ""
    """Path of the video."""
    failure: str = ""
    """Why the video failed, or what is to lie beside the table could not be made; empty where nothing did."""
    quality: Quality | None = None
    """None where it was not measured."""
    parquet_bytes: int = 0
    picture_bytes: int = 0
    """Of the worst frames."""
    covariance_bytes: int = 0
    """Of the table of covariances; 0 where none was asked for."""


def record_path(job: VideoJob) -> Path:
    """Name the record of a job.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    Path
        The path, beside the table.
    """
    return job.out.with_name(job.out.name + SUFFIX)


def write_record(job: VideoJob, package: str, engine: str, frames: int) -> None:
    """Record that a job's table, which is whole, is done. The record appears in one step, after the table.

    Parameters
    ----------
    job
        The job.
    package
        sha256 of the model package.
    engine
        What predicted it.
    frames
        How many frames the table has.
    """
    video = job.video.stat()
    replace_record(
        job,
        PredictionRecord(
            package,
            engine,
            frames,
            video.st_size,
            video.st_mtime_ns,
            job.out.stat().st_size,
            str(job.video.absolute()),
            covariance_bytes=job.covariance.stat().st_size if job.covariance else 0,
        ),
    )


def note_failure(job: VideoJob, package: str, reason: str) -> None:
    """Record that a job has failed, or that what is to lie beside its table could not be made.

    Parameters
    ----------
    job
        The job.
    package
        sha256 of the model package.
    reason
        Why.
    """
    record = read_record(record_path(job)) if state(job, package) == "done" else None
    if record is None:
        record = PredictionRecord(package, "", 0, 0, 0, 0, str(job.video.absolute()))
    record.failure = reason
    replace_record(job, record)


def clear_failures(jobs: Iterable[VideoJob]) -> None:
    """Take away what an earlier run noted of jobs that are tried again.

    Parameters
    ----------
    jobs
        The jobs.
    """
    for job in jobs:
        record = read_record(record_path(job))
        if record is None or not record.failure:
            continue
        if record.table_bytes:
            record.failure = ""
            replace_record(job, record)
        else:
            record_path(job).unlink(missing_ok=True)


def replace_record(job: VideoJob, record: PredictionRecord) -> None:
    """Write a job's record in one step.

    Parameters
    ----------
    job
        The job.
    record
        Its record.
    """
    write_atomic(record_path(job), msgspec.json.encode(record).decode() + "\n")


def read_record(path: Path) -> PredictionRecord | None:
    """Read a record.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    PredictionRecord or None
        None where there is none, or it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=PredictionRecord)
    except (OSError, msgspec.DecodeError):
        return None


def state(job: VideoJob, package: str) -> State:
    """Check whether a job is done.

    Parameters
    ----------
    job
        The job.
    package
        sha256 of the model package.

    Returns
    -------
    State
        "done" where the table is there, whole, and of this package and this very video; "stale" where it is
        of others; otherwise "open".
    """
    record = read_record(record_path(job))
    if record is None or file_bytes(job.out) != record.table_bytes or not record.table_bytes:
        return "open"
    if job.covariance and file_bytes(job.covariance) != (record.covariance_bytes or None):
        return "open"
    try:
        video = job.video.stat()
    except OSError:
        return "open"
    same_video = (video.st_size, video.st_mtime_ns) == (record.video_bytes, record.video_mtime_ns)
    return "done" if same_video and record.package == package else "stale"


def file_bytes(path: Path) -> int:
    """Look up the size of a file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    int
        Bytes; 0 where it is not there.
    """
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def exclusive_lock(
    out: Path, shared: bool = False, verb: str = "rt-pose predict", lock: str = LOCK
) -> Iterator[None]:
    """Keep other runs of the verb from writing to `out` within the block, except for those that share it.

    The system releases the lock however the process ends.

    Parameters
    ----------
    out
        The folder; made where it does not exist.
    shared
        Whether others that share it may write there too.
    verb
        The verb, for messages.
    lock
        Name of the lock file.

    Raises
    ------
    UserError
        Where another run writes there, or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / lock).open("w")
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}; choose another") from error
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"--out {out}: another `{verb}` is writing there; wait for it, or choose another"
            ) from error
        yield
