"""Recorded videos through PyAV: what a file holds, and its frames with their own times.

A file is checked before it is used: a cut mp4 does not open, but a cut AVI, or an mp4 with its table of
contents in front, opens and then ends early without an error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
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
from rt_pose.video_pixels import is_mirrored, is_monochrome, pixels_of, quarter_turns, shown_size
from rt_pose.video_whole import declared_bytes

Channels = Literal[1, 3]


@dataclass(slots=True)
class VideoInfo:
    """What a video file holds."""

    path: Path
    width: int
    """Of its frames the right way up, as they are read."""
    height: int
    channels: Channels
    """1 where the file itself stores gray, else 3. Either can be asked for when reading."""
    rate_hz: float
    """Mean frame rate."""
    frames: int
    duration_s: float
    rotation: int = 0
    """Degrees clockwise by which the frames lie turned in the file, and are turned as they are read."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of the file."""


@dataclass(slots=True)
class VideoFrame:
    """One decoded frame."""

    index: int
    """From 0, in the order shown."""
    t_ns: int
    """The frame's own time, from the file's first frame; it runs on where the file's times begin again."""
    image: NDArray[np.uint8]
    """(H, W, C), contiguous."""
    epoch: int = 0
    """Counts up where the file's times begin again, as in recordings that were joined."""


class VideoReader:
    """The frames of a file in the order shown, the right way up by its display matrix.

    Gray is the luma plane stretched to 0..255 (a gray file's own levels): the same numbers as a gray PNG
    taken from that video. RGB is the file's colours, full range.
    """

    def __init__(
        self,
        path: Path | str,
        channels: Channels,
        size: tuple[int, int] | None = None,
        again: VideoReader | None = None,
    ) -> None:
        """Open a video.

        Parameters
        ----------
        path
            The file.
        channels
            1 for gray, 3 for RGB.
        size
            (width, height) px that frames are scaled to (bilinear); None for their own size.
        again
            An earlier reader of the same file that has read a frame of it: how its frames lie is not checked
            once more. That check leaves the frame and its decoder to Python's collector, which in a loop that
            allocates nothing may take hours to come.

        Raises
        ------
        UserError
            Where the file is not a video, or may not be read.
        """
        self._path = Path(path)
        self._size = size
        self._container, self._stream = _open(self._path)
        self._channels = channels
        self._frames: Generator[Any, None, None] = self._container.decode(self._stream)
        # Kept: it holds the conversion's tables, which a frame's own `reformat` would set up every time.
        self._reformatter = VideoReformatter()
        self._monochrome = is_monochrome(self._stream.codec_context)
        self._index = 0
        self._form: tuple[int, int, int] | None = None if again is None else again._form
        """Width, height and rotation of every frame in the file."""
        self._epoch = 0
        self._first_pts: int | None = None
        self._period_ns = round(NS_PER_S / (self._stream.average_rate or Fraction(25)))
        self._base_ns = 0
        """Time of the present epoch's first frame, where it is not the file's first."""
        self._last_ns: int | None = None

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
            Where the recording breaks off, or its frames change their size.
        """
        frame = self._next()
        if frame is None:
            return None
        image = pixels_of(
            frame, self._reformatter, self._channels, self._size, into, monochrome=self._monochrome
        )
        t_ns = self._time_ns(frame)
        found = VideoFrame(self._index, t_ns, image, self._epoch)
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

    def read_at(self, numbers: Iterable[int]) -> Iterator[VideoFrame]:
        """Decode some frames, those between them without their pixels.

        Parameters
        ----------
        numbers
            Their indices, rising.

        Yields
        ------
        VideoFrame
            Those that are there.

        Raises
        ------
        UserError
            Where the recording breaks off.
        """
        for number in numbers:
            self.skip(number - self._index)
            frame = self.read()
            if frame is None:
                return
            yield frame

    def close(self) -> None:
        """Release the file."""
        # It holds the decoder and its pictures, in a circle that only Python's collector would open: in a
        # loop that allocates nothing that may take hours.
        self._frames.close()
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def first(self) -> tuple[int, int, int]:
        """Decode the first frame, without its pixels, to learn what the header may have wrong.

        Returns
        -------
        tuple[int, int, int]
            Width and height (px) of the frames as they are read, and the degrees clockwise by which they are
            turned for it.

        Raises
        ------
        UserError
            Where there is none, or it cannot be read.
        """
        frame = self._next()
        if frame is None:
            raise UserError(f"video {self._path}: no frame of it can be decoded; convert it to H.264")
        return *shown_size(frame), 90 * (quarter_turns(frame) or 0)

    def _next(self) -> Any:
        try:
            frame = next(self._frames, None)
        except av.error.FFmpegError as error:
            read = f"breaks off after frame {self._index - 1}: the next" if self._index else "its first frame"
            raise UserError(
                f"video {self._path}: {read} cannot be decoded ({error.strerror}); bytes of it are damaged "
                "or lost: copy it again, or take what can be read of it with "
                f"`{_ffmpeg(self._path, '-err_detect ignore_err')}`"
            ) from error
        if frame is None:
            return None
        form = frame.width, frame.height, frame.rotation
        if self._form is None:
            self._form = form
            if quarter_turns(frame) is None or is_mirrored(frame):
                raise UserError(
                    f"video {self._path}: its display matrix mirrors its frames, or turns them by no right "
                    f"angle, and programs show them in different ways; write them as you see them: "
                    f"`{_ffmpeg(self._path)}`"
                )
        elif form != self._form:
            raise UserError(self._changed(form))
        return frame

    def _changed(self, form: tuple[int, int, int]) -> str:
        assert self._form is not None
        before, after = (
            f"{w}x{h}" + (f" turned by {-r} degrees" if r else "") for w, h, r in (self._form, form)
        )
        return (
            f"video {self._path}: its frames change from {before} to {after} at frame {self._index}; the "
            f"{self._index} frames before that can be used by themselves: "
            f"`{_ffmpeg(self._path, after=f'-frames:v {self._index}')}`"
        )

    def _time_ns(self, frame: Any) -> int:
        """When a frame was; where the file's times begin again they go on in a new epoch."""
        if frame.pts is None:
            # Old AVI codecs give no times to some frames; there the rate is constant.
            t_ns = 0 if self._last_ns is None else self._last_ns + self._period_ns
        else:
            if self._first_pts is None:
                self._first_pts = frame.pts
                self._base_ns = 0 if self._last_ns is None else self._last_ns + self._period_ns
            t_ns = round((frame.pts - self._first_pts) * frame.time_base * NS_PER_S) + self._base_ns
        if self._last_ns is not None and self._last_ns - t_ns >= self._period_ns:
            self._epoch += 1
            self._base_ns += self._last_ns + self._period_ns - t_ns
            t_ns = self._last_ns + self._period_ns
        self._last_ns = t_ns
        return t_ns


def _ffmpeg(path: Path, before: str = "", after: str = "") -> str:
    """The command that writes a video anew."""
    old, new = shlex.quote(path.name), shlex.quote(f"{path.stem}_new.mp4")
    words = ["ffmpeg", before, "-i", old, after, "-crf 12", new]
    return " ".join(word for word in words if word)


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
        formats = container.format.name.split(",")
        _check_whole(path, formats, stream)
        frames = _count_frames(formats, container, stream)
        rate = stream.average_rate or stream.guessed_rate
        if frames == 0 or not rate:
            raise UserError(f"video {path}: it holds no frame; check how it was recorded")
        context = stream.codec_context
        gray = context.format is not None and context.format.name.startswith("gray")
        gray = gray or is_monochrome(context)
        # Of other formats it is as much of a hint as their count.
        known = stream.duration and "mp4" in formats
        duration = stream.duration * stream.time_base if known else frames / rate
        notes = []
        if "avi" in formats and stream.frames not in (0, frames):
            notes.append(
                f"{path.name}: its header speaks of {stream.frames} frames, it holds {frames}: some were "
                "dropped as it was recorded, or the header is wrong; those that it holds are used"
            )
    with VideoReader(path, 1) as reader:
        width, height, rotation = reader.first()
    return VideoInfo(
        path=path,
        width=width,
        height=height,
        channels=1 if gray else 3,
        rate_hz=float(rate),
        frames=frames,
        duration_s=float(duration),
        rotation=rotation,
        notes=notes,
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


def _check_whole(path: Path, formats: list[str], stream: Any) -> None:
    declared = declared_bytes(path, formats)
    if "mp4" in formats:
        declared = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    found = path.stat().st_size
    if found < declared:
        raise UserError(
            f"video {path}: it is cut off: by its own account it has {declared} bytes or more, {found} are "
            "there; copy it again"
        )


def _count_frames(formats: list[str], container: Any, stream: Any) -> int:
    """Frames that can be reached. What a header says of their number is a hint: recorders write it wrong."""
    entries = stream.index_entries
    # Entries without bytes are frames that the recorder dropped.
    if stream.frames and ("mp4" in formats or ("avi" in formats and len(entries) >= stream.frames)):
        return sum(entry.size > 0 and not entry.is_discard for entry in entries)
    return sum(packet.size > 0 and not packet.is_discard for packet in container.demux(stream))
