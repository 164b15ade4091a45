"""A decoded frame of a recording to an image: the right way up, its levels from 0 to 255.

Whatever reads a recording comes through here, so that labels, training, prediction and a film that is played
as a camera see the same pixels as players, OpenCV and SLEAP show.
"""

from __future__ import annotations

from struct import unpack
from typing import Any, Literal

import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

_FORMATS: dict[int, str] = {1: "gray", 3: "rgb24"}
_ANGLE_OFF = 1
"""Degrees by which a turn may miss a right angle: PyAV cuts the fraction off."""
_SPS = 7
"""Type of the unit of an H.264 stream that says how it is coded."""
_WITH_CHROMA_FORMAT = (100, 110, 122, 244, 44, 83, 86, 118, 128)
"""Profiles of H.264 that say how colours are sampled; in the others they always are."""


def quarter_turns(frame: Any) -> int | None:
    """Find how a frame is to be turned by its recording's display matrix.

    Parameters
    ----------
    frame
        PyAV's frame.

    Returns
    -------
    int | None
        Turns by 90 degrees clockwise, 0 to 3; None for any other angle.
    """
    angle = -frame.rotation  # PyAV counts against the clock
    turns = round(angle / 90)
    return turns % 4 if abs(angle - 90 * turns) <= _ANGLE_OFF else None


def is_mirrored(frame: Any) -> bool:
    """Tell whether a recording's display matrix mirrors its frames.

    Parameters
    ----------
    frame
        PyAV's frame.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know the name of one of the frame's other data
        return False
    if matrix is None:
        return False
    a, b, _, c, d, *_ = unpack("=9i", bytes(matrix))
    return bool(a * d - b * c < 0)


def is_monochrome(context: Any) -> bool:
    """Tell whether an H.264 stream holds luma only, as it does where a gray image was handed to its encoder.

    Its decoder gives colour frames all the same, and says nothing of their levels, which are the image's own.

    Parameters
    ----------
    context
        The stream's codec context.
    """
    if context.name != "h264":
        return False
    data = bytes(context.extradata or b"")
    unit = data[8:] if data[:1] == b"\x01" else _first_sps(data)
    if len(unit) < 5 or unit[0] & 0x1F != _SPS or unit[1] not in _WITH_CHROMA_FORMAT:
        return False
    # Two numbers of variable length follow, the set's own and the chroma format: a bit of 1 is a 0.
    return unit[4] >> 6 == 0b11


def _first_sps(data: bytes) -> bytes:
    for unit in data.split(b"\x00\x00\x01"):
        if unit and unit[0] & 0x1F == _SPS:
            return unit
    return b""


def shown_size(frame: Any) -> tuple[int, int]:
    """Return the size of a frame the right way up.

    Parameters
    ----------
    frame
        PyAV's frame.

    Returns
    -------
    tuple[int, int]
        (width, height), px.
    """
    turned = (quarter_turns(frame) or 0) % 2
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def pixels_of(
    frame: Any,
    reformatter: VideoReformatter,
    channels: Literal[1, 3],
    size: tuple[int, int] | None = None,
    into: NDArray[np.uint8] | None = None,
    *,
    monochrome: bool = False,
) -> NDArray[np.uint8]:
    """Convert a decoded frame to an image.

    Parameters
    ----------
    frame
        PyAV's frame.
    reformatter
        Converts it; kept from frame to frame, since it keeps its tables.
    channels
        1 gray, 3 RGB.
    size
        Width and height of the image, px; None for the frame's own, the right way up.
    into
        Where the pixels go, (H, W, C) uint8; None for memory of their own.
    monochrome
        Whether the stream holds luma only (`is_monochrome`): levels of unspecified range are then taken as
        they are, where those of a colour stream are taken for 16 to 235.

    Returns
    -------
    NDArray[np.uint8]
        (H, W, C).
    """
    turns = quarter_turns(frame) or 0
    width, height = size or shown_size(frame)
    coded = (height, width) if turns % 2 else (width, height)
    as_they_are = monochrome and frame.color_range == ColorRange.UNSPECIFIED
    plane = reformatter.reformat(
        frame,
        *coded,
        _FORMATS[channels],
        src_color_range=ColorRange.JPEG if as_they_are else None,
        dst_color_range=ColorRange.JPEG,
    ).planes[0]
    image = np.empty((height, width, channels), np.uint8) if into is None else into
    # PyAV pads its rows.
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(coded[1], plane.line_size)
    pixels = rows[:, : coded[0] * channels].reshape(coded[1], coded[0], channels)
    image[:] = np.rot90(pixels, -turns) if turns else pixels
    return image
