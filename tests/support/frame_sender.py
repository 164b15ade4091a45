"""A program that owns a camera and sends its frames: the other side of the `zmq` camera."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import zmq


@contextmanager
def sender(address: str, rate_hz: float = 100.0, size: tuple[int, int] = (64, 48)) -> Iterator[None]:
    """Send gray frames of `size` until the end of the block; frame i is lost where nobody takes it."""
    ended = threading.Event()

    def send() -> None:
        socket = zmq.Context.instance().socket(zmq.PUSH)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 1)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.connect(address)
        width, height = size
        index = 0
        while not ended.wait(1 / rate_hz):
            pixels = np.full((height, width), index % 256, np.uint8)
            header = {"index": index, "height": height, "width": width, "channels": 1}
            with suppress(zmq.Again):
                socket.send_multipart([json.dumps(header).encode(), pixels.tobytes()], zmq.NOBLOCK)
            index += 1
        socket.close()

    thread = threading.Thread(target=send, name="rt-pose-test-sender")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
