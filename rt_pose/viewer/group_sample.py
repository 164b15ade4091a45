"""What is traced of a group of cameras, turn by turn; no Qt in here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Z, SPEED, LATENCY = range(3)
"""Places of a sample, before those of the cameras' errors."""
FIXED = 3


def sample(
    place: NDArray[np.floating],
    velocity: NDArray[np.floating],
    lost: bool,
    latency_ms: float | None,
    errors: Sequence[float | None],
    before: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """Make what is traced of a turn.

    Parameters
    ----------
    place, velocity
        (3,) of the first keypoint.
    lost
        Whether it is lost.
    latency_ms
        From the exposure to the decision; None where it is not known.
    errors
        Reprojection error of each of V cameras, px; None of one that had no part in the turn.
    before
        The sample before, for the errors of those; None for none.

    Returns
    -------
    NDArray[np.float32]
        (3 + V,); NaN of what is not known.
    """
    row = np.full(FIXED + len(errors), np.nan, np.float32)
    if not lost:
        row[Z], row[SPEED] = place[2], np.linalg.norm(velocity)
    if latency_ms is not None:
        row[LATENCY] = latency_ms
    if before is not None and len(before) == len(row):
        row[FIXED:] = before[FIXED:]
    for v, error in enumerate(errors):
        if error is not None:
            row[FIXED + v] = error
    return row
