"""The poses of one camera as a subscriber takes them: the newest, the others counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.loop.curve import ClientKeys

STALE_NS, FRESH_MS = 100 * NS_PER_MS, 50
"""A pose of before this has waited behind others, whose sender may since have dropped the newest; so long is
another one waited for."""


@dataclass(frozen=True, slots=True)
class PublishedPose:
    """A pose as it came over the wire."""

    frame: int
    values: NDArray[np.float64]
    """(N, K, 3) x, y (px of the frame) and confidence; 0 where the track is lost."""
    t_exposure_ns: int | None
    t_frame_utc_ns: int
    """Exposure of the frame, or its arrival where that is not known; ns since the Unix epoch."""
    t_pose_utc_ns: int
    """When the network's pose was there; ns since the Unix epoch."""


class _Header(msgspec.Struct):
    """What is read of a pose's header."""

    seq: int
    t_pub_ns: int
    frame: int
    t_exposure_ns: int | None
    age_ns: int
    lost: list[list[bool]]
    shape: list[int]
    latency_ms: dict[str, float | None]
    data: Any = None


class PoseFeed:
    """A subscription to the poses of one camera. Used by one thread."""

    def __init__(
        self, address: str, keys: ClientKeys | None, camera: str, in_json: bool, clock: Clock
    ) -> None:
        """Subscribe.

        Parameters
        ----------
        address
            Where the loop publishes.
        keys
            For an address that other machines reach; None for one of this machine.
        camera
            Name of the camera.
        in_json
            Whether headers are in JSON.
        clock
            Compares the times of poses with the present.
        """
        self._clock = clock
        self._decoder: msgspec.json.Decoder[_Header] | msgspec.msgpack.Decoder[_Header] = (
            msgspec.json.Decoder(_Header) if in_json else msgspec.msgpack.Decoder(_Header)
        )
        self._next_seq = 0
        self.skipped = 0
        """Poses that were published and not taken."""
        self._context: zmq.Context[Any] = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        """For a poller."""
        self.socket.setsockopt(zmq.LINGER, 0)
        if keys is not None:
            keys.secure(self.socket)
        self.socket.subscribe(f"pose/{camera}/")
        self.socket.connect(address)

    def newest(self) -> PublishedPose | None:
        """Take the newest pose that has come, and count those before it as skipped.

        Returns
        -------
        PublishedPose or None
            None where none has come since the last call.
        """
        parts = self._drain()
        if parts is None:
            return None
        header = self._decoder.decode(parts[1])
        if self._clock.now_ns() - header.t_pub_ns > STALE_NS and self.socket.poll(FRESH_MS):
            parts = self._drain() or parts
            header = self._decoder.decode(parts[1])
        self.skipped += header.seq - self._next_seq
        self._next_seq = header.seq + 1
        return self._pose(header, parts)

    def close(self) -> None:
        """Disconnect."""
        self.socket.close()
        self._context.term()

    def _drain(self) -> list[bytes] | None:
        parts = None
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return parts

    def _pose(self, header: _Header, parts: list[bytes]) -> PublishedPose:
        values: NDArray[Any] = (
            np.frombuffer(parts[2], "<f4").reshape(header.shape)
            if header.data is None
            else np.array(header.data, np.float64).reshape(header.shape)
        )
        values = values[..., :3].astype(np.float64)
        values[..., 2] = np.where(np.array(header.lost, bool), 0.0, np.nan_to_num(values[..., 2]))
        began_ns, waited_ms = header.t_exposure_ns, 0.0
        if began_ns is None:
            began_ns = header.t_pub_ns - header.age_ns  # the arrival
        else:
            waited_ms = self._ms(header, "exposure_to_decision") - self._ms(header, "image_to_decision")
        to_utc_ns = self._clock.utc_ns() - self._clock.now_ns()
        posed_ns = began_ns + round((waited_ms + self._ms(header, "image_to_pose")) * NS_PER_MS)
        return PublishedPose(
            header.frame, values, header.t_exposure_ns, began_ns + to_utc_ns, posed_ns + to_utc_ns
        )

    @staticmethod
    def _ms(header: _Header, name: str) -> float:
        value = header.latency_ms.get(name)
        return value if value is not None and math.isfinite(value) else 0.0
