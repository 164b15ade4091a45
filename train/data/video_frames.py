"""Labeled frames out of the recordings that they were taken from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.video import VideoReader, probe
from train.data.videos import VIDEO_SUFFIXES


def decoded_frames(path: Path, indices: Iterable[int]) -> dict[int, NDArray[np.uint8]]:
    """Decode frames of a recording by number, in one pass.

    Parameters
    ----------
    path
        The recording.
    indices
        Numbers of the frames.

    Returns
    -------
    dict of int to NDArray
        Images (H, W, C) by number; without those that the recording does not have.

    Raises
    ------
    UserError
        Where it cannot be read.
    """
    with VideoReader(path, probe(path).channels) as reader:
        return {frame.index: frame.image for frame in reader.read_at(sorted(set(indices)))}


def recordings_called(stem: str, places: Iterable[Path]) -> list[Path]:
    """Find recordings by their name without its ending.

    Parameters
    ----------
    stem
        The name.
    places
        Folders in which they may lie; those that do not exist are passed over.

    Returns
    -------
    list of Path
        Those of the first folder that has any.
    """
    for place in places:
        if place.is_dir():
            found = [p for p in place.iterdir() if p.stem == stem and p.suffix.lower() in VIDEO_SUFFIXES]
            if found:
                return sorted(found)
    return []
