"""A network camera: a process that sends H.264 to whoever connects, until it is interrupted."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from fractions import Fraction

import av
import numpy as np


def serve(port: int, rate_hz: int) -> None:
    """Wait for a client, and send it frames of 64x48, each a little lighter than the last."""
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    with av.open(f"tcp://127.0.0.1:{port}?listen=1", "w", format="mpegts") as out:
        made = out.add_stream("libx264", rate=rate_hz, options={"preset": "ultrafast", "tune": "zerolatency"})
        made.width, made.height, made.pix_fmt = 64, 48, "yuv420p"
        made.time_base = Fraction(1, rate_hz)
        for index in itertools.count():
            if interrupted.wait(1 / rate_hz):
                break
            image = np.full((48, 64, 3), min(index * 10, 250), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index
            out.mux(made.encode(frame))
        out.mux(made.encode(None))


if __name__ == "__main__":
    serve(*(int(word) for word in sys.argv[1:3]))
