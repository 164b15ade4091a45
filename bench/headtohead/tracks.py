"""Detections with identities in frames that follow one another: the form of both programs' answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

NO_IDENTITY = -1


@dataclass
class Tracks:
    """What a program finds. F frames, D places, K keypoints."""

    xy: FloatArray
    """(F, D, K, 2) px; NaN where nothing was found."""
    confidence: FloatArray
    """(F, D, K); 0 where nothing was found."""
    identity: NDArray[np.int64]
    """(F, D) number of the animal; `NO_IDENTITY` where none was given."""

    @classmethod
    def empty(cls, frames: int, places: int, keypoints: int) -> Tracks:
        """Make tracks in which nothing was found.

        Parameters
        ----------
        frames, places, keypoints
            F, D and K.

        Returns
        -------
        Tracks
            To be filled.
        """
        shape = frames, places, keypoints
        return cls(np.full((*shape, 2), np.nan), np.zeros(shape), np.full(shape[:2], NO_IDENTITY))


def tracks_of(animals: Sequence[Sequence[dict[str, Any]]], keypoints: int) -> Tracks:
    """Convert another program's answers.

    Parameters
    ----------
    animals
        Of each frame its animals: xy, score and identity.
    keypoints
        K.

    Returns
    -------
    Tracks
        As many places as the fullest frame has animals; identities are numbered as they come.
    """
    found = Tracks.empty(len(animals), max(1, *map(len, animals)), keypoints)
    numbers: dict[str, int] = {}
    for i, frame in enumerate(animals):
        for d, animal in enumerate(frame):
            found.xy[i, d] = np.array(animal["xy"], dtype=float)  # None becomes NaN
            seen = np.isfinite(found.xy[i, d]).all(axis=-1)
            found.confidence[i, d] = np.where(seen, np.array(animal["score"], dtype=float), 0.0)
            if animal["identity"] is not None:
                found.identity[i, d] = numbers.setdefault(animal["identity"], len(numbers))
    return found


def write_tracks(tracks: Tracks, path: Path) -> None:
    """Write tracks; the file takes its name only when it is whole.

    Parameters
    ----------
    tracks
        The tracks.
    path
        An npz file.
    """
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **vars(tracks))
    part.replace(path)


def read_tracks(path: Path) -> Tracks:
    """Read what `write_tracks` wrote.

    Parameters
    ----------
    path
        The npz file.

    Returns
    -------
    Tracks
        The tracks.
    """
    with np.load(path) as arrays:
        return Tracks(arrays["xy"], arrays["confidence"], arrays["identity"])
