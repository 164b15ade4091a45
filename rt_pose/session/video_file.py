"""CAMERA.mkv and CAMERA.times.csv: a camera's frames on disk, readable after a kill.

H.264 with the cheapest settings: on gray frames of 396x406 it costs 0.8 ms of one core a frame, Motion JPEG
0.9 and FFV1, which loses nothing, 2.3. The film is for people and for training: decisions never come from it.
The table, not the film's own clock, says when a frame was: its row i is frame i of the film.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FrameStamps

COLUMNS = ("frame", "t_exposure_ns", "t_scene_ns", "t_arrival_ns")
DEFAULT_RATE_HZ = 60
MAX_RATE_HZ = 500
"""Matroska counts milliseconds: beyond this two frames could share one."""
KEYFRAME_EVERY = 50
CLUSTER_MS = 250
"""A kill costs at most the film's last cluster."""
_X264 = {"preset": "ultrafast", "tune": "zerolatency", "crf": "18"}
_FFV1 = {"level": "3", "slices": "4", "slicecrc": "1"}
Codec = Literal["h264", "ffv1"]
UNKNOWN = np.iinfo(np.int64).min
"""A time that is not known, in a column of int64."""


class VideoWriter:
    """Encodes one camera's frames as they come, and writes the table of their times."""

    def __init__(
        self,
        session_dir: Path,
        camera: str,
        height: int,
        width: int,
        channels: int,
        rate_hz: float | None,
        codec: Codec = "h264",
    ) -> None:
        """Create the film and its table.

        Parameters
        ----------
        session_dir
            An existing folder.
        camera
            Name of the camera and of the files.
        height, width
            Size of its frames, px.
        channels
            1 (gray) or 3 (RGB).
        rate_hz
            Nominal rate of the film, frames/s; 60 where it is not known.
        codec
            h264, small and for the eye; ffv1, lossless.
        """
        self._picture, self._odd = _picture(height, width, channels, codec)
        self._planes = [_plane(plane) for plane in self._picture.planes]
        self._packed = channels == 1 or codec == "h264"
        self._rows = 0
        self._times = _times_path(session_dir, camera).open("w", encoding="ascii")
        self._times.write(",".join(COLUMNS) + "\n")
        self._container = av.open(
            str(_video_path(session_dir, camera)),
            "w",
            format="matroska",
            options={"cluster_time_limit": str(CLUSTER_MS), "flush_packets": "1"},
        )
        self._stream = self._add_stream(codec, rate_hz)

    def _add_stream(self, codec: Codec, rate_hz: float | None) -> VideoStream:
        rate = round(min(max(rate_hz or DEFAULT_RATE_HZ, 1), MAX_RATE_HZ))
        name, options = ("libx264", _X264) if codec == "h264" else ("ffv1", _FFV1)
        stream = cast(VideoStream, self._container.add_stream(name, rate=rate, options=dict(options)))
        stream.height, stream.width = self._picture.height, self._picture.width
        stream.pix_fmt = "yuv420p" if codec == "h264" else self._picture.format.name
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = KEYFRAME_EVERY if codec == "h264" else 1
        stream.codec_context.color_range = self._picture.color_range
        return stream

    def write(self, image: NDArray[np.uint8], stamps: FrameStamps) -> None:
        """Append a frame and its row of the table.

        Parameters
        ----------
        image
            (H, W, C).
        stamps
            The frame's stamps.
        """
        height, width, channels = image.shape
        if self._packed:
            pixels = self._planes[0][:, : self._picture.width * channels]
            pixels[:height, : width * channels] = image.reshape(height, width * channels)
            if self._odd[0]:
                pixels[:, -channels:] = pixels[:, -2 * channels : -channels]
            if self._odd[1]:
                pixels[-1] = pixels[-2]
        else:  # four bytes a pixel, blue first
            plane = self._planes[0]
            plane.reshape(height, plane.shape[1] // 4, 4)[:, :width, :3] = image[..., ::-1]
        self._picture.pts = self._rows
        self._container.mux(self._stream.encode(self._picture))
        exposure = "" if stamps.t_exposure_ns is None else stamps.t_exposure_ns
        self._times.write(f"{stamps.index},{exposure},{stamps.t_scene_ns},{stamps.t_arrival_ns}\n")
        self._rows += 1

    def flush(self) -> None:
        """Hand the table's rows to the operating system; the film's clusters are flushed by the muxer."""
        self._times.flush()

    def close(self) -> None:
        """End film and table whole."""
        try:
            if self._rows:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        finally:
            self._times.close()


def _picture(height: int, width: int, channels: int, codec: Codec) -> tuple[VideoFrame, tuple[bool, bool]]:
    """The encoder's frame, and whether it is wider and higher than the camera's by one pixel."""
    if codec == "ffv1":
        picture, odd = VideoFrame(width, height, "bgr0" if channels == 3 else "gray"), (False, False)
        picture.color_range = ColorRange.JPEG
        return picture, odd
    # 4:2:0 has chroma for whole pairs of pixels only: an odd picture is padded, the reader cuts it.
    odd = width % 2 == 1, height % 2 == 1
    picture = VideoFrame(width + odd[0], height + odd[1], "rgb24" if channels == 3 else "yuv420p")
    picture.color_range = ColorRange.MPEG
    if channels == 1:
        # Gray goes into the luma plane as it is: no conversion, no loss of levels.
        picture.color_range = ColorRange.JPEG
        for chroma in picture.planes[1:]:
            _plane(chroma)[:] = 128
    return picture, odd


@dataclass(slots=True)
class VideoTimes:
    """The table beside a film, one row a frame: int64 columns (F,), `UNKNOWN` where a time is not known."""

    frame: NDArray[np.int64]
    t_exposure_ns: NDArray[np.int64]
    t_scene_ns: NDArray[np.int64]
    t_arrival_ns: NDArray[np.int64]

    def rows_by_arrival(self) -> dict[int, int]:
        """Map the time of arrival of each frame, which no other frame of the camera has, to its row.

        Returns
        -------
        dict[int, int]
            Rows by ns.
        """
        return {t_ns: row for row, t_ns in enumerate(self.t_arrival_ns.tolist())}


def read_times(session_dir: Path, camera: str) -> VideoTimes | None:
    """Read the table beside a camera's film; a last row that was cut is left out.

    Parameters
    ----------
    session_dir
        The session's folder.
    camera
        Name of the camera.

    Returns
    -------
    VideoTimes or None
        None where the camera was not filmed.

    Raises
    ------
    UserError
        Where the table is damaged.
    """
    path = _times_path(session_dir, camera)
    if not path.is_file():
        return None
    try:
        whole_lines = path.read_text(encoding="ascii").split("\n")[1:-1]
        rows = [[int(cell) if cell else UNKNOWN for cell in line.split(",")] for line in whole_lines]
        table = np.array(rows, np.int64).reshape(len(rows), len(COLUMNS))
    except (ValueError, OverflowError) as error:
        raise UserError(f"session {session_dir}: {path.name} is damaged: {error}") from error
    return VideoTimes(*(np.ascontiguousarray(table[:, i]) for i in range(len(COLUMNS))))


def read_video(
    session_dir: Path, camera: str, rows: Sequence[int], channels: int, size: tuple[int, int] | None = None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Decode frames of a camera's film.

    Parameters
    ----------
    session_dir
        The session's folder.
    camera
        Name of the camera.
    rows
        Rows of the film's table, in any order.
    channels
        1 (gray) or 3 (RGB).
    size
        Height and width of the camera's frames, px, for odd ones, which are padded in the film.

    Yields
    ------
    tuple[int, NDArray[np.uint8]]
        Row, ascending, and frame (H, W, C). Rows beyond the film's end (cut by a kill) are left out.

    Raises
    ------
    UserError
        Where there is no film, or it cannot be read; the frames before the damage have been given.
    """
    path = _video_path(session_dir, camera)
    if not path.is_file():
        raise UserError(f"session {session_dir}: no film {path.name}; was `record.video` off?")
    try:
        with av.open(str(path)) as container:
            yield from _decode_rows(container, sorted(set(rows)), channels, size)
    except (FFmpegError, IndexError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"session {session_dir}: {path.name} cannot be read: {error}") from error


def _decode_rows(
    container: InputContainer, rows: list[int], channels: int, size: tuple[int, int] | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    stream = container.streams.video[0]
    rate = stream.average_rate or Fraction(DEFAULT_RATE_HZ)
    base = stream.time_base or Fraction(1, 1000)
    frames: Iterator[VideoFrame] = iter(())
    at = -1 - KEYFRAME_EVERY
    for wanted in rows:
        if wanted - at > KEYFRAME_EVERY:
            container.seek(int(wanted / rate / base), stream=stream)
            frames = container.decode(stream)
        for frame in frames:
            at = round((frame.pts or 0) * base * rate)
            if at >= wanted:
                break
        else:
            return
        if at == wanted:
            image = frame.to_ndarray(format="rgb24" if channels == 3 else "gray")
            height, width = size or image.shape[:2]
            pixels = np.ascontiguousarray(image[:height, :width], dtype=np.uint8)
            yield wanted, pixels.reshape(height, width, channels)


def _plane(plane: VideoPlane) -> NDArray[np.uint8]:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]


def file_names(camera: str) -> tuple[str, str]:
    """Name the files of a camera in its session.

    Parameters
    ----------
    camera
        Name of the camera.

    Returns
    -------
    tuple[str, str]
        Of the film and of its table.
    """
    return f"{camera}.mkv", f"{camera}.times.csv"


def _video_path(session_dir: Path, camera: str) -> Path:
    return session_dir / file_names(camera)[0]


def _times_path(session_dir: Path, camera: str) -> Path:
    return session_dir / file_names(camera)[1]
