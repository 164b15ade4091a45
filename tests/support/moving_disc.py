"""A video of one smooth bright disc that moves, with its true place in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (160, 120)


def place(index: int) -> NDArray[np.float64]:
    """(2,) px where the disc's centre is in a frame."""
    return np.array([50.0 + 1.5 * (index % 40), 40.0 + 1.0 * (index % 40)])


def draw(index: int) -> NDArray[np.uint8]:
    """(H, W) the disc on black; the grey level of the corner tells the frame's number."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    cx, cy = place(index)
    image = (220 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 4.0**2))).round().astype(np.uint8)
    image[:8, :8] = index
    return image


def write_disc(
    path: Path, frames: int = 40, codec: str = "ffv1", skipped: Sequence[int] = (), first: int = 0
) -> Path:
    """Write the frames `first` ...; those in `skipped` are left out, their times with them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=50)
        stream.width, stream.height = SIZE
        stream.pix_fmt = {"ffv1": "gray", "mpeg4": "yuv420p"}[codec]
        stream.time_base = stream.codec_context.time_base = Fraction(1, 50)
        for i in (i for i in range(frames) if i not in skipped):
            frame = av.VideoFrame.from_ndarray(draw(first + i), format="gray")
            frame.pts, frame.time_base = i, Fraction(1, 50)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown(image: NDArray[np.uint8]) -> int:
    """The number of the frame that an image (H, W, C) shows."""
    return int(image[4, 4, 0])
