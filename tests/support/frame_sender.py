"""A program that owns a camera and sends its frames: the other side of the `zmq` camera."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
import zmq
from numpy.typing import NDArray

BLANK = [np.full((48, 64), level, np.uint8) for level in range(256)]
"""Gray frames, of which each tells its number."""


@contextmanager
def sender(
    address: str, rate_hz: float = 100.0, pictures: Sequence[NDArray[np.uint8]] = BLANK
) -> Iterator[threading.Event]:
    """Send gray pictures (H, W), over and over, until the end of the block.

    A frame is lost where nobody takes it. While the event is set the program hangs: nothing is taken or sent.
    """
    mute, ended = threading.Event(), threading.Event()

    def send() -> None:
        socket = zmq.Context.instance().socket(zmq.PUSH)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 1)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.connect(address)
        height, width = pictures[0].shape
        index = 0
        while not ended.wait(1 / rate_hz):
            if mute.is_set():
                continue
            header = {"index": index, "height": height, "width": width, "channels": 1}
            parts = [json.dumps(header).encode(), pictures[index % len(pictures)].tobytes()]
            with suppress(zmq.Again):
                socket.send_multipart(parts, zmq.NOBLOCK)
            index += 1
        socket.close()

    thread = threading.Thread(target=send, name="rt-pose-test-sender")
    thread.start()
    try:
        yield mute
    finally:
        ended.set()
        thread.join()
