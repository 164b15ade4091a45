"""A lossless recording of discs that the network of `tiny_package` finds, and where they truly are."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from support.tiny_package import disc_frame

from rt_pose.types import FloatArray

KEYPOINTS = 3
WIDTH, HEIGHT, RATE_HZ, PERIOD = 320, 256, 30, 45


def discs_at(frame: int) -> FloatArray:
    """(K, 2) px: three discs on a circle, once round in 45 frames."""
    phase = 2 * np.pi * frame / PERIOD + np.arange(KEYPOINTS) * 2.1
    return np.stack([160 + 70 * np.cos(phase), 128 + 70 * np.sin(phase)], axis=1)


def write_discs(path: Path, frames: int) -> Path:
    """The recording, at 30 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        for i in range(frames):
            image = disc_frame(discs_at(i), WIDTH, HEIGHT, 1, radius=16.0)[:, :, 0]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode(None))
    return path


def write_truth(path: Path, frames: int) -> Path:
    """The discs' true places as a table of predictions."""
    names = [f"k{i}" for i in range(KEYPOINTS) for _ in range(2)]
    lines = [["scorer", *["made"] * len(names)], ["bodyparts", *names], ["coords", *["x", "y"] * KEYPOINTS]]
    lines += [[str(i), *(f"{v:.3f}" for v in discs_at(i).ravel())] for i in range(frames)]
    path.write_text("".join(",".join(cells) + "\n" for cells in lines))
    return path
