"""Recorded videos through PyAV: what a file holds, and its frames with their own times.

A file is checked before it is used: a cut mp4 does not open, but a cut AVI, or an mp4 with its table of
contents in front, opens and then ends early without an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError

Channels = Literal[1, 3]
_FORMATS: dict[int, str] = {1: "gray", 3: "rgb24"}


@dataclass(slots=True)
class VideoInfo:
    """What a video file holds."""

    path: Path
    width: int
    height: int
    channels: Channels
    """1 where the file itself stores gray, else 3. Either can be asked for when reading."""
    rate_hz: float
    """Mean frame rate."""
    frames: int
    duration_s: float


@dataclass(slots=True)
class VideoFrame:
    """One decoded frame."""

    index: int
    """From 0, in the order shown."""
    t_ns: int
    """The frame's own time, from the file's first frame."""
    image: NDArray[np.uint8]
    """(H, W, C), contiguous."""


class VideoReader:
    """The frames of a file in the order shown.

    Gray is the luma plane stretched to 0..255 (a gray file's own levels): the same numbers as a gray PNG
    taken from that video. RGB is the file's colours, full range.
    """

    def __init__(self, path: Path | str, channels: Channels, size: tuple[int, int] | None = None) -> None:
        """Open a video.

        Parameters
        ----------
        path
            The file.
        channels
            1 for gray, 3 for RGB.
        size
            (width, height) px that frames are scaled to (bilinear); None for their own size.

        Raises
        ------
        UserError
            Where the file is not a video, or may not be read.
        """
        self._path = Path(path)
        self._size = size
        self._container, self._stream = _open(self._path)
        self._channels = channels
        self._frames: Iterator[Any] = self._container.decode(self._stream)
        # Kept: it holds the conversion's tables, which a frame's own `reformat` would set up every time.
        self._reformatter = VideoReformatter()
        self._index = 0
        self._first_pts: int | None = None

    def read(self, into: NDArray[np.uint8] | None = None) -> VideoFrame | None:
        """Decode the next frame.

        Parameters
        ----------
        into
            Where its pixels go, (H, W, C) uint8; None for memory of its own.

        Returns
        -------
        VideoFrame | None
            The frame; None after the last.

        Raises
        ------
        UserError
            Where the recording breaks off.
        """
        frame = self._next()
        if frame is None:
            return None
        image = pixels_of(frame, self._reformatter, self._channels, self._size, into)
        found = VideoFrame(self._index, self._time_ns(frame), image)
        self._index += 1
        return found

    @property
    def at(self) -> int:
        """Index of the frame that `read` would give next."""
        return self._index

    def skip(self, frames: int) -> None:
        """Pass over `frames` frames. They are decoded: a seek would land on the nearest key frame.

        Parameters
        ----------
        frames
            How many; skipping past the end is not an error.

        Raises
        ------
        UserError
            Where the recording breaks off.
        """
        for _ in range(frames):
            frame = self._next()
            if frame is None:
                return
            self._time_ns(frame)
            self._index += 1

    def close(self) -> None:
        """Release the file."""
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _next(self) -> Any:
        try:
            return next(self._frames, None)
        except av.error.FFmpegError as error:
            raise UserError(
                f"video {self._path}: breaks off after frame {self._index}: {error.strerror}; the file is "
                "damaged, copy it again"
            ) from error

    def _time_ns(self, frame: Any) -> int:
        if frame.pts is None:
            # Old AVI codecs give no times to some frames; there the rate is constant.
            return round(self._index * NS_PER_S / (self._stream.average_rate or Fraction(25)))
        if self._first_pts is None:
            self._first_pts = frame.pts
        return round((frame.pts - self._first_pts) * frame.time_base * NS_PER_S)


def pixels_of(
    frame: Any,
    reformatter: VideoReformatter,
    channels: Channels,
    size: tuple[int, int] | None = None,
    into: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Convert a decoded frame to an image.

    Parameters
    ----------
    frame
        PyAV's frame.
    reformatter
        Converts it; kept from frame to frame, since it keeps its tables.
    channels
        1 gray, 3 RGB.
    size
        Width and height to scale it to, px; None for its own.
    into
        Where the pixels go, (H, W, C) uint8; None for memory of their own.

    Returns
    -------
    NDArray[np.uint8]
        (H, W, C).
    """
    width, height = size or (frame.width, frame.height)
    plane = reformatter.reformat(frame, width, height, _FORMATS[channels]).planes[0]
    image = np.empty((height, width, channels), np.uint8) if into is None else into
    # PyAV pads its rows.
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
    image[:] = rows[:, : width * channels].reshape(image.shape)
    return image


def read_frames(path: Path | str, channels: Channels, start: int = 0) -> Iterator[VideoFrame]:
    """Decode the frames of a file, each in memory of its own.

    Parameters
    ----------
    path
        The file.
    channels
        1 for gray, 3 for RGB.
    start
        Index of the first frame to give.

    Yields
    ------
    VideoFrame
        The frames from `start` on, in the order shown.

    Raises
    ------
    UserError
        Where the file is not a video, or breaks off.
    """
    with VideoReader(path, channels) as reader:
        reader.skip(start)
        while (frame := reader.read()) is not None:
            yield frame


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Parse a size such as 640x480.

    Parameters
    ----------
    text
        The text; None or empty for no size.

    Returns
    -------
    tuple[int, int] | None
        (width, height), px; None where none was given.

    Raises
    ------
    UserError
        Where it is not a size.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+)[xX](\d+)", text.strip())
    if match is None or not int(match[1]) or not int(match[2]):
        raise UserError(f"--size: expected WIDTHxHEIGHT in px such as 640x480, got {text!r}")
    return int(match[1]), int(match[2])


def probe(path: Path | str) -> VideoInfo:
    """Look up what a video file holds, having made sure that it is whole.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    VideoInfo
        Its size, rate, number of frames and duration.

    Raises
    ------
    UserError
        Where the file is missing, not a video, cut off, or holds no frame.
    """
    path = Path(path)
    container, stream = _open(path)
    with container:
        frames = _count_frames(path, container, stream)
        rate = stream.average_rate or stream.guessed_rate
        if frames == 0 or not rate:
            raise UserError(f"video {path}: it holds no frame; check how it was recorded")
        context = stream.codec_context
        gray = context.format is not None and context.format.name.startswith("gray")
        duration = stream.duration * stream.time_base if stream.duration else frames / rate
        return VideoInfo(
            path=path,
            width=context.width,
            height=context.height,
            channels=1 if gray else 3,
            rate_hz=float(rate),
            frames=frames,
            duration_s=float(duration),
        )


def _open(path: Path) -> tuple[Any, Any]:
    if not path.is_file():
        raise UserError(f"video {path}: no such file")
    try:
        container = av.open(str(path))
    except PermissionError as error:
        raise UserError(f"video {path}: may not be read; check its permissions") from error
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"video {path}: {_failure_reason(path)}") from error
    # A text file opens too: FFmpeg draws it, as a terminal would.
    if not container.streams.video or container.streams.video[0].codec_context.name == "ansi":
        container.close()
        raise UserError(f"video {path}: {_failure_reason(path)}")
    return container, container.streams.video[0]


def _failure_reason(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return (
            "an mp4 without a readable video: it is cut off (its table of contents, at the end, is missing); "
            "copy it again"
        )
    return "not a video; expected a file such as mp4, avi or mkv"


def _count_frames(path: Path, container: Any, stream: Any) -> int:
    """Frames in the file; UserError where they are fewer than its own header declares."""
    entries = stream.index_entries
    size = path.stat().st_size
    whole = all(entry.pos + entry.size <= size for entry in entries)
    formats = container.format.name.split(",")
    declared: int = stream.frames
    if declared and "mp4" in formats:
        # An edit list may hide declared frames, so here places are compared, not counts.
        declared = len(entries)
        found = sum(entry.pos + entry.size <= size for entry in entries)
    elif declared and whole and len(entries) >= declared:
        found = declared
    else:
        found, end_s = _walk(container, stream)
        if "matroska" in formats and container.duration and len(container.streams) == 1:
            # Matroska declares no count, but a length, which its last frame reaches.
            missing_s = container.duration / av.time_base - end_s
            declared = found + round(missing_s * (stream.average_rate or 0))
    if found < declared:
        raise UserError(
            f"video {path}: it is cut off: its header declares {declared} frames, {found} are there; "
            "copy it again"
        )
    return found


def _walk(container: Any, stream: Any) -> tuple[int, float]:
    """How many frames can be reached, and the time (s) at which the last one ends."""
    found, end_s = 0, 0.0
    period_s = 1 / stream.average_rate if stream.average_rate else 0
    for packet in container.demux(stream):
        if packet.size:
            found += 1
            start_s = (packet.pts or 0) * stream.time_base
            end_s = max(end_s, float(start_s + (packet.duration * stream.time_base or period_s)))
    return found, end_s
