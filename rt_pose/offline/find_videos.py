"""The videos of a folder, a pattern or a list, and the table each is to become."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rt_pose.errors import UserError

SUFFIXES = frozenset([".mp4", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".webm", ".mj2"])


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One video and its CSV."""

    video: Path
    name: str
    """For people: the path under what was asked for."""
    out: Path
    covariance: Path | None = None
    """The CSV of its keypoints' covariances; None where none is asked for."""


def with_covariances(jobs: Sequence[VideoJob]) -> list[VideoJob]:
    """Ask for the covariances of every job, beside its table.

    Parameters
    ----------
    jobs
        Videos and their tables.

    Returns
    -------
    list[VideoJob]
        The same, each with a second table: NAME_covariance.csv beside NAME.csv.

    Raises
    ------
    UserError
        Where another video's table has that name.
    """
    tables = {job.out: job for job in jobs}
    asked = [replace(job, covariance=job.out.with_name(f"{job.out.stem}_covariance.csv")) for job in jobs]
    for job in asked:
        if job.covariance in tables:
            raise UserError(
                f"--covariance: that of {job.video} and the predictions of {tables[job.covariance].video} "
                f"would both become {job.covariance}; rename one of the videos"
            )
    return asked


def find_videos(asked: str | Sequence[str], out: Path, listed: str = "") -> list[VideoJob]:
    """Find the videos that a user names, and the table each is to become.

    Tables lie in `out` as the videos lie in the folder, under the pattern's fixed part, or, of a list and of
    several, under the videos' deepest common folder.

    Parameters
    ----------
    asked
        A folder (with those below it), a pattern with `*` or `**`, a list (a text file with a path a line,
        relative to it), or one video; or several of these.
    out
        Folder of the tables.
    listed
        A further list; empty for none.

    Returns
    -------
    list[VideoJob]
        The jobs, in order of the videos' paths.

    Raises
    ------
    UserError
        Where there are no videos, or two would become one table.
    """
    words = [asked] if isinstance(asked, str) else list(asked)
    found = [_found(word) for word in words] + ([_from_list(Path(listed), "--videos-from")] if listed else [])
    root, videos = found[0]
    if len(found) > 1:
        videos = {video.absolute() for _, some in found for video in some}
        root = _common(videos)
    jobs: dict[Path, VideoJob] = {}
    for video in sorted(videos):
        name = video.relative_to(root)
        table = out / name.with_suffix(".csv")
        if table in jobs:
            raise UserError(
                f"--videos {' '.join(words) or listed}: {jobs[table].video} and {video} would both become "
                f"{table}; rename one, or give them in two goes with an --out each"
            )
        jobs[table] = VideoJob(video, str(name), table)
    return list(jobs.values())


def _found(asked: str) -> tuple[Path, set[Path]]:
    path = Path(asked).expanduser()
    if path.is_dir():
        videos = {p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()}
        return path, _some(asked, videos, f"no file that ends in {', '.join(sorted(SUFFIXES))}")
    if path.is_file():
        return (path.parent, {path}) if path.suffix.lower() in SUFFIXES else _from_list(path)
    if glob.has_magic(asked):
        videos = {p for p in map(Path, glob.iglob(str(path), recursive=True)) if p.is_file()}
        return _fixed_part(path), _some(asked, videos, "no file has such a name")
    raise UserError(
        f"--videos {asked}: no such file or folder; give a folder, a pattern such as 'rig/**/*.mp4', "
        "or a text file with a path a line"
    )


def _from_list(path: Path, option: str = "--videos") -> tuple[Path, set[Path]]:
    videos = {video.absolute() for video in _listed(path.expanduser(), option)}
    return _common(videos), _some(str(path), videos, "it lists no video", option)


def _some(asked: str, videos: set[Path], otherwise: str, option: str = "--videos") -> set[Path]:
    if not videos:
        raise UserError(f"{option} {asked}: {otherwise}")
    return videos


def _listed(path: Path, option: str) -> list[Path]:
    if not path.is_file():
        raise UserError(f"{option} {path}: no such file; give a text file with a path a line")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise UserError(
            f"{option} {path}: neither a video nor a text file with a path a line: {error}"
        ) from error
    # A file that is not there is that video's failure, reported at the end with the others.
    return [path.parent / Path(line).expanduser() for line in lines if line and not line.startswith("#")]


def _common(videos: set[Path]) -> Path:
    return Path(os.path.commonpath([video.parent.absolute() for video in videos])) if videos else Path()


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before its first wildcard."""
    parts = pattern.parts[:-1]
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])
