"""Frames over ZeroMQ: another program owns the camera and sends what it takes.

A message has two parts: a header, as JSON or msgpack, and the pixels, row by row, 8 bits a sample:

    {"index": 17, "height": 480, "width": 640, "channels": 1, "t_exposure_ns": 81234567890}

`t_exposure_ns`, the middle of the exposure on this machine's monotonic clock, may be left out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
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
from rt_pose.types import CameraInfo, FloatArray, FrameStamps

LOOPBACK = "tcp://127.0.0.1:"
POLL_MS = 50
BIND_ATTEMPTS, BIND_PAUSE_S = 10, 0.05
MOST_BYTES = 256 << 20
MOST_INDEX, MOST_GAP = 1 << 60, 1 << 40
"""What lies beyond is no count of frames, and no gap in one."""


@dataclass
class ZmqFramesOptions:
    """Where frames come in, and what is expected of them."""

    address: str = "tcp://127.0.0.1:5796"
    """A PULL socket on the loopback interface, to which the other program connects a PUSH socket."""
    rate_hz: float | None = None
    """Nominal frame rate, for the report; None where frames come as they like."""
    first_within_s: float = 10.0
    """How long the first frame is waited for: it tells the size of all."""
    grab: Literal["latest", "every"] = "latest"
    """latest: of several frames that wait, all but the newest are passed over, and counted; every: none
    is."""


class FrameHeader(msgspec.Struct, forbid_unknown_fields=True):
    """The first part of a message."""

    index: int
    height: int
    width: int
    channels: int
    t_exposure_ns: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.height, self.width, self.channels


@camera_driver("zmq")
class ZmqCamera:
    """A program that sends frames is a camera. Its `index` is the counter: a gap is a frame that it lost."""

    Options: ClassVar[type] = ZmqFramesOptions
    contract: ClassVar[int] = 2
    named_by: ClassVar[str] = "address"

    def __init__(self, name: str, options: ZmqFramesOptions, context: DriverContext) -> None:
        where = f"cameras.{name}.options"
        if not options.address.startswith(LOOPBACK):
            raise UserError(
                f"{where}.address: expected {LOOPBACK}PORT, since frames are not authenticated, got "
                f"{options.address!r}"
            )
        check_range(where, "rate_hz", options.rate_hz, 0.1, 2000.0)
        check_range(where, "first_within_s", options.first_within_s, 0.1, 3600.0)
        self._name, self._options, self._where = name, options, where
        self._clock = context.clock
        self._stopped = threading.Event()
        self._socket: zmq.Socket[bytes] | None = None
        self._shape: tuple[int, int, int] = (0, 0, 0)
        self._last_scene_ns = 0
        self._begin_count()

    def _begin_count(self) -> None:
        self._last_index: int | None = None
        self._epoch = 0
        self._ahead = 0
        """What is added to the sender's index, so that it goes on where the sender begins anew."""

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`."""
        return [FoundDevice("zmq", "", "frames that another program sends")]

    def open(self) -> CameraInfo:
        """See `Camera.open`."""
        self.close()
        self._stopped.clear()
        self._begin_count()
        self._socket = zmq.Context.instance().socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        # To pass frames over, more of them must fit than are lost on the way for want of room.
        self._socket.setsockopt(zmq.RCVHWM, 32 if self._options.grab == "latest" else 4)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
        self._bind(self._socket)
        try:
            self._shape = self._first_shape()
        except UserError:
            self.close()
            raise
        height, width, channels = self._shape
        return CameraInfo(
            name=self._name,
            driver="zmq",
            serial=self._options.address,
            width=width,
            height=height,
            channels=channels,
            rate_hz=self._options.rate_hz,
            exposure_source="host",
            hardware=True,
        )

    def arm(self) -> None:
        """See `Camera.arm`. Nothing to do: the other program takes the frames."""

    def start(self) -> None:
        """See `Camera.start`. What waits from before is passed over."""
        while self._receive(0) is not None:
            pass

    def grab(self, into: NDArray[np.uint8]) -> Grabbed:
        """See `Camera.grab`."""
        if self._socket is None:
            raise CameraFault(f"camera {self._name}: it is not open")
        for _ in range(10):
            if self._stopped.is_set():
                return None
            parts = self._receive(POLL_MS)
            if parts is not None:
                return self._take(parts, into)
        return NO_FRAME_YET

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:  # noqa: ARG002
        """See `Camera.truth`. Always None."""
        return None

    def stop(self) -> None:
        """See `Camera.stop`."""
        self._stopped.set()

    def close(self) -> None:
        """See `Camera.close`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self, parts: list[Any], into: NDArray[np.uint8]) -> Grabbed:
        """A message's frame, or the newest that waits behind it."""
        while self._options.grab == "latest" and (newer := self._receive(0)) is not None:
            parts = newer
        header = read_header(parts)
        if header is None:
            return FailedFrame("a message that is no frame")
        if header.shape != self._shape:
            raise CameraFault(
                f"camera {self._name}: its frames changed from {self._shape} to {header.shape} "
                "(height, width, channels)"
            )
        np.copyto(into, np.frombuffer(parts[1].buffer, np.uint8).reshape(self._shape))
        return self._stamps(header)

    def _stamps(self, header: FrameHeader) -> FrameStamps:
        """The stamps of the next frame; index and scene time rise whatever the sender begins anew."""
        arrival_ns = self._clock.now_ns()
        index, last = header.index + self._ahead, self._last_index
        if last is not None and not 0 < index - last <= MOST_GAP:  # the other program was started again
            self._epoch += 1
            index = last + 1
            self._ahead = index - header.index
        self._last_index = index
        exposure_ns = arrival_ns if header.t_exposure_ns is None else min(header.t_exposure_ns, arrival_ns)
        scene_ns = max(exposure_ns, self._last_scene_ns + 1)
        self._last_scene_ns = scene_ns
        return FrameStamps(
            index=index,
            t_exposure_ns=None if header.t_exposure_ns is None else scene_ns,
            t_arrival_ns=arrival_ns,
            t_scene_ns=scene_ns,
            clock_error_ns=scene_ns - exposure_ns,
            epoch=self._epoch,
        )

    def _bind(self, socket: zmq.Socket[bytes]) -> None:
        """Bind, with patience for a socket of this camera that is still being closed."""
        for _ in range(BIND_ATTEMPTS):
            try:
                socket.bind(self._options.address)
            except zmq.ZMQError as problem:
                error = problem
                self._stopped.wait(BIND_PAUSE_S)
            else:
                return
        self.close()
        raise UserError(
            f"{self._where}.address: {self._options.address} cannot be bound ({error}); does another "
            "program have the port?"
        )

    def _first_shape(self) -> tuple[int, int, int]:
        wait_s = self._options.first_within_s
        until_ns = self._clock.now_ns() + round(wait_s * NS_PER_S)
        while (left_ns := until_ns - self._clock.now_ns()) > 0 and not self._stopped.is_set():
            parts = self._receive(min(POLL_MS, left_ns // NS_PER_MS + 1))
            header = None if parts is None else read_header(parts)
            if header is not None:
                return header.shape
        raise UserError(
            f"{self._where}: no frame came at {self._options.address} within {wait_s:g} s; start the program "
            "that sends them, or check its address"
        )

    def _receive(self, wait_ms: int) -> list[Any] | None:
        """The next message, its parts as they came; None where there is none within `wait_ms`."""
        assert self._socket is not None
        if not self._socket.poll(wait_ms):
            return None
        parts: list[Any] = self._socket.recv_multipart(copy=False)
        return parts


def read_header(parts: list[Any]) -> FrameHeader | None:
    """Read what a message says of its frame.

    Parameters
    ----------
    parts
        The message's parts, as `zmq.Frame`.

    Returns
    -------
    FrameHeader or None
        None where it is no frame, or its pixels are not as many as it says.
    """
    if len(parts) != 2:
        return None
    head = parts[0].bytes
    decode = msgspec.json.decode if head[:1] == b"{" else msgspec.msgpack.decode
    try:
        header = decode(head, type=FrameHeader)
    except msgspec.MsgspecError:
        return None
    height, width, channels = header.shape
    fits = min(header.shape) >= 1 and channels in (1, 3) and height * width * channels == len(parts[1])
    counted = 0 <= header.index <= MOST_INDEX and (header.t_exposure_ns or 0) >= 0
    return header if fits and counted else None
