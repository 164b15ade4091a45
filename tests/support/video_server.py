"""A network camera: a process that sends H.264 to whoever connects, then ends."""

from __future__ import annotations

import sys
import time
from fractions import Fraction

import av
import numpy as np


def serve(port: int, frames: int, rate_hz: int) -> None:
    """Wait for a client, and send it `frames` frames of 64x48."""
    with av.open(f"tcp://127.0.0.1:{port}?listen=1", "w", format="mpegts") as out:
        made = out.add_stream("libx264", rate=rate_hz, options={"preset": "ultrafast", "tune": "zerolatency"})
        made.width, made.height, made.pix_fmt = 64, 48, "yuv420p"
        made.time_base = Fraction(1, rate_hz)
        for index in range(frames):
            image = np.full((48, 64, 3), (index * 2) % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index
            out.mux(made.encode(frame))
            time.sleep(1 / rate_hz)
        out.mux(made.encode(None))


if __name__ == "__main__":
    serve(*(int(word) for word in sys.argv[1:4]))
