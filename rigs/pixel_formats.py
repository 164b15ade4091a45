"""From a camera's pixel format to the loop's 8 bits, gray or RGB, in one pass into the frame's own memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How frames of a format become 8 bits."""

    name: str
    """In GenICam's words."""
    channels: int
    """Of what is written: 1 gray, 3 RGB."""
    dtype: type[np.uint8] | type[np.uint16]
    """Of the device's samples."""
    samples: int = 1
    """Samples a pixel in the device's buffer."""
    shift: int = 0
    """Bits by which deeper samples are shifted down."""
    conversion: str | None = None
    """OpenCV's name of the conversion; None where the samples are taken as they are."""

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of the device's buffer.

        Parameters
        ----------
        height, width
            Of a frame, px.

        Returns
        -------
        tuple[int, ...]
            (H, W), or (H, W, samples).
        """
        return (height, width) if self.samples == 1 else (height, width, self.samples)

    def write(self, raw: NDArray[np.uint8] | NDArray[np.uint16], into: NDArray[np.uint8]) -> None:
        """Write a frame.

        Parameters
        ----------
        raw
            The device's samples, of `shape` and `dtype`.
        into
            (H, W, channels) uint8, written.
        """
        if self.conversion is not None:
            import cv2

            cv2.cvtColor(raw, getattr(cv2, self.conversion), dst=into)
        elif self.shift:
            np.right_shift(raw, self.shift, out=into[..., 0], casting="unsafe")
        elif self.samples == 1:
            np.copyto(into[..., 0], raw)
        else:
            np.copyto(into, raw)


def _formats() -> dict[str, PixelFormat]:
    table = [PixelFormat("Mono8", 1, np.uint8), PixelFormat("RGB8", 3, np.uint8, 3)]
    table += [
        PixelFormat(f"Mono{bits}", 1, np.uint16, shift=bits - 8)
        for bits in (10, 12, 14, 16)  # unpacked: one sample in two bytes
    ]
    table += [
        PixelFormat("BGR8", 3, np.uint8, 3, conversion="COLOR_BGR2RGB"),
        PixelFormat("RGBa8", 3, np.uint8, 4, conversion="COLOR_RGBA2RGB"),
        PixelFormat("BGRa8", 3, np.uint8, 4, conversion="COLOR_BGRA2RGB"),
        PixelFormat("YUV422_8", 3, np.uint8, 2, conversion="COLOR_YUV2RGB_YUYV"),
        PixelFormat("YUV422_8_UYVY", 3, np.uint8, 2, conversion="COLOR_YUV2RGB_UYVY"),
        # GenICam names a mosaic by the first two pixels of its first row, OpenCV by the second ones of its
        # second.
        PixelFormat("BayerRG8", 3, np.uint8, conversion="COLOR_BayerBG2RGB"),
        PixelFormat("BayerGB8", 3, np.uint8, conversion="COLOR_BayerGR2RGB"),
        PixelFormat("BayerGR8", 3, np.uint8, conversion="COLOR_BayerGB2RGB"),
        PixelFormat("BayerBG8", 3, np.uint8, conversion="COLOR_BayerRG2RGB"),
    ]
    return {one.name: one for one in table}


FORMATS = _formats()
_SPELLINGS = {
    **{"RGB8Packed": "RGB8", "BGR8Packed": "BGR8", "RGBA8Packed": "RGBa8", "BGRA8Packed": "BGRa8"},
    **{"YUV422_YUYV_Packed": "YUV422_8", "YCbCr422_8": "YUV422_8", "YUV422Packed": "YUV422_8_UYVY"},
}
"""Names of earlier versions of the standard, and of other colour spaces with the same order of samples."""


def pixel_format(name: str, where: str) -> PixelFormat:
    """Look a format up.

    Parameters
    ----------
    name
        As the device calls it.
    where
        Key of the configuration to name in an error.

    Returns
    -------
    PixelFormat
        How its frames become 8 bits.

    Raises
    ------
    UserError
        Where frames of that format cannot be read.
    """
    known = _SPELLINGS.get(name, name)
    if known not in FORMATS:
        raise UserError(
            f"{where}: pixel_format: {name!r} cannot be read; expected one of {', '.join(FORMATS)} "
            "(packed samples must be unpacked by the camera)"
        )
    return FORMATS[known]


def preferred(offered: list[str], channels: int | None) -> str | None:
    """Choose among the formats that a device offers.

    Parameters
    ----------
    offered
        In the device's words.
    channels
        Channels that the network takes; None where no network is known.

    Returns
    -------
    str or None
        With 8 bits and the network's channels where there is one; else any with 8 bits; else any that can be
        read; None where none can.
    """
    readable = [name for name in offered if _SPELLINGS.get(name, name) in FORMATS]
    formats = {name: FORMATS[_SPELLINGS.get(name, name)] for name in readable}

    def rank(name: str) -> tuple[bool, bool, bool]:
        one = formats[name]
        return (
            one.dtype is not np.uint8,
            channels is not None and one.channels != channels,
            bool(one.conversion),
        )

    return min(readable, key=rank, default=None)
