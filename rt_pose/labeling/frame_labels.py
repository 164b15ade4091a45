"""The labels of one frame while a person works on them. K keypoints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

DECIMALS = 2
"""Of a position that was placed, px: finer than a hand is."""


class Mark(IntEnum):
    """What is known of a keypoint."""

    OPEN = 0
    """Nothing yet."""
    PROPOSED = 1
    """A place that nobody has accepted: of the model, or of the frame before."""
    PLACED = 2
    HIDDEN = 3
    """Placed, though it is occluded."""
    ABSENT = 4
    """Looked for: it cannot be seen."""


HAS_PLACE = (Mark.PROPOSED, Mark.PLACED, Mark.HIDDEN)
UNSETTLED = (Mark.OPEN, Mark.PROPOSED)


@dataclass(frozen=True)
class FrameLabels:
    """Places and marks; a change makes another one, so that earlier ones can be kept for undo."""

    xy: FloatArray
    """(K, 2) frame px; NaN where there is no place."""
    marks: NDArray[np.uint8]
    """(K,) values of `Mark`."""

    @classmethod
    def empty(cls, keypoints: int) -> FrameLabels:
        """Make labels of which nothing is known.

        Parameters
        ----------
        keypoints
            Number of keypoints K.

        Returns
        -------
        FrameLabels
            All open.
        """
        return cls(np.full((keypoints, 2), np.nan), np.zeros(keypoints, np.uint8))

    def with_keypoint(self, k: int, mark: Mark, xy: tuple[float, float] | None = None) -> FrameLabels:
        """Return these labels with one keypoint changed.

        Parameters
        ----------
        k
            Index of the keypoint.
        mark
            Its mark.
        xy
            Its place, frame px, rounded to `DECIMALS`; None: as it is, and none where the mark has none.

        Returns
        -------
        FrameLabels
            The changed labels.
        """
        places, marks = self.xy.copy(), self.marks.copy()
        marks[k] = mark
        if mark not in HAS_PLACE:
            places[k] = np.nan
        elif xy is not None:
            places[k] = np.round(xy, DECIMALS)
        return replace(self, xy=places, marks=marks)

    def accepted(self) -> FrameLabels:
        """Return these labels with every proposal placed where it is."""
        marks = np.where(self.marks == Mark.PROPOSED, Mark.PLACED, self.marks).astype(np.uint8)
        return replace(self, marks=marks)

    def same(self, other: FrameLabels) -> bool:
        """Tell whether other labels say the same.

        Parameters
        ----------
        other
            The others.

        Returns
        -------
        bool
            Whether they do.
        """
        return np.array_equal(self.marks, other.marks) and np.array_equal(self.xy, other.xy, equal_nan=True)

    def unsettled(self, after: int = -1) -> int | None:
        """Find the next keypoint that wants a decision: an open one, else a proposal.

        Parameters
        ----------
        after
            Keypoint from which on it is looked for, round about.

        Returns
        -------
        int | None
            Its index; None where all are settled.
        """
        count = len(self.marks)
        order = [(after + step) % count for step in range(1, count + 1)]
        for mark in UNSETTLED:
            found = next((k for k in order if self.marks[k] == mark), None)
            if found is not None:
                return found
        return None

    @property
    def done(self) -> bool:
        """Whether every keypoint is settled."""
        return self.unsettled() is None
