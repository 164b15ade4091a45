"""The Parquet beside a predicted table: its poses, with the frame times of its video."""

from __future__ import annotations

from pathlib import Path

import av.error

from rt_pose.errors import UserError
from rt_pose.export.predictions import recording_of_file
from rt_pose.export.tables import write_parquet
from rt_pose.files import PART


def write_predicted_parquet(table: Path, video: Path, out: Path) -> None:
    """Write a table of predictions as Parquet; the file appears when it is whole.

    Parameters
    ----------
    table
        The CSV.
    video
        The video that it is of.
    out
        The file.

    Raises
    ------
    UserError
        Where the table or the video cannot be read, or the file cannot be written.
    """
    part = out.with_name(out.name + PART)
    try:
        write_parquet(recording_of_file(table, "", None, video), part)
        part.replace(out)
    except (OSError, av.error.FFmpegError) as error:
        raise UserError(f"{out}: cannot be written: {error}; choose another `--out`") from error
    finally:
        part.unlink(missing_ok=True)
