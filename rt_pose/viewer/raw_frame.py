"""Pictures of a film or a file as the messages that the viewer shows. No Qt in here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.viewer.messages import FrameHeader, FrameMessage


def raw_frame(
    image: NDArray[np.uint8],
    frame: int = 0,
    row: int = 0,
    session: str = "",
    offset_xy: tuple[int, int] = (0, 0),
) -> FrameMessage:
    """Make the message of a picture that nobody published.

    Parameters
    ----------
    image
        (H, W, C) gray or RGB.
    frame
        The camera's index of the frame.
    row
        Its place in the film.
    session
        Identifier of the session.
    offset_xy
        Place of its top-left pixel on the sensor, px.

    Returns
    -------
    FrameMessage
        The message.
    """
    height, width, channels = image.shape
    header = FrameHeader(1, session, row, 0, frame, "raw", width, height, channels)
    header.offset_x, header.offset_y = offset_xy
    return FrameMessage(header, np.ascontiguousarray(image).tobytes())
