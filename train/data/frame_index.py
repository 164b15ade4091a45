"""Frames of unlabeled video beside ones that validate: neighbours look alike, so whoever has learned from the
former makes too small an error on the latter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

_NO_VIDEO = ("", "labeled-data")
"""Folders of images that are no video's own."""


def frame_of(name: str) -> tuple[str, int] | None:
    """The video, without its ending, and the frame that an image's name tells: VIDEO/img0123.png. None where
    it tells none."""
    path = PurePosixPath(name)
    number = re.search(r"(\d+)$", path.stem)
    if number is None or path.parent.name in _NO_VIDEO:
        return None
    return path.parent.name, int(number.group())


def without_frame_index(names: Sequence[str]) -> int:
    """How many images' names do not tell which frame of a video they are."""
    return sum(frame_of(name) is None for name in names)


def near_labeled(names: Sequence[str], video: str, frames: int, margin: int) -> NDArray[np.bool_]:
    """(F,) which of a video's frames are one of the named images or no more than `margin` from it."""
    near = np.zeros(frames, bool)
    for place in map(frame_of, names):
        if place is not None and place[0] == video:
            near[max(place[1] - margin, 0) : place[1] + margin + 1] = True
    return near
