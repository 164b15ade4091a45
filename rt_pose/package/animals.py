"""Which animal of one prediction is which of another: rows of several animals have no order of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

UNMATCHED = -1


def match_rows(apart: FloatArray, most: float = np.inf) -> NDArray[np.intp]:
    """Match rows to columns one to one, the nearest pair first.

    Parameters
    ----------
    apart
        Distances (R, C); NaN for pairs that are none.
    most
        Pairs must be nearer than this.

    Returns
    -------
    NDArray
        (R,) the column of each row, `UNMATCHED` for none.
    """
    left = np.where(np.isnan(apart), np.inf, apart)
    found = np.full(len(left), UNMATCHED, np.intp)
    for _ in range(min(left.shape)):
        row, column = np.unravel_index(left.argmin(), left.shape)
        if not left[row, column] < most:
            break
        found[row] = column
        left[row], left[:, column] = np.inf, np.inf
    return found


def take_rows(values: FloatArray, rows: NDArray[np.intp], blank: float) -> FloatArray:
    """Take rows by their numbers.

    Parameters
    ----------
    values
        (C, ...).
    rows
        (R,) their numbers, or `UNMATCHED`.
    blank
        What an `UNMATCHED` row holds.

    Returns
    -------
    FloatArray
        (R, ...).
    """
    if not len(values):
        return np.full((len(rows), *values.shape[1:]), blank)
    taken: FloatArray = values[rows]
    taken[rows == UNMATCHED] = blank
    return taken


def mean_gaps(rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Compute how far animals of one prediction lie from those of another of the same frame.

    Parameters
    ----------
    rows, columns
        Positions (R, K, 2) and (C, K, 2), px; NaN where a keypoint was not found.

    Returns
    -------
    FloatArray
        (R, C) mean distances of the keypoints that both have, px; NaN for a pair without any.
    """
    gaps = np.linalg.norm(rows[:, None] - columns[None], axis=-1)  # (R, C, K)
    known = np.isfinite(gaps)
    total, count = np.where(known, gaps, 0.0).sum(axis=-1), known.sum(axis=-1)
    means: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means


def ordered_like(xy: FloatArray, reference: FloatArray) -> FloatArray:
    """Bring the animals of a prediction into the order of another prediction of the same frames.

    Parameters
    ----------
    xy
        Positions (F, D, K, 2), px; those of one animal (F, K, 2) are returned as they are.
    reference
        Positions (F, R, K, 2), px.

    Returns
    -------
    FloatArray
        Positions (F, R, K, 2), px; NaN where the animal was not found.
    """
    if xy.ndim == 3:
        return xy
    ordered = []
    for own, wanted in zip(xy, reference, strict=True):
        ordered.append(take_rows(own, match_rows(mean_gaps(wanted, own)), np.nan))
    return np.stack(ordered)
