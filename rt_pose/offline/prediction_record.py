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


def record_path(job: VideoJob) -> Path:
    """Where the record of a job lies."""
    return job.out.with_name(job.out.name + ".json")


def write_record(job: VideoJob, package: str, engine: str, frames: int) -> None:
    """Say that the job's table, which is whole, is done. It appears in one step, after the table."""
    video = job.video.stat()
    record = PredictionRecord(
        package, engine, frames, video.st_size, video.st_mtime_ns, job.out.stat().st_size
    )
    with atomic_writer(record_path(job)) as file:
        file.write(msgspec.json.encode(record).decode() + "\n")


def state(job: VideoJob, package: str) -> State:
    """Whether the job's table is there, whole, and of this package and this very video."""
    try:
        record = msgspec.json.decode(record_path(job).read_bytes(), type=PredictionRecord)
        table = job.out.stat().st_size
        video = job.video.stat()
    except (OSError, msgspec.DecodeError):
        return "open"
    if table != record.table_bytes:
        return "open"
    same_video = (video.st_size, video.st_mtime_ns) == (record.video_bytes, record.video_mtime_ns)
    return "done" if same_video and record.package == package else "stale"


@contextmanager
def exclusive_lock(
    out: Path, shared: bool = False, verb: str = "rt-pose predict", lock: str = LOCK
) -> Iterator[None]:
    """Within it no other run of the verb writes to `out`, but for those that share it; UserError where one
    does.

    The system releases the lock however the process ends.
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
