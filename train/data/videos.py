"""Unlabeled videos, examined before training: what each file holds, and where its frames stand.

Nothing but packets is read, so thousands of frames cost milliseconds. All problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.video import VideoInfo, probe

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".mpeg")
OFF_RATE = 0.2
"""An interval between two frames that differs from the usual one by more than this share is irregular."""
IRREGULAR_SHARE = 0.01
"""A video with more irregular intervals than this share has no constant frame rate."""


@dataclass
class IndexedVideo:
    """A video that clips can be taken from. F frames."""

    info: VideoInfo
    times: NDArray[np.int64]
    """(F,) times of the frames in the order shown, in the stream's own unit."""
    keys: NDArray[np.int64]
    """Times of the key frames, rising: decoding can begin at these."""
    regular: NDArray[np.bool_]
    """(F - 1,) whether the step to the next frame takes the usual time; elsewhere frames are missing."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.info.path

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of its frames, px."""
        return self.info.width, self.info.height

    def starts(self, clip_length: int) -> NDArray[np.intp]:
        """Return the frames at which a clip can begin: all of its frames follow one another without a gap.

        Parameters
        ----------
        clip_length
            Number of frames T of a clip.

        Returns
        -------
        NDArray
            Indices, rising; empty where no clip fits.
        """
        steps = clip_length - 1
        if len(self.times) < clip_length:
            return np.empty(0, np.intp)
        gaps = np.concatenate([[0], np.cumsum(~self.regular)])
        return np.flatnonzero(gaps[steps:] == gaps[: len(gaps) - steps])


def find_videos(folder: Path, given: Sequence[str | Path] = ()) -> list[Path]:
    """Find video files.

    Parameters
    ----------
    folder
        The data folder.
    given
        Files, or folders of them, relative to `folder`; empty: those of `folder`/videos.

    Returns
    -------
    list of Path
        The files; those of a folder in the order of their names.

    Raises
    ------
    UserError
        Where a file is missing, or where a folder holds no video.
    """
    places = [folder / place for place in given] or [folder / "videos"]
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        inside = sorted(p for p in place.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
        if not inside:
            raise UserError(f"videos {place}: no video in this folder ({', '.join(VIDEO_SUFFIXES)})")
        found += inside
    missing = [path for path in found if not path.exists()]
    if missing:
        here = [Path(place) for place in given if folder / place in missing and Path(place).exists()]
        hint = f"; for the one in the current folder write {here[0].absolute()}" if here else ""
        raise UserError(
            f"videos: no such file: {', '.join(map(str, missing))}; name files, or a folder of them, "
            f"relative to the data folder ({folder}){hint}"
        )
    return found


def check_videos(paths: Sequence[Path], clip_length: int) -> list[IndexedVideo]:
    """Index videos and check that clips can be taken from them.

    Parameters
    ----------
    paths
        The files.
    clip_length
        Frames T of a clip.

    Returns
    -------
    list of IndexedVideo
        One for each file, in order.

    Raises
    ------
    UserError
        With all that is wrong with them: no file at all, files that cannot be decoded, shorter than a clip,
        with a variable frame rate or with too many frames missing.
    """
    videos: list[IndexedVideo] = []
    problems: list[str] = []
    for path in paths:
        try:
            video = index_video(path)
            _check(video, clip_length)
            videos.append(video)
        except UserError as error:
            problems.append(str(error))
    if not paths:
        problems.append("videos: none was given; name files, or a folder of them")
    if problems:
        raise UserError("the unlabeled videos cannot be used:\n  " + "\n  ".join(problems))
    return videos


def index_video(path: Path) -> IndexedVideo:
    """Find where the frames of a video stand.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    IndexedVideo
        Times in the stream's own unit.

    Raises
    ------
    UserError
        Where the file is missing, cut off or cannot be decoded.
    """
    info = probe(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [(_time(p), p.dts, p.is_keyframe, p.is_discard) for p in container.demux(stream) if p.size]
        container.seek(packets[0][0] or 0, stream=stream)
        _decode_one(path, container)
    _check_running(path, [dts for _, dts, _, _ in packets if dts is not None])
    times = np.array([time for time, _, _, hidden in packets if not hidden], np.int64)
    keys = np.array([time for time, _, key, _ in packets if key], np.int64)
    times = np.sort(times)
    steps = np.diff(times)
    usual = np.median(steps) if len(steps) else 1
    return IndexedVideo(info, times, np.sort(keys), np.abs(steps - usual) <= OFF_RATE * usual)


def _check(video: IndexedVideo, clip_length: int) -> None:
    name = f"video {video.path}"
    if len(video.times) < clip_length:
        raise UserError(
            f"{name}: {len(video.times)} frames, shorter than a clip ({clip_length} frames); leave it out, "
            f"or set `clip_length: {len(video.times)}` or less"
        )
    irregular = int((~video.regular).sum())
    if irregular > IRREGULAR_SHARE * len(video.regular):
        raise UserError(
            f"{name}: variable frame rate: {irregular} of {len(video.regular)} intervals between frames "
            f"differ from the usual one by more than {OFF_RATE:.0%}, so motion from frame to frame has no "
            f"meaning; make it constant: ffmpeg -i {video.path.name} -vf fps={video.info.rate_hz:.4g} OUT.mp4"
        )
    if not len(video.starts(clip_length)):
        raise UserError(
            f"{name}: frames are missing, and no {clip_length} frames follow one another without a gap; "
            "leave it out, or set a smaller `clip_length`"
        )


def _check_running(path: Path, decoded: list[int]) -> None:
    """Refuse a video whose times begin again: its frames could not be told apart by them."""
    again = np.flatnonzero(np.diff(decoded) < 0)
    if len(again):
        raise UserError(
            f"video {path}: its times begin again at frame {again[0] + 1}, as in recordings that were "
            f"joined; write it with running times: ffmpeg -i {path.name} -vf setpts=N/FRAME_RATE/TB OUT.mp4"
        )


def _decode_one(path: Path, container: av.container.InputContainer) -> None:
    try:
        frame = next(container.decode(video=0), None)
    except (av.error.FFmpegError, ValueError) as error:
        raise UserError(
            f"video {path}: its frames cannot be decoded: {error}; convert it to H.264"
        ) from error
    if frame is None:
        raise UserError(f"video {path}: no frame of it can be decoded; convert it to H.264")


def _time(packet: av.Packet) -> int:
    time = packet.pts if packet.pts is not None else packet.dts
    return 0 if time is None else int(time)
