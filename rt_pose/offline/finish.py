"""What lies beside a predicted table: its quality, a picture of its worst frames, and its poses as Parquet.

All of it is made of the table and its video, so that what is missing is made without the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.offline.contact_sheet import write_contact_sheet
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.frames_at import read_frames_at
from rt_pose.offline.prediction_files import Predictions, read_predictions
from rt_pose.offline.prediction_record import file_bytes, read_record, record_path, replace_record
from rt_pose.offline.quality import Quality, measure_quality
from rt_pose.offline.quality_config import QualityConfig
from rt_pose.package import Package, Subspace, trained_sizes
from rt_pose.video import VideoReader


@dataclass
class Finish:
    """Makes what lies beside a table, where it is not there."""

    quality: QualityConfig
    write_parquet: Callable[[Path, Path, Path], object] | None = None
    """Given the table, its video, and the file to write in one step; None for none."""

    def files(self, job: VideoJob) -> list[Path]:
        """List the files that a job gets beside its table and record.

        Parameters
        ----------
        job
            The job.

        Returns
        -------
        list[Path]
            Their paths.
        """
        picture = [picture_path(job)] if self.quality.worst else []
        return picture + ([parquet_path(job)] if self.write_parquet else [])

    def is_due(self, job: VideoJob) -> bool:
        """Tell whether a job whose table is done lacks something, or was measured by other options.

        Parameters
        ----------
        job
            The job.

        Returns
        -------
        bool
            Whether the job is to be finished.
        """
        record = read_record(record_path(job))
        if record is None or record.quality is None or record.quality.options != self.quality:
            return True
        if record.failure or (self.quality.worst and _is_other(picture_path(job), record.picture_bytes)):
            return True
        return self.write_parquet is not None and _is_other(parquet_path(job), record.parquet_bytes)

    def __call__(self, job: VideoJob, package: Package) -> Quality:
        """Make it all, and write it into the job's record.

        Parameters
        ----------
        job
            A job whose table and record are there.
        package
            Whose table it is.

        Returns
        -------
        Quality
            How good the table is.

        Raises
        ------
        UserError
            Where the table or its video cannot be read, or a file cannot be written.
        """
        record = read_record(record_path(job))
        if record is None:
            raise UserError(f"{record_path(job)}: is gone; predict the video again")
        poses = read_predictions(job.out)
        seen_from, spaces = package.manifest.tracking.min_confidence, spaces_for(package, job)
        record.quality = measure_quality(poses, seen_from, spaces, self.quality)
        if self.quality.worst:
            _draw_worst(job, package, poses, record.quality)
            record.picture_bytes = file_bytes(picture_path(job))
        if self.write_parquet is not None:
            self.write_parquet(job.out, job.video, parquet_path(job))
            record.parquet_bytes = file_bytes(parquet_path(job))
        record.failure = ""
        replace_record(job, record)
        return record.quality


def picture_path(job: VideoJob) -> Path:
    """Name the picture of a job's worst frames.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    Path
        The path, beside the table.
    """
    return job.out.with_suffix(".worst.jpg")


def parquet_path(job: VideoJob) -> Path:
    """Name the Parquet of a job's poses.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    Path
        The path, beside the table.
    """
    return job.out.with_suffix(".parquet")


def spaces_for(package: Package, job: VideoJob) -> list[Subspace]:
    """Get the package's spaces of poses, which are in px of frames of the size trained on.

    Parameters
    ----------
    package
        The package.
    job
        The video.

    Returns
    -------
    list[Subspace]
        None of them where the video has another size.

    Raises
    ------
    UserError
        Where the video cannot be read.
    """
    spaces = package.manifest.tracking.subspaces
    if not spaces:
        return []
    with VideoReader(job.video, 1) as reader:
        width, height, _ = reader.first()
    return list(spaces) if (width, height) in trained_sizes(package) else []


def _is_other(path: Path, size: int) -> bool:
    return not size or file_bytes(path) != size


def _draw_worst(job: VideoJob, package: Package, poses: Predictions, quality: Quality) -> None:
    numbers = [int(float(frame)) for frame in poses.frames]
    row_of = {number: row for row, number in enumerate(numbers)}
    images = read_frames_at(job.video, [worst.frame for worst in quality.worst], max(numbers) + 1, 3)
    shown = [worst for worst in quality.worst if worst.frame in images]
    rows = [row_of[worst.frame] for worst in shown]
    seen = poses.likelihood >= package.manifest.tracking.min_confidence
    seen &= np.isfinite(poses.xy).all(axis=-1)
    index = {name: k for k, name in enumerate(poses.keypoints)}
    write_contact_sheet(
        picture_path(job),
        [images[worst.frame] for worst in shown],
        list(poses.xy[rows]),
        list(seen[rows]),
        [f"{worst.frame} {worst.reason}" for worst in shown],
        [(index[a], index[b]) for a, b in package.manifest.skeleton],
    )
