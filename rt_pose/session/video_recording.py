"""From the shared ring to the film: pixels are copied at once, encoded when there is time.

The recorder yields to the loop, so it may be late. Copying first and encoding later makes its lateness cost
memory before it costs frames; every frame that is lost all the same is counted with its reason.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from rt_pose.loop.frame_ring import FrameRing, RingDescription
from rt_pose.records import CapturedFrame, DropRecord
from rt_pose.session.video_file import Codec, VideoWriter, file_names
from rt_pose.types import FrameStamps

BACKLOG_BYTES = 64 << 20
MIN_BACKLOG, MAX_BACKLOG = 4, 256
STAGE = "recorder"


class CameraRecorder:
    """Takes one camera's frames from the ring to its film."""

    def __init__(self, session_dir: Path, description: RingDescription, codec: Codec = "h264") -> None:
        """Map the ring and create the film; where that fails, every frame is counted as lost.

        Parameters
        ----------
        session_dir
            An existing folder.
        description
            That of the camera's ring.
        codec
            Of the film.
        """
        shape = (description.height, description.width, description.channels)
        self._camera = description.camera
        self._ring: FrameRing | None = None
        self._writer: VideoWriter | None = None
        self._shape = shape
        self._capacity = int(np.clip(BACKLOG_BYTES // int(np.prod(shape)), MIN_BACKLOG, MAX_BACKLOG))
        self._free: list[NDArray[np.uint8]] = []
        self._made = 0
        self._waiting: deque[tuple[NDArray[np.uint8], FrameStamps]] = deque()
        self._lost: dict[str, tuple[int, int]] = {}
        self._folder: int | None = None
        """Its place may be gone when the film is ended; what was written into it is not."""
        self.fault = ""
        """Why nothing more is filmed; empty while frames are."""
        try:
            self._folder = os.open(session_dir, os.O_RDONLY)
            self._ring = FrameRing.attach(description)
            self._writer = VideoWriter(session_dir, self._camera, *shape, description.rate_hz, codec)
        except (OSError, FFmpegError) as error:
            self._give_up(f"no film could be begun: {error}")

    @property
    def pending(self) -> bool:
        """Whether frames wait for the encoder."""
        return bool(self._waiting)

    def copy(self, frame: CapturedFrame) -> None:
        """Copy a frame's pixels while they are there, or count the frame as lost.

        Parameters
        ----------
        frame
            The record of the frame, with its slot and generation.
        """
        if self._ring is None or self._writer is None:
            self._lose(f"not filmed: {self.fault}", frame.stamps.index)
            return
        buffer = self._free.pop() if self._free else self._new_buffer()
        if buffer is None:
            self._lose("not filmed: the encoder is behind and its backlog full", frame.stamps.index)
        elif self._ring.read(frame.slot, frame.generation, buffer):
            self._waiting.append((buffer, frame.stamps))
        else:
            self._free.append(buffer)
            self._lose("not filmed: its pixels were overwritten before the recorder came", frame.stamps.index)

    def encode_one(self) -> None:
        """Encode the oldest waiting frame; at least one must be waiting."""
        buffer, stamps = self._waiting.popleft()
        if self._writer is not None:
            try:
                self._writer.write(buffer, stamps)
            except (OSError, FFmpegError) as error:
                self._give_up(f"the film could not be written on: {error}")
        if self._writer is None:
            self._lose(f"not filmed: {self.fault}", stamps.index)
        self._free.append(buffer)

    def losses(self, t_ns: int) -> list[DropRecord]:
        """Report what was lost since the last call.

        Parameters
        ----------
        t_ns
            Host time of the records, ns.

        Returns
        -------
        list[DropRecord]
            One record for each reason.
        """
        lost, self._lost = self._lost, {}
        return [
            DropRecord(t_ns=t_ns, stage=STAGE, reason=reason, count=n, camera=self._camera, first_index=first)
            for reason, (n, first) in lost.items()
        ]

    def flush(self) -> None:
        """Hand what is written to the operating system."""
        if self._writer is not None:
            try:
                self._writer.flush()
            except OSError as error:
                self._give_up(f"the film could not be written on: {error}")

    def close(self) -> None:
        """Encode the frames that wait, and end the film whole; where that fails, `fault` says why."""
        while self._waiting:
            self.encode_one()
        film, self._writer = self._writer, None
        ring, self._ring = self._ring, None
        if film is not None:
            try:
                film.close()
            except (OSError, FFmpegError) as error:
                self.fault = f"the end of the film could not be written: {error}"
        if ring is not None:
            ring.close()

    def sync(self) -> None:
        """Make the operating system write film and table to the disk; where that fails, `fault` says why.

        To be called once, after `close`.
        """
        if self._folder is None:
            return
        for name in file_names(self._camera):
            try:
                file = os.open(name, os.O_RDONLY, dir_fd=self._folder)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)
            except FileNotFoundError:  # there was no frame, or somebody has removed it
                continue
            except OSError as error:
                self.fault = self.fault or f"the disk did not take all of {name}: {error.strerror}"
        os.close(self._folder)

    def _new_buffer(self) -> NDArray[np.uint8] | None:
        if self._made == self._capacity:
            return None
        self._made += 1
        return np.empty(self._shape, np.uint8)

    def _lose(self, reason: str, index: int) -> None:
        count, first = self._lost.get(reason, (0, index))
        self._lost[reason] = (count + 1, first)

    def _give_up(self, reason: str) -> None:
        self.fault = reason
        film, self._writer = self._writer, None
        if film is not None:
            with suppress(OSError, FFmpegError):
                film.close()
