"""A small real video file whose frames tell their own number."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48


def level(index: int) -> int:
    """Grey level of a frame."""
    return 20 + 4 * index


def write_clip(path: Path, frames: int = 12, rate_hz: int = 100, codec: str = "ffv1") -> Path:
    """Write `frames` flat grey frames; the codec must be lossless for `shown_index` to be exact."""
    pixel_format = {"ffv1": "gray", "mjpeg": "yuvj420p"}[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for i in range(frames):
            image = np.full((HEIGHT, WIDTH), level(i), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode(None))
    return path


def shown_index(image: NDArray[np.uint8]) -> int:
    """The number of the frame that an image (H, W, C) shows."""
    return round((float(image.mean()) - 20) / 4)
