"""What FFmpeg can open live: webcams, network cameras, a part of the screen, test pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from rigs.frame_stamps import FrameStamper
from rt_pose.drivers import (
    NO_FRAME_YET,
    CameraFault,
    DriverContext,
    FailedFrame,
    FoundDevice,
    Grabbed,
    camera_driver,
)
from rt_pose.errors import UserError, check_range
from rt_pose.types import CameraInfo, FloatArray
from rt_pose.video import Channels
from rt_pose.video_pixels import is_monochrome, pixels_of

WAIT_S = 0.5
OPEN_S = 10.0
MOST_FAILED = 100
"""Of so many pictures at the beginning one must be whole."""
_FORMATS = {"webcam": "v4l2", "screen": "x11grab", "test": "lavfi"}
"""FFmpeg's name of what reads each kind of source; a network camera is told by its address."""
_NETWORK = ("rtsp", "rtmp", "http", "https", "udp", "tcp", "srt")


@dataclass
class StreamOptions:
    """Which source, and how it is read."""

    source: str
    """webcam:/dev/video0, rtsp://HOST/PATH (or another network address), screen:DISPLAY+X,Y, or test:PICTURE
    with one of FFmpeg's test sources such as testsrc2."""
    rate_hz: float | None = None
    """Frames a second that are asked for; None = the source's own."""
    size: list[int] = field(default_factory=list)
    """[width, height] that is asked for, px; empty = the source's own."""
    channels: Literal["auto", 1, 3] = "auto"
    """1 gray, 3 RGB, auto what the network wants to see."""
    grab: Literal["latest", "every"] = "latest"
    """latest: a frame that nobody has taken is replaced by the next, and counted; every: the source waits."""
    options: dict[str, str] = field(default_factory=dict)
    """Further options of FFmpeg for the source, such as input_format: mjpeg for a webcam."""


@camera_driver("stream")
class StreamCamera:
    """Frames of a live source, decoded by a thread of its own that only the source can hold up.

    The source's own time stamps are taken for a clock. Where the exposure lies before them is not known: the
    certificate of latency measures that.
    """

    Options: ClassVar[type] = StreamOptions
    contract: ClassVar[int] = 2
    named_by: ClassVar[str] = "source"

    def __init__(self, name: str, options: StreamOptions, context: DriverContext) -> None:
        self._where = where = f"cameras.{name}.options"
        check_range(where, "rate_hz", options.rate_hz, 0.1, 2000.0)
        if options.size and (len(options.size) != 2 or min(options.size) < 1):
            raise UserError(f"{where}: size must be [width, height] in px, got {options.size}")
        self._name, self._options = name, options
        self._kind, self._file, self._ffmpeg = _source(options, where)
        self._clock, self._network_channels = context.clock, context.channels
        self._reformatter = VideoReformatter()
        self._container: Any = None
        self._stopped = threading.Event()
        self._newest = _Newest(options.grab == "every", self._stopped)
        self._reader: threading.Thread | None = None
        self._channels: Channels = 3
        self._monochrome = False
        self._size = (0, 0)
        self._stamper = FrameStamper(context.clock, tick_hz=None)

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`."""
        found = [FoundDevice("stream", "test:testsrc2", "FFmpeg's test pictures, by their own clock")]
        found.append(
            FoundDevice("stream", "rtsp://HOST/PATH", "a network camera (tested on a stream on loopback)")
        )
        for device in sorted(Path("/dev").glob("video*")):
            usable, remedy = True, ""
            try:
                device.open("rb").close()
            except OSError as error:
                usable, remedy = False, f"{error.strerror}: sudo usermod -aG video $USER, and log in again"
            description = "a webcam or grabber (not run on a device)"
            found.append(FoundDevice("stream", f"webcam:{device}", description, usable, remedy))
        return found

    def open(self) -> CameraInfo:
        """See `Camera.open`. The source is read from here on: what comes before `start` is passed over."""
        self.close()
        self._stopped.clear()
        try:
            self._container = av.open(
                self._file,
                format=_FORMATS.get(self._kind),
                options=self._ffmpeg,
                timeout=(OPEN_S, OPEN_S),
            )
            stream = self._container.streams.video[0]
            first = _first_frame(self._container)
        except (OSError, ValueError, IndexError, av.error.FFmpegError) as error:
            self.close()
            raise UserError(
                f"{self._where}: source: {self._options.source} gives no picture "
                f"({getattr(error, 'strerror', None) or error}){_remedy(self._kind)}"
            ) from error
        info = self._describe(stream, first)
        self._newest = _Newest(self._options.grab == "every", self._stopped)
        self._reader = threading.Thread(
            target=self._read,
            args=(self._container, self._newest),
            name=f"rt-pose-stream-{self._name}",
            daemon=True,
        )
        self._reader.start()
        return info

    def _describe(self, stream: Any, first: Any) -> CameraInfo:
        """What the source delivers, by its first frame."""
        self._monochrome = is_monochrome(stream.codec_context)
        wanted = self._network_channels if self._options.channels == "auto" else self._options.channels
        self._channels = 1 if wanted == 1 or (wanted is None and self._monochrome) else 3
        self._size = (first.width, first.height)
        rate = stream.average_rate or stream.guessed_rate
        tick_hz = float(1 / (first.time_base or Fraction(1, 1000)))
        has_stamps = first.pts is not None
        self._stamper = FrameStamper(self._clock, tick_hz=tick_hz if has_stamps else None)
        actual = {"rate_hz": float(rate) if rate else None, "size": list(self._size)}
        asked = {"rate_hz": self._options.rate_hz, "size": self._options.size or None}
        return CameraInfo(
            name=self._name,
            driver="stream",
            serial=self._options.source,
            width=first.width,
            height=first.height,
            channels=self._channels,
            rate_hz=float(rate) if rate else None,
            pixel_format=str(first.format.name),
            exposure_source="device" if has_stamps else "unavailable",
            tick_hz=tick_hz if has_stamps else None,
            settings={name: {"asked": asked[name], "actual": actual[name]} for name in asked},
            hardware=self._kind != "test",
            tested="" if self._kind == "test" else "not run on a device",
        )

    def arm(self) -> None:
        """See `Camera.arm`. Nothing to do: the source runs by itself."""

    def start(self) -> None:
        """See `Camera.start`."""
        self._newest.begin()

    def grab(self, into: NDArray[np.uint8]) -> Grabbed:
        """See `Camera.grab`."""
        if self._container is None:
            raise CameraFault(f"camera {self._name}: it is not open")
        taken = self._newest.take(WAIT_S)
        if self._stopped.is_set():
            return None
        if taken is None:
            return NO_FRAME_YET
        count, frame, arrival_ns = taken
        if isinstance(frame, str):
            raise CameraFault(f"camera {self._name}: {frame}")
        if isinstance(frame, FailedFrame):
            return FailedFrame(frame.reason, index=self._stamper.index_of(count))
        if (frame.width, frame.height) != self._size:
            raise CameraFault(
                f"camera {self._name}: its frames changed from {self._size[0]}x{self._size[1]} to "
                f"{frame.width}x{frame.height}"
            )
        pixels_of(frame, self._reformatter, self._channels, None, into, monochrome=self._monochrome)
        return self._stamper.stamp(count, frame.pts, arrival_ns)

    def clock_summary(self) -> dict[str, Any]:
        """See `ClockedCamera.clock_summary`."""
        return self._stamper.summary()

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:  # noqa: ARG002
        """See `Camera.truth`. Always None."""
        return None

    def stop(self) -> None:
        """See `Camera.stop`."""
        self._stopped.set()
        self._newest.wake()

    def close(self) -> None:
        """See `Camera.close`."""
        self._stopped.set()
        self._newest.wake()
        reader, container, self._reader, self._container = self._reader, self._container, None, None
        if reader is not None:
            reader.join(OPEN_S)  # the source's own time-out ends its wait
            if reader.is_alive():
                return  # it goes with the process: what it still reads from must not be closed under it
        if container is not None:
            container.close()

    def _read(self, container: Any, newest: _Newest) -> None:
        """Decode what comes, on a thread of its own, until the source or the camera ends."""
        fault = "the source has ended"
        try:
            for count, picture in enumerate(_pictures(container)):
                if not newest.put(count, picture, self._clock.now_ns()):
                    return
        except (OSError, av.error.FFmpegError) as error:
            fault = str(getattr(error, "strerror", None) or error)
        newest.put(-1, fault, self._clock.now_ns())


def _pictures(container: Any) -> Iterator[Any]:
    """What a source delivers: frames, and a `FailedFrame` in place of what cannot be decoded."""
    for packet in container.demux(video=0):
        try:
            frames = packet.decode()
        except (OSError, av.error.FFmpegError) as error:  # the source is well: the next one may be whole
            yield FailedFrame(f"it cannot be decoded ({getattr(error, 'strerror', None) or error})")
        else:
            yield from frames


def _first_frame(container: Any) -> Any:
    """The first frame that can be decoded: a source may be joined in the middle of a picture."""
    why = "it sends none"
    for picture in islice(_pictures(container), MOST_FAILED):
        if not isinstance(picture, FailedFrame):
            return picture
        why = picture.reason
    raise ValueError(why)


class _Newest:
    """The newest frame between the decoding thread and `grab`."""

    def __init__(self, every: bool, stopped: threading.Event) -> None:
        self._changed = threading.Condition()
        self._every, self._stopped = every, stopped
        self._begun = False
        self._waiting: tuple[int, Any, int] | None = None

    def begin(self) -> None:
        """Take frames from here on; those before are passed over."""
        with self._changed:
            self._begun = True

    def put(self, count: int, frame: Any, arrival_ns: int) -> bool:
        """Leave a frame, a failed one, or the text of a fault; False where nobody wants one any more."""
        with self._changed:
            if not self._begun and not isinstance(frame, str):
                return not self._stopped.is_set()
            if self._every or isinstance(frame, str):  # a fault does not hide the last frame
                self._changed.wait_for(lambda: self._waiting is None or self._stopped.is_set())
            elif isinstance(frame, FailedFrame) and self._waiting is not None:
                return not self._stopped.is_set()  # it takes no frame's place; its number shows as a gap
            self._waiting = count, frame, arrival_ns
            self._changed.notify_all()
        return not self._stopped.is_set()

    def take(self, timeout_s: float) -> tuple[int, Any, int] | None:
        """Take the newest frame; None where none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._stopped.is_set(), timeout_s)
            taken, self._waiting = self._waiting, None
            self._changed.notify_all()
        return taken

    def wake(self) -> None:
        """Let whoever waits see that the camera was stopped."""
        with self._changed:
            self._changed.notify_all()


def _source(options: StreamOptions, where: str) -> tuple[str, str, dict[str, str]]:
    """Kind of source, FFmpeg's name of it, and its options."""
    kind, colon, rest = options.source.partition(":")
    if not colon or not rest or (kind not in _FORMATS and kind not in _NETWORK):
        raise UserError(
            f"{where}: source: expected webcam:/dev/video0, rtsp://HOST/PATH, screen:DISPLAY+X,Y or "
            f"test:testsrc2, got {options.source!r}"
        )
    given: dict[str, str] = {}
    size = f"{options.size[0]}x{options.size[1]}" if options.size else ""
    if kind == "test":
        arguments = [f"size={size}"] if size else []
        arguments += [f"rate={options.rate_hz:g}"] if options.rate_hz else []
        picture = rest + (("=" if "=" not in rest else ":") + ":".join(arguments) if arguments else "")
        return kind, f"{picture},realtime", dict(options.options)
    if kind in ("webcam", "screen"):
        given = {"video_size": size} if size else {}
        given |= {"framerate": f"{options.rate_hz:g}"} if options.rate_hz else {}
        return kind, rest, {**given, **options.options}
    if kind == "rtsp":
        given = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
    return kind, options.source, {**given, **options.options}


def _remedy(kind: str) -> str:
    if kind == "webcam":
        return "; `rt-pose devices` lists the webcams, and what each lacks"
    if kind == "screen":
        return "; is there such a display (`echo $DISPLAY`)?"
    return "" if kind == "test" else "; does the address answer (`ffplay ADDRESS`)?"
