"""What another process sees of a ring of frames; a spawned child cannot import a test."""

from __future__ import annotations

from multiprocessing.connection import Connection

import numpy as np

from rt_pose.loop.frame_ring import FrameRing, RingDescription


def read_in_child(description: RingDescription, generation: int, results: Connection) -> None:
    """Send whether slot 2 still held `generation`, and the sum of its 4x6 pixels."""
    other = FrameRing.attach(description)
    into = np.empty((4, 6, 1), np.uint8)
    results.send((other.read(2, generation, into), int(into.sum())))
    other.close()
