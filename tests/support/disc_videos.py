"""Short films of moving discs, which the tiny package's network finds."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from support.tiny_package import disc_frame

AT_FIRST = np.array([[40.0, 60.0], [120.0, 200.0], [200.0, 90.0], [270.0, 140.0]])
SIZE = (320, 256)


def disc_truth(index: int, step: float = 2.0) -> np.ndarray:
    """Middles of the discs (4, 2) px in a frame: they move to the right."""
    return AT_FIRST + np.array([step * (index % 20), 0.0])


def write_disc_video(path: Path, frames: int = 12, step: float = 2.0) -> Path:
    """Write a lossless gray film of the discs, moving by `step` px a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=50)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "gray"
        for i in range(frames):
            image = disc_frame(disc_truth(i, step), *SIZE, 1, radius=16.0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[:, :, 0], format="gray")))
        container.mux(stream.encode())
    return path
