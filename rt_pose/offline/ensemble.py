"""Ensemble Kalman smoothing: several networks' predictions of one video to one, with its uncertainty.

The idea is Biderman et al. 2024 (Nature Methods 21, 1316): a prediction weighs less where members disagree.
The median of the members is the observation, their variance over their mean confidence its noise, and our
own movement model smooths it, its strength q chosen by the filter's likelihood. Time is counted in frames.

Here each keypoint moves by itself; `rt_pose.offline.latents` has those that move together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.alignment import Aligned, align
from rt_pose.offline.prediction_files import SMOOTHED_FIELDS, Predictions, write_predictions
from rt_pose.offline.rows import MotionModel, ObservationRows, log_likelihood, smooth
from rt_pose.types import FloatArray

TAU_FRAMES = 10.0
FLOOR_PX2 = 0.1
"""Labeling noise: members that agree exactly are not right exactly."""
LEAST_LIKELIHOOD = 1e-3
SINGLE_PX2 = 1.0
"""In place of the members' variance where one of them alone has the keypoint."""
LOG10_Q = (-7.0, 4.0)
"""Bounds of the search, px^2 per frame^3: from drift to jumps of hundreds of px a frame."""
COARSE, FINE, LAST = 12, 7, 5
"""Candidates of the three rounds of the search, each between the neighbours of the best before."""
PIECE_FRAMES = 250


@dataclass(slots=True)
class Ensemble:
    """The combined predictions of the members. F frames, K keypoints."""

    keypoints: list[str]
    frames: list[str]
    median: FloatArray
    """(F, K, 2) px; NaN where no member has it."""
    var: FloatArray
    """(F, K, 2) px^2 along each axis, over the mean likelihood."""
    likelihood: FloatArray
    """(F, K) mean."""
    between: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    """Rows of frames that no member has; they lie between others, so that time runs on evenly."""
    notes: list[str] = field(default_factory=list)
    """Which members lack frames."""

    @property
    def never_seen(self) -> NDArray[np.bool_]:
        """(K,) keypoints that no member has in any frame."""
        return np.asarray(~np.isfinite(self.median).any(axis=(0, 2)))


@dataclass(slots=True)
class SmoothedEnsemble:
    """The smoother's result."""

    xy: FloatArray
    """(F, K, 2) px; NaN for a keypoint that was never seen."""
    var: FloatArray
    """(F, K, 2) px^2, posterior, along each axis."""
    q: FloatArray
    """Strengths chosen, px^2/frame^3: a keypoint, a part seen in views, or (centre, diameter)."""
    lowest: list[str] = field(default_factory=list)
    """Whose strength is the least that the search tries."""
    highest: list[str] = field(default_factory=list)
    """Whose strength is the greatest that it tries."""


def ensemble_of(members: Sequence[Predictions]) -> Ensemble:
    """Combine the predictions of the members; see `combine`.

    Parameters
    ----------
    members
        Predictions of one video and skeleton.

    Returns
    -------
    Ensemble
        The combined predictions.

    Raises
    ------
    UserError
        Where there are none, or they are not of one video and skeleton.
    """
    if not members:
        raise UserError("smoothing: no prediction files were given")
    return combine(align(members))


def combine(together: Aligned) -> Ensemble:
    """Combine aligned predictions: their median, and their variance over their mean likelihood.

    A member without the keypoint counts as likelihood 0. Where a single member has it there is no spread, and
    the variance is 1 / likelihood.

    Parameters
    ----------
    together
        The predictions of the members, one or more.

    Returns
    -------
    Ensemble
        The combined predictions.
    """
    xy = together.xy
    known = np.asarray(np.isfinite(xy).all(axis=-1))  # (members, F, K)
    xy = np.where(known[..., None], xy, np.nan)
    scores = np.where(known & np.isfinite(together.likelihood), together.likelihood, 0.0)
    confident = np.maximum(scores.mean(axis=0), LEAST_LIKELIHOOD)
    count = known.sum(axis=0)
    none = count == 0
    xy[0, none] = 0.0  # so that there is a number; taken away again below
    median = np.nanmedian(xy, axis=0) if np.isnan(xy).any() else np.median(xy, axis=0)
    spread = np.where(count[..., None] > 1, np.nanvar(xy, axis=0), SINGLE_PX2)
    median[none], spread[none] = np.nan, np.nan
    return Ensemble(
        together.keypoints,
        together.frames,
        median,
        spread / confident[..., None],
        confident,
        together.between,
        together.notes,
    )


def smooth_single(ensemble: Ensemble, q: FloatArray | None = None) -> SmoothedEnsemble:
    """Smooth each keypoint by itself.

    Parameters
    ----------
    ensemble
        The combined predictions.
    q
        Strength of each keypoint's movement, (K,) px^2/frame^3; None to search for it.

    Returns
    -------
    SmoothedEnsemble
        Smoothed positions and variances.
    """
    # (F, 1, 2, K): a row, axes, keypoints
    z, r = (values.transpose(0, 2, 1)[:, None] for values in observations(ensemble))
    h = np.ones((1, 1, 1, 2, z.shape[-1]))
    lowest: list[str] = []
    highest: list[str] = []
    if q is None:
        # One q for both axes: their likelihoods add up.
        q = search(lambda c: row_likelihood(h, z, r, c[:, None, :]).sum(axis=1), z.shape[-1])
        lowest, highest = at_bounds(ensemble.keypoints, q, ~ensemble.never_seen)
    means, covs = smooth_rows(h, z, r, np.broadcast_to(q, z.shape[2:]))
    xy, var = means[:, 0].transpose(0, 2, 1), covs[:, 0, 0].transpose(0, 2, 1)
    xy[:, ensemble.never_seen] = var[:, ensemble.never_seen] = np.nan
    return SmoothedEnsemble(xy, var, q, lowest, highest)


def write_smoothed(path: Path, ensemble: Ensemble, smoothed: SmoothedEnsemble) -> None:
    """Write a smoothed ensemble, with the columns SMOOTHED_FIELDS of each keypoint.

    The rows are the frames that a member has; cells of a keypoint that was never seen are blank.

    Parameters
    ----------
    path
        The CSV to write.
    ensemble
        The combined predictions.
    smoothed
        The smoother's result for them.
    """
    frames, columns = smoothed_rows(ensemble, smoothed)
    write_predictions(path, ensemble.keypoints, frames, SMOOTHED_FIELDS, columns)


def smoothed_rows(ensemble: Ensemble, smoothed: SmoothedEnsemble) -> tuple[list[str], FloatArray]:
    """Make the rows of a smoothed ensemble's file.

    Parameters
    ----------
    ensemble
        The combined predictions.
    smoothed
        The smoother's result for them.

    Returns
    -------
    frames : list of str
        The first column: the F frames that a member has.
    columns : FloatArray
        SMOOTHED_FIELDS of each keypoint (F, K, 9); NaN for one that was never seen.
    """
    parts = (smoothed.xy, ensemble.likelihood[..., None], ensemble.median, ensemble.var, smoothed.var)
    columns = np.concatenate(parts, axis=-1)
    columns[:, ensemble.never_seen] = np.nan
    rows = np.setdiff1d(np.arange(len(columns)), ensemble.between)
    return [ensemble.frames[row] for row in rows], columns[rows]


def observations(ensemble: Ensemble) -> tuple[FloatArray, FloatArray]:
    """Make observations and their noise.

    Parameters
    ----------
    ensemble
        The combined predictions.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        Positions z (F, K, 2) px, 0 where nothing was seen, and variances r (F, K, 2) px^2, infinite there.
    """
    seen = np.isfinite(ensemble.median)
    return np.where(seen, ensemble.median, 0.0), np.where(seen, ensemble.var + FLOOR_PX2, np.inf)


def _first_seen(h: FloatArray, z: FloatArray, r: FloatArray) -> FloatArray:
    """(d, *B) the initial position: least squares of the rows of the first frame that has them all."""
    whole = np.isfinite(r).all(axis=1)
    first = whole.argmax(axis=0)  # (*B)
    rows = np.take_along_axis(z, first[None, None], axis=0)[0]  # (R, *B)
    rows = np.where(whole.any(axis=0), rows, 0.0)
    batch = np.broadcast_to(h[0], (*h.shape[1:3], *rows.shape[1:]))
    flat = np.moveaxis(batch.reshape(*h.shape[1:3], -1), -1, 0)  # (b, R, d)
    solved = (np.linalg.pinv(flat) @ rows.reshape(len(rows), -1).T[..., None])[..., 0].T
    return solved.reshape(h.shape[2], *rows.shape[1:])


def smooth_rows(h: FloatArray, z: FloatArray, r: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Smooth rows of observations with the movement model; time is counted in frames.

    Parameters
    ----------
    h, z, r
        Rows as of `rt_pose.offline.rows.ObservationRows`.
    q
        Strength of the movement, (*B) or (d, *B) px^2/frame^3.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        Means (F, 2 d, *B) and covariances (F, 2 d, 2 d, *B).
    """
    model = MotionModel(
        np.ones(len(z)), np.asarray(q), np.full(np.shape(q), TAU_FRAMES), _first_seen(h, z, r)
    )
    return smooth(model, ObservationRows(h, z, r))


def row_likelihood(h: FloatArray, z: FloatArray, r: FloatArray, q: FloatArray) -> FloatArray:
    """Compute the filter's log likelihood of candidate strengths.

    The recording is cut into pieces that run side by side, each with its own unknown beginning.

    Parameters
    ----------
    h, z, r
        Rows as of `rt_pose.offline.rows.ObservationRows`.
    q
        Candidates, (C, *B), or (d, C, *B) where axes differ, px^2/frame^3.

    Returns
    -------
    FloatArray
        (C, *B).
    """
    pieces = -(-len(z) // PIECE_FRAMES)
    length = -(-len(z) // pieces)
    pad = [(0, pieces * length - len(z))] + [(0, 0)] * (z.ndim - 1)

    def cut(values: FloatArray, blank: float) -> FloatArray:
        """(L, R, 1, *B, S)."""
        whole = np.pad(values, pad, constant_values=blank)
        return np.moveaxis(whole.reshape(pieces, length, *values.shape[1:]), 0, -1)[:, :, None]

    start = _first_seen(h, z, r)[:, None, ..., None]
    z, r = cut(z, 0.0), cut(r, np.inf)
    q = q[..., None]
    candidates = q.shape[-len(r.shape[2:]) :]
    shape = np.broadcast_shapes(candidates, r.shape[2:])
    model = MotionModel(
        np.ones(length), q, np.full(q.shape, TAU_FRAMES), np.broadcast_to(start, (len(start), *shape))
    )
    return log_likelihood(model, ObservationRows(h[:, :, :, None, ..., None], z, r)).sum(axis=-1)


def search(likelihood: Callable[[FloatArray], FloatArray], count: int) -> FloatArray:
    """Search for the strengths of greatest likelihood, within `LOG10_Q`.

    Parameters
    ----------
    likelihood
        Maps candidates (C, count) to their log likelihoods (C, count).
    count
        Number of strengths, each with a likelihood of its own.

    Returns
    -------
    FloatArray
        (count,) px^2/frame^3.
    """
    low, high = np.full(count, LOG10_Q[0]), np.full(count, LOG10_Q[1])
    for n in (COARSE, FINE, LAST):
        grid = low + (high - low) * np.linspace(0, 1, n)[:, None]  # (n, count)
        best = likelihood(10.0**grid).argmax(axis=0)
        spacing, at = (high - low) / (n - 1), grid[best, np.arange(count)]
        low, high = np.maximum(at - spacing, LOG10_Q[0]), np.minimum(at + spacing, LOG10_Q[1])
    return 10.0**at


def at_bounds(
    names: Sequence[str], q: FloatArray, seen: NDArray[np.bool_] | None = None
) -> tuple[list[str], list[str]]:
    """Find the strengths that lie at a bound of their search: the best one may lie beyond.

    Parameters
    ----------
    names
        What each strength belongs to.
    q
        Strengths that `search` chose, (count,) px^2/frame^3.
    seen
        (count,) False where nothing was observed, which says nothing of a strength; None for everything seen.

    Returns
    -------
    tuple[list[str], list[str]]
        The names at the lower and at the upper bound.
    """
    counts = np.ones(len(q), bool) if seen is None else seen
    at = [np.isclose(np.log10(q), bound, rtol=0.0, atol=1e-6) & counts for bound in LOG10_Q]
    low, high = ([name for name, there in zip(names, own, strict=True) if there] for own in at)
    return low, high


def bound_notes(smoothed: SmoothedEnsemble) -> list[str]:
    """Say which strengths lie at a bound of their search.

    Parameters
    ----------
    smoothed
        A smoother's result.

    Returns
    -------
    list[str]
        A line for each bound at which there are any.
    """
    notes = []
    if smoothed.lowest:
        notes.append(
            f"strength at the lower bound of its search: {', '.join(smoothed.lowest)}: taken to stand still"
        )
    if smoothed.highest:
        notes.append(
            f"strength at the upper bound of its search: {', '.join(smoothed.highest)}: followed from frame "
            "to frame and hardly smoothed; look for jumps, or for files of another video"
        )
    return notes
