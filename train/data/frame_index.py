"""Frames of unlabeled video close to ones that validate.

Neighbours look alike, so a network that has learned from the former makes too small an error on the latter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

_NO_VIDEO = ("", "labeled-data")
"""Folders of images that are no video's own."""


def frame_of(name: str) -> tuple[str, int] | None:
    """Read the video and the frame from an image's name, such as VIDEO/img0123.png.

    Parameters
    ----------
    name
        Path of the image, with forward slashes.

    Returns
    -------
    tuple of (str, int) or None
        Name of the video, without its ending, and index of the frame; None where the name holds neither.
    """
    path = PurePosixPath(name)
    number = re.search(r"(\d+)$", path.stem)
    if number is None or path.parent.name in _NO_VIDEO:
        return None
    return path.parent.name, int(number.group())


def without_frame_index(names: Sequence[str]) -> int:
    """Count the images whose names do not say which frame of a video they are.

    Parameters
    ----------
    names
        Paths of images, with forward slashes.
    """
    return sum(frame_of(name) is None for name in names)


def near_labeled(names: Sequence[str], video: str, frames: int, margin: int) -> NDArray[np.bool_]:
    """Return which of a video's frames are one of the named images, or close to one.

    Parameters
    ----------
    names
        Paths of images, with forward slashes.
    video
        Name of the video, without its ending.
    frames
        Number of its frames F.
    margin
        Frames to each side of an image that count as close.

    Returns
    -------
    NDArray
        Booleans (F,).
    """
    near = np.zeros(frames, bool)
    for place in map(frame_of, names):
        if place is not None and place[0] == video:
            near[max(place[1] - margin, 0) : place[1] + margin + 1] = True
    return near
