"""A recorded file as a camera, at its own pace or at a stated one."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rigs.faults import FaultOptions, Faults
from rigs.waiting import AHEAD_SHARE, wait_until
from rt_pose.clock import NS_PER_S
from rt_pose.drivers import CameraFault, DriverContext, FoundDevice, camera_driver
from rt_pose.errors import UserError, check_range
from rt_pose.types import CameraInfo, FloatArray, FrameStamps
from rt_pose.video import Channels, VideoFrame, VideoInfo, VideoReader, probe

_LOG = logging.getLogger(__name__)
PRELOAD_BYTES = 512 << 20


@dataclass
class VideoOptions:
    """Which recording, and how it is played."""

    path: str
    """The file: mp4, avi, mkv."""
    rate_hz: float | None = None
    """Frames a second of host time; without it, the recording's own frame times. Speeds of the animal are
    those of the recording at any pace."""
    loop: bool = False
    """Begin again after the last frame; tracks then restart."""
    channels: Literal["auto", 1, 3] = "auto"
    """1 gray, 3 RGB, auto what the network wants to see (as the file stores it where there is none)."""
    start: int = 0
    """First frame to show."""
    skip_when_late: bool = True
    """Skip frames where the reader is late by more than one of them. Without it, every frame is shown."""
    size: list[int] = field(default_factory=list)
    """[width, height] to which frames are scaled as they are decoded; empty = the recording's own."""
    preload: bool = False
    """Decode ahead into memory, as many frames as fit 512 MiB, so that playing costs no more than copying a
    frame does. A recording that does not fit needs `loop`, and is then played up to where it fits."""
    faults: FaultOptions = field(default_factory=FaultOptions)
    """Faults to inject: frames lost, jittered and late."""


class FrameReader(Protocol):
    """What is read one frame after the other."""

    @property
    def at(self) -> int:
        """Index of the frame that `read` would give next."""
        ...

    def read(self, into: NDArray[np.uint8] | None = None) -> VideoFrame | None:
        """Return the next frame; None after the last.

        Parameters
        ----------
        into
            Where its pixels go, (H, W, C) uint8; None for memory of its own.
        """
        ...

    def skip(self, frames: int) -> None:
        """Pass over frames.

        Parameters
        ----------
        frames
            How many.
        """
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class _Preloaded:
    """Frames in memory, read like a file."""

    def __init__(self, frames: list[VideoFrame]) -> None:
        self._frames, self._next = frames, 0

    @property
    def at(self) -> int:
        return (
            self._frames[self._next].index if self._next < len(self._frames) else self._frames[-1].index + 1
        )

    def read(self, into: NDArray[np.uint8] | None = None) -> VideoFrame | None:
        if self._next >= len(self._frames):
            return None
        frame = self._frames[self._next]
        self._next += 1
        if into is not None:
            np.copyto(into, frame.image)
        return frame

    def skip(self, frames: int) -> None:
        self._next += frames

    def close(self) -> None:
        self._next = len(self._frames)


@camera_driver("video")
class VideoCamera:
    """A recorded file that is played as a camera.

    The exposure of a frame is the host time at which it is due; its scene time is the recording's own.
    A frame is decoded straight into the caller's buffer before it is due, so that decoding delays its
    hand-over only where it takes longer than a period. The index is the frame's place in the file; it and
    the scene time run on when the recording loops, or its own times begin again, while `epoch` counts up.
    """

    Options: ClassVar[type] = VideoOptions
    contract: ClassVar[int] = 2
    named_by: ClassVar[str] = "path"
    driver: ClassVar[str] = "video"

    def __init__(self, name: str, options: VideoOptions, context: DriverContext) -> None:
        where = f"cameras.{name}.options"
        check_range(where, "rate_hz", options.rate_hz, 0.1, 2000.0)
        if options.start < 0:
            raise UserError(f"{where}: start must be 0 or more, got {options.start}")
        if options.size and (len(options.size) != 2 or min(options.size) < 1):
            raise UserError(f"{where}: size must be [width, height] in px, got {options.size}")
        self._name, self._options, self._where = name, options, where
        self._clock, self._network_channels = context.clock, context.channels
        self._faults = Faults(options.faults, context.seed, name, where)
        self._stopped = threading.Event()
        self._reader: FrameReader | None = None
        self._opened: VideoReader | None = None
        """What was opened last."""
        self._frames: list[VideoFrame] = []
        """The recording in memory, where it is preloaded."""
        self._end = 0
        """Index in the file after the last frame that is shown."""
        self._size: tuple[int, int] | None = (options.size[0], options.size[1]) if options.size else None
        self._channels: Channels = 3
        self._period_ns = 0.0
        self._scene_period_ns = 0
        self._restart()

    def _restart(self) -> None:
        self._t0_ns: int | None = None
        """Host time of the first frame."""
        self._first_t_ns = 0
        """Scene time of the first frame."""
        self._shown: FrameStamps | None = None
        self._handed_over_ns = 0
        """When the last frame was to be handed over: its exposure, or later where a fault delays it."""
        self._epoch = 0
        self._index_base = 0
        self._scene_base_ns = 0

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`."""
        return [FoundDevice("video", "PATH", "any recorded file, e.g. `--camera video:recording.mp4`")]

    def open(self) -> CameraInfo:
        """See `Camera.open`."""
        self.close()
        info = self._open_recording()
        for note in info.notes:
            _LOG.warning(note)
        self._end = info.frames
        wanted = self._options.channels
        if wanted != "auto":
            self._channels = wanted
        elif self._network_channels is not None:
            # The decoder's own luma, as offline prediction reads it: the same pixels live and offline.
            self._channels = 1 if self._network_channels == 1 else 3
        else:
            self._channels = info.channels
        rate_hz = self._options.rate_hz or info.rate_hz
        self._period_ns = NS_PER_S / rate_hz
        self._scene_period_ns = round(NS_PER_S / info.rate_hz)
        self._restart()
        width, height = self._size or (info.width, info.height)
        if self._options.preload:
            self._frames = self._preload(width * height * self._channels)
            self._end = self._frames[-1].index + 1
        self._reader = self._is_rewound()
        self._stopped.clear()
        return CameraInfo(
            name=self._name,
            driver=self.driver,
            serial=self._options.path,
            width=width,
            height=height,
            channels=self._channels,
            rate_hz=rate_hz,
            exposure_source="recording",
        )

    def arm(self) -> None:
        """See `Camera.arm`. Nothing to do."""

    def start(self) -> None:
        """See `Camera.start`. Nothing to do: the first `grab` begins."""

    def grab(self, into: NDArray[np.uint8]) -> FrameStamps | None:
        """See `Camera.grab`."""
        if self._reader is None:
            raise CameraFault(f"camera {self._name}: it is not open")
        if self._stopped.is_set():
            return None
        if not self._wait_to_begin():
            return None
        try:
            frame = self._next(into)
        except UserError as error:
            raise CameraFault(f"camera {self._name}: {error}") from error
        if frame is None:
            return None
        index, t_scene_ns = self._index_base + frame.index, self._scene_base_ns + frame.t_ns
        if self._t0_ns is None:
            # Decoding the first frame starts the decoder, which takes its time.
            self._t0_ns, self._first_t_ns = self._clock.now_ns(), t_scene_ns
        due_ns = self._due_ns(index, t_scene_ns)
        # In order: a frame cannot overtake the late one before it.
        self._handed_over_ns = max(self._handed_over_ns, due_ns + self._faults.delay_ns(index))
        if not wait_until(self._clock, self._handed_over_ns, self._stopped):
            return None
        self._shown = FrameStamps(
            index=index,
            t_exposure_ns=due_ns,
            t_arrival_ns=self._clock.now_ns(),
            t_scene_ns=t_scene_ns,
            epoch=self._epoch + frame.epoch,
        )
        return self._shown

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:  # noqa: ARG002
        """See `Camera.truth`. Always None: a recording has no known truth."""
        return None

    def stop(self) -> None:
        """See `Camera.stop`."""
        self._stopped.set()

    def close(self) -> None:
        """See `Camera.close`."""
        if self._reader is not None:
            self._reader.close()
        self._reader, self._frames = None, []

    def resume(self) -> None:
        """Continue a playback that was paused: the next frame is due one period from now."""
        if self._shown is not None and self._shown.t_exposure_ns is not None and self._t0_ns is not None:
            stood_ns = self._clock.now_ns() - self._shown.t_exposure_ns
            self._t0_ns += stood_ns
            later_ns = self._shown.t_exposure_ns + stood_ns
            self._shown = msgspec.structs.replace(self._shown, t_exposure_ns=later_ns)

    def _open_recording(self) -> VideoInfo:
        info = self._probe()
        if self._options.start >= info.frames:
            raise UserError(
                f"{self._where}: start must be below {info.frames}, the number of frames of "
                f"{self._options.path}, got {self._options.start}"
            )
        return info

    def _probe(self) -> VideoInfo:
        """Look up what is to be played."""
        return probe(self._options.path)

    def _open_reader(self) -> FrameReader:
        """Open what is to be played at its beginning."""
        self._opened = VideoReader(self._options.path, self._channels, self._size, self._opened)
        return self._opened

    def _is_rewound(self) -> FrameReader:
        if self._frames:
            return _Preloaded(self._frames)
        reader = self._open_reader()
        reader.skip(self._options.start)
        return reader

    def _preload(self, frame_bytes: int) -> list[VideoFrame]:
        most = max(1, PRELOAD_BYTES // frame_bytes)
        with closing(self._open_reader()) as reader:
            reader.skip(self._options.start)
            frames = [frame for _ in range(most) if (frame := reader.read()) is not None]
            if len(frames) == most and not self._options.loop and reader.read() is not None:
                raise UserError(
                    f"{self._where}: preload: {self._options.path} does not fit {PRELOAD_BYTES >> 20} MiB "
                    f"({most} frames do); set `loop: true` to repeat those, or leave preload out"
                )
        return frames

    def _due_ns(self, index: int, t_scene_ns: int) -> int:
        """Host time at which a frame is to be handed over."""
        assert self._t0_ns is not None
        if self._options.rate_hz is None:
            return self._t0_ns + t_scene_ns - self._first_t_ns
        return self._t0_ns + round((index - self._options.start) * self._period_ns)

    def _wait_to_begin(self) -> bool:
        """Wait until the next frame should be decoded; False where `stop` was called."""
        if self._shown is None or self._shown.t_exposure_ns is None:
            return True
        begin_ns = self._shown.t_exposure_ns + round((1 - AHEAD_SHARE) * self._period_ns)
        return wait_until(self._clock, begin_ns, self._stopped)

    def _next(self, into: NDArray[np.uint8]) -> VideoFrame | None:
        """The next frame that is not too late, its pixels in `into`; None at the recording's end."""
        assert self._reader is not None
        late = self._frames_late()
        if late:
            self._reader.skip(late)
        self._drop_frames()
        frame = self._reader.read(into)
        if frame is None and self._options.loop and self._shown is not None:
            self._rewind(self._shown)
            frame = self._reader.read(into)
        return frame

    def _frames_late(self) -> int:
        """How many frames to pass over so that the next is due now or later."""
        if self._shown is None or self._shown.t_exposure_ns is None or not self._options.skip_when_late:
            return 0
        # A delay that was injected is the transport's: behind it frames wait, they are not skipped.
        next_due_ns = max(self._shown.t_exposure_ns + self._period_ns, self._handed_over_ns)
        return max(0, int((self._clock.now_ns() - next_due_ns) / self._period_ns))

    def _drop_frames(self) -> None:
        """Pass over the frames that a fault takes from the file's next place on."""
        assert self._reader is not None
        while self._shown is not None and self._reader.at + 1 < self._end:
            if not self._faults.drops(self._index_base + self._reader.at):
                return
            self._reader.skip(1)

    def _rewind(self, last: FrameStamps) -> None:
        assert self._reader is not None
        self._reader.close()
        self._reader = self._is_rewound()
        self._epoch = last.epoch + 1
        self._index_base = last.index + 1 - self._options.start
        # Scene time of the first frame shown again is one period after the last one's.
        self._scene_base_ns = last.t_scene_ns + self._scene_period_ns - self._first_t_ns
