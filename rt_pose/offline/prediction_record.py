"""What has been predicted already: a record beside each table, of the package and the video it came from."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.offline.find_videos import VideoJob

LOCK = ".predict.lock"
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
    return job.out.with_name(job.out.name + ".json")


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
    record = PredictionRecord(
        package,
        engine,
        frames,
        video.st_size,
        video.st_mtime_ns,
        job.out.stat().st_size,
        job.covariance.stat().st_size if job.covariance else 0,
    )
    with atomic_writer(record_path(job)) as file:
        file.write(msgspec.json.encode(record).decode() + "\n")


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
    try:
        record = msgspec.json.decode(record_path(job).read_bytes(), type=PredictionRecord)
        table = job.out.stat().st_size
        covariance = job.covariance.stat().st_size if job.covariance else record.covariance_bytes
        video = job.video.stat()
    except (OSError, msgspec.DecodeError):
        return "open"
    if (table, covariance) != (record.table_bytes, record.covariance_bytes):
        return "open"
    same_video = (video.st_size, video.st_mtime_ns) == (record.video_bytes, record.video_mtime_ns)
    return "done" if same_video and record.package == package else "stale"


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
