"""The labels of one frame while a person works on them: P points, of several animals each one's keypoints."""

from __future__ import annotations

from collections.abc import Iterable
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
    """(P, 2) frame px; NaN where there is no place."""
    marks: NDArray[np.uint8]
    """(P,) values of `Mark`."""

    @classmethod
    def empty(cls, points: int) -> FrameLabels:
        """Make labels of which nothing is known.

        Parameters
        ----------
        points
            Number of points P.

        Returns
        -------
        FrameLabels
            All open.
        """
        return cls(np.full((points, 2), np.nan), np.zeros(points, np.uint8))

    def with_keypoint(self, k: int, mark: Mark, xy: tuple[float, float] | None = None) -> FrameLabels:
        """Return these labels with one point changed.

        Parameters
        ----------
        k
            Index of the point.
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

    def exchanged(self, a: range, b: range) -> FrameLabels:
        """Return these labels with those of two animals exchanged.

        Parameters
        ----------
        a, b
            Points of each, as many of one as of the other.

        Returns
        -------
        FrameLabels
            The changed labels.
        """
        order = np.arange(len(self.marks))
        order[a], order[b] = b, a
        return replace(self, xy=self.xy[order], marks=self.marks[order])

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

    def unsettled(self, order: Iterable[int]) -> int | None:
        """Find the next point that wants a decision: an open one, else a proposal.

        Parameters
        ----------
        order
            The points in which it is looked for.

        Returns
        -------
        int | None
            Its index; None where all are settled.
        """
        points = list(order)
        for mark in UNSETTLED:
            found = next((k for k in points if self.marks[k] == mark), None)
            if found is not None:
                return found
        return None

    @property
    def done(self) -> bool:
        """Whether every point is settled."""
        return not any(mark in UNSETTLED for mark in self.marks.tolist())
