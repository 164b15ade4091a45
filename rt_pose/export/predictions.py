"""A file of predictions as a recording: its times are those of its video, its own, or a stated rate's."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.export.poses import Pictures, Poses, Recording
from rt_pose.offline.alignment import MOST_FRAMES
from rt_pose.offline.pose_files import read_pose_file
from rt_pose.types import FloatArray
from rt_pose.video import probe


def recording_of_file(path: Path, camera: str, fps: float | None, video: Path | None) -> Recording:
    """Read a file of predictions.

    Parameters
    ----------
    path
        CSV, .h5, .slp or .nwb.
    camera
        Of an .nwb that holds several; empty where it holds one.
    fps
        Frames a second of its video, where the video is not at hand.
    video
        The video; None where it is not at hand.

    Returns
    -------
    Recording
        A row for each of its rows.

    Raises
    ------
    UserError
        Where it cannot be read, has no times, or does not fit its video.
    """
    found = read_pose_file(path, camera, scored=False, several=True)
    individuals = found.individuals or [""]  # of one individual the arrays have no axis of them
    numbers = _numbers(path, found.frames)
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    if (np.diff(numbers) == 0).any():
        twice = numbers[1:][np.diff(numbers) == 0][0]
        raise UserError(f"{path}: two rows are of frame {twice}; expected poses of one video")
    own_s = None if found.t_s is None else found.t_s[order]
    timing = _timing(path, numbers, own_s, fps) if video is None else _timing_of_video(path, numbers, video)
    keypoints = found.keypoints
    poses = Poses(
        camera=camera,
        keypoints=keypoints,
        skeleton=[(keypoints.index(a), keypoints.index(b)) for a, b in found.skeleton],
        frames=numbers,
        numbers=numbers,
        t_s=timing.t_s,
        xy=found.xy[order].reshape(len(order), len(individuals), -1, 2),
        confidence=found.likelihood[order].reshape(len(order), len(individuals), -1),
        individuals=individuals,
        times=timing.origin,
        size=timing.size,
        video=video or (Path(found.video) if found.video else None),
        video_frames=timing.video_frames,
        where=f"frames of {path.name}",
        pictures=timing.pictures,
    )
    return Recording(path, [poses], unnumbered_rows=found.unnumbered)


class _Timing(NamedTuple):
    """When the frames of a file were taken, and, where it is at hand, what their video says."""

    t_s: FloatArray
    origin: str
    """Where the times come from, in words."""
    size: tuple[int, int] | None = None
    video_frames: int | None = None
    pictures: Pictures | None = None


def _timing(path: Path, numbers: NDArray[np.int64], own_s: FloatArray | None, fps: float | None) -> _Timing:
    """Times without a video: by the rate that is given, or the file's own."""
    if own_s is not None and fps is None:
        return _Timing(own_s, f"times of {path.name}")
    if fps is not None and 0.01 <= fps <= 1e5:
        return _Timing(numbers / fps, f"frame numbers at {fps:g} frames/s")
    raise UserError(f"{path}: it has no times; give its video with --video, or the video's rate with --fps")


def _timing_of_video(path: Path, numbers: NDArray[np.int64], video: Path) -> _Timing:
    info, t_all = probe(video), frame_times(video)
    if numbers[-1] >= len(t_all):
        raise UserError(f"{path}: it has a frame {numbers[-1]}, {video} has {len(t_all)} frames")
    row = np.full(len(t_all), -1, np.int64)
    row[numbers] = np.arange(len(numbers))
    return _Timing(
        t_all[numbers],
        f"frame times of {video.name}",
        (info.width, info.height),
        len(t_all),
        Pictures(video, t_all, row),
    )


def frame_times(video: Path) -> FloatArray:
    """Read when each frame of a video is shown.

    Parameters
    ----------
    video
        The file.

    Returns
    -------
    FloatArray
        (F,) s from its first frame; by its rate where the file has no times.
    """
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        packets = [packet.pts for packet in container.demux(stream) if packet.size]
        base, rate = stream.time_base, stream.average_rate
    if any(pts is None for pts in packets) or base is None:
        return np.arange(len(packets)) / float(rate or 30)
    pts = np.sort(np.array(packets, np.int64))
    return np.asarray((pts - pts[0]) * float(base))


def _numbers(path: Path, cells: list[str]) -> NDArray[np.int64]:
    try:
        numbers = np.array([int(float(cell)) for cell in cells], np.int64)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{path}: its first column should hold numbers of frames: {error}") from error
    if not numbers.size:
        raise UserError(f"{path}: it holds no frame")
    if numbers.min() < 0 or numbers.max() >= MOST_FRAMES:
        raise UserError(f"{path}: its first column holds {numbers.max()}; expected numbers of frames, from 0")
    return numbers
