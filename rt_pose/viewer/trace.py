"""Samples of the last seconds, kept without allocating; no Qt in here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.viewer.messages import FrameMessage, Pose3DMessage, PoseMessage

TRACE_CAPACITY = 8192
"""Samples kept per camera: ten seconds at 800 frames a second."""


def time_of(message: PoseMessage | Pose3DMessage | FrameMessage) -> int:
    """Get the time at which a message stands on a time axis.

    Parameters
    ----------
    message
        The message.

    Returns
    -------
    int
        Its exposure (in space, of the newest observation), or its publication where that is not known, ns.
    """
    header = message.header
    return header.t_pub_ns if header.t_exposure_ns is None else header.t_exposure_ns


class Trace:
    """A preallocated ring of (time, C values), read back in order."""

    def __init__(self, channels: int, capacity: int = TRACE_CAPACITY) -> None:
        """Allocate the ring.

        Parameters
        ----------
        channels
            Number of values C of a sample.
        capacity
            Number of samples that are kept.
        """
        self._t_ns = np.zeros(capacity, dtype=np.int64)
        self._values = np.zeros((channels, capacity), dtype=np.float32)
        self._count = 0

    @property
    def channels(self) -> int:
        """Number of values of a sample."""
        return int(self._values.shape[0])

    def append(self, t_ns: int, values: NDArray[np.float32]) -> None:
        """Add one sample; the oldest makes room.

        Parameters
        ----------
        t_ns
            Its time, ns.
        values
            (C,).
        """
        at = self._count % len(self._t_ns)
        self._t_ns[at] = t_ns
        self._values[:, at] = values
        self._count += 1

    def between(self, start_ns: int, end_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Read all channels over a span.

        Parameters
        ----------
        start_ns, end_ns
            Its ends, ns; both are of it.

        Returns
        -------
        tuple[NDArray[np.int64], NDArray[np.float32]]
            Times (S,), ns, and values (C, S), oldest first.
        """
        capacity = len(self._t_ns)
        order = np.arange(max(0, self._count - capacity), self._count) % capacity
        t_ns = self._t_ns[order]
        order = order[(t_ns >= start_ns) & (t_ns <= end_ns)]
        return self._t_ns[order], self._values[:, order]
