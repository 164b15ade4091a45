"""Choosing among frames: those that score high by something, and those that look different from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray
from train.data.diversity import farthest_points, outliers
from train.data.sample_frames import spread_indices

APPEARANCE_SIZE = (32, 24)
"""(width, height) px of the small picture by which frames are compared."""
POOL = 3
"""Of the frames that score highest, so many times as are picked: those that differ are taken of them."""


@dataclass
class Score:
    """What makes frames worth labeling. C frames."""

    values: FloatArray
    """(C,) the higher the better; 0 for frames that are not worth it."""
    text: str
    """The reason, with a place for the value."""

    def of(self, indices: Sequence[int]) -> Score:
        """Return the score of some of the frames.

        Parameters
        ----------
        indices
            Which ones.

        Returns
        -------
        Score
            Theirs.
        """
        return Score(self.values[list(indices)], self.text)


def choose(
    scores: Sequence[Score], appearance: FloatArray, taken: NDArray[np.bool_], wanted: int
) -> dict[int, str]:
    """Choose frames: an equal share by each score, and one that differ in appearance.

    Parameters
    ----------
    scores
        What makes frames worth labeling.
    appearance
        (C, D), by which they are told apart.
    taken
        (C,) frames that are there already.
    wanted
        How many.

    Returns
    -------
    dict of int to str
        The reason of each, by its index.
    """
    chosen: dict[int, str] = {}
    taken = taken.copy()
    for score in scores:
        for i in pick_high(score.values, appearance, taken, wanted // (len(scores) + 1)):
            chosen[i], taken[i] = score.text.format(score.values[i]), True
    for i in pick_different(appearance, taken, wanted - len(chosen)):
        chosen[i] = "different in appearance"
    return chosen


def pick_high(score: FloatArray, appearance: FloatArray, taken: NDArray[np.bool_], count: int) -> list[int]:
    """Pick frames that score high and differ from one another.

    Parameters
    ----------
    score
        (C,) the higher the better; frames without a score above 0 are not picked.
    appearance
        (C, D).
    taken
        (C,) frames that are not to be picked again.
    count
        How many.

    Returns
    -------
    list of int
        Indices.
    """
    order = [i for i in np.argsort(-score, kind="stable").tolist() if score[i] > 0 and not taken[i]]
    pool = np.array(order[: POOL * count], int)
    return [int(pool[i]) for i in farthest_points(appearance[pool], count)]


def pick_different(appearance: FloatArray, taken: NDArray[np.bool_], count: int) -> list[int]:
    """Pick frames that differ from one another and from those that are taken.

    Parameters
    ----------
    appearance
        (C, D).
    taken
        (C,) frames that are there.
    count
        How many; fewer come back only where there are no more.

    Returns
    -------
    list of int
        Indices. Frames that are like hardly any other, such as a hand in the picture, come last.
    """
    odd = outliers(appearance)
    picked: list[int] = []
    for pool in (np.flatnonzero(~taken & ~odd), np.flatnonzero(~taken & odd)):
        before = appearance[taken] if not picked else appearance[[*np.flatnonzero(taken), *picked]]
        picked += [int(pool[i]) for i in farthest_points(appearance[pool], count - len(picked), before)]
    # Frames that are all alike: spread over the recording.
    rest = [i for i in np.flatnonzero(~taken).tolist() if i not in picked]
    picked += [rest[i] for i in spread_indices(len(rest), count - len(picked))] if rest else []
    return picked[:count]


def appearance_of(image: NDArray[np.uint8]) -> FloatArray:
    """Describe what a frame looks like.

    Parameters
    ----------
    image
        (H, W, C) uint8, C 1 or 3 (RGB).

    Returns
    -------
    FloatArray
        Grey levels of a picture of `APPEARANCE_SIZE`.
    """
    gray = image if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, APPEARANCE_SIZE, interpolation=cv2.INTER_AREA), np.float64).ravel()
