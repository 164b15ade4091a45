"""Rows of a table for the animals of a video: each keeps the row that it had, by where it was last seen.

This is no identity: animals that cross, or that are hidden together, may come out in each other's row.
"""

from __future__ import annotations

import numpy as np

from rt_pose.inference.decode import Keypoints
from rt_pose.package import UNMATCHED, match_rows, mean_gaps, take_rows
from rt_pose.types import FloatArray


class AnimalRows:
    """Brings the animals of frame after frame into rows."""

    def __init__(self, individuals: int, keypoints: int) -> None:
        """Begin with rows that nobody has had.

        Parameters
        ----------
        individuals
            How many rows, N.
        keypoints
            Number of keypoints K.
        """
        self._last = np.full((individuals, keypoints, 2), np.nan)
        """Where each row's keypoints were last seen."""

    def __call__(self, found: Keypoints[FloatArray]) -> Keypoints[FloatArray]:
        """Bring the animals of the next frame into their rows.

        Parameters
        ----------
        found
            Animals (D, K), the surest first, NaN after the last one.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (N, K); NaN, the confidence too, where there is none.
        """
        rows = match_rows(mean_gaps(self._last, found.xy))
        there = np.flatnonzero(np.isfinite(found.xy).all(axis=-1).any(axis=-1))
        new = [animal for animal in there if animal not in rows]
        # Those without a past take rows of nobody first, then of those that are not seen now.
        free = np.flatnonzero(rows == UNMATCHED)
        free = free[np.argsort(np.isfinite(self._last[free]).any(axis=(1, 2)), kind="stable")]
        rows[free[: len(new)]] = new[: len(free)]
        xy = take_rows(found.xy, rows, np.nan)
        seen = np.isfinite(xy)
        self._last[seen] = xy[seen]
        confidence = np.where(seen.all(axis=-1), take_rows(found.confidence, rows, np.nan), np.nan)
        return Keypoints(xy, take_rows(found.cov, rows, np.nan), confidence)
