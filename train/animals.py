"""Accuracy of several animals a frame: which found animal is which labeled one, and how similar they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode import Keypoints
from rt_pose.package import UNMATCHED, match_rows, take_rows
from rt_pose.types import FloatArray
from train.accuracy import distances

OKS_KAPPA = 0.05
"""Of every keypoint, in square roots of the animal's area: twice the 0.025 that SLEAP takes for each."""
OKS_LEVELS = np.linspace(0.5, 0.95, 10)
"""Similarities from which an animal counts as found; COCO's."""
RECALLS = np.linspace(0.0, 1.0, 101)


def animal_sizes(labels: FloatArray) -> FloatArray:
    """Return the sizes of labeled animals: the diagonals of the boxes around their labels.

    Parameters
    ----------
    labels
        Labels (..., K, 2), px; NaN where unlabeled.

    Returns
    -------
    FloatArray
        Sizes (...), px, at least 1; NaN for an animal without a label.
    """
    return np.hypot(*np.moveaxis(_sides(labels), -1, 0))


def _sides(labels: FloatArray) -> FloatArray:
    """(..., 2) width and height of the box around each animal's labels, at least 1 px; NaN without any."""
    known = np.asarray(np.isfinite(labels).all(axis=-1, keepdims=True))
    low = np.where(known, labels, np.inf).min(axis=-2)
    high = np.where(known, labels, -np.inf).max(axis=-2)
    there = known.any(axis=-2)
    return np.where(there, np.maximum(high - np.where(there, low, 0.0), 1.0), np.nan)


def aligned(found: Keypoints[FloatArray], labels: FloatArray) -> Keypoints[FloatArray]:
    """Bring the found animals of frames into the rows of the labeled ones.

    Pairs are taken the nearest first, by the mean distance of their keypoints, in sizes of the labeled one;
    a keypoint that was not found counts as one size. Animals that are a size apart are not the same.

    Parameters
    ----------
    found
        Animals (F, D, K), frame px.
    labels
        Labels (F, N, K, 2), frame px; NaN where unlabeled.

    Returns
    -------
    Keypoints[FloatArray]
        Keypoints (F, N, K); NaN and confidence 0 where a labeled animal was not found.
    """
    rows = []
    for xy, wanted in zip(found.xy, labels, strict=True):
        size = animal_sizes(wanted)[:, None, None]
        apart = np.fmin(np.linalg.norm(xy[None] - wanted[:, None], axis=-1), size) / size  # (N, D, K)
        known = np.isfinite(wanted).all(axis=-1)[:, None]
        total = np.where(known, apart, 0.0).sum(axis=-1)
        labeled = known.sum(axis=-1)
        rows.append(match_rows(np.where(labeled > 0, total / np.maximum(labeled, 1), np.nan), 1.0))
    return Keypoints(
        np.stack([take_rows(own, row, np.nan) for own, row in zip(found.xy, rows, strict=True)]),
        np.stack([take_rows(own, row, np.nan) for own, row in zip(found.cov, rows, strict=True)]),
        np.stack([take_rows(own, row, 0.0) for own, row in zip(found.confidence, rows, strict=True)]),
    )


def label_errors(found: Keypoints[FloatArray], labels: FloatArray) -> FloatArray:
    """Return the distances of found keypoints from their labels, for one animal or several.

    Parameters
    ----------
    found
        Keypoints (F, K), or of several animals (F, D, K) in any order, frame px.
    labels
        Labels (F, K, 2) or (F, N, K, 2), frame px; NaN where unlabeled.

    Returns
    -------
    FloatArray
        Distances (F, K) or (F, N, K), px; NaN where unlabeled. A keypoint of several animals that was not
        found counts as the animal's size.
    """
    if labels.ndim == 3:
        return distances(found.xy, labels)
    return missed_as_size(aligned(found, labels).xy, labels)


def missed_as_size(xy: FloatArray, labels: FloatArray) -> FloatArray:
    """Return distances from labels, of which those of keypoints that were not found are the animal's size.

    Parameters
    ----------
    xy, labels
        Positions and labels of the same animals (..., K, 2), px.

    Returns
    -------
    FloatArray
        Distances (..., K), px; NaN where unlabeled.
    """
    apart = distances(xy, labels)
    return np.where(np.isinf(apart), animal_sizes(labels)[..., None], apart)


def found_share(xy: FloatArray, labels: FloatArray) -> float:
    """Return the share of labeled keypoints that were found, wherever; 1 where nothing is labeled.

    Parameters
    ----------
    xy, labels
        Positions and labels of the same animals (..., K, 2), px.
    """
    known = np.asarray(np.isfinite(labels).all(axis=-1))
    return float(np.asarray(np.isfinite(xy).all(axis=-1))[known].mean()) if known.any() else 1.0


def similarity(xy: FloatArray, labels: FloatArray) -> FloatArray:
    """Return the object keypoint similarity (OKS) of found and labeled animals.

    Parameters
    ----------
    xy
        Found animals (D, K, 2), px; NaN where a keypoint was not found.
    labels
        Labeled animals (N, K, 2), px.

    Returns
    -------
    FloatArray
        Similarities (D, N), 0..1; 0 for an animal without a label.
    """
    area = _sides(labels).prod(axis=-1)[:, None]
    squared = ((xy[:, None] - labels) ** 2).sum(axis=-1)  # (D, N, K)
    alike = np.nan_to_num(np.exp(-squared / (2 * area * OKS_KAPPA**2)))
    known = np.isfinite(labels).all(axis=-1)
    alike_known: FloatArray = np.where(known, alike, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    return alike_known


def mean_average_precision(found: Sequence[Keypoints[FloatArray]], labels: FloatArray) -> float:
    """Return the mean of the average precision over `OKS_LEVELS`, as COCO has it.

    Parameters
    ----------
    found
        Of F frames the found animals, (D, K) each; one's score is the sum of its confidences.
    labels
        Labels (F, N, K, 2), px; NaN where unlabeled.

    Returns
    -------
    float
        0..1; NaN where no animal is labeled.
    """
    total = int(np.isfinite(labels).all(axis=-1).any(axis=-1).sum())
    if not total:
        return float("nan")
    scores: list[float] = []
    hits: list[list[bool]] = []  # of each found animal, by level
    for own, wanted in zip(found, labels, strict=True):
        there = np.flatnonzero(own.confidence.sum(axis=-1) > 0)
        there = there[np.argsort(-own.confidence[there].sum(axis=-1), kind="stable")]
        scores += own.confidence[there].sum(axis=-1).tolist()
        alike = similarity(own.xy[there], wanted)
        hits += np.stack([_hits(alike, level) for level in OKS_LEVELS], axis=1).tolist()
    order = np.argsort(-np.array(scores), kind="stable")
    ranked = np.array(hits, bool).reshape(-1, len(OKS_LEVELS))[order]
    return float(np.mean([_average_precision(column, total) for column in ranked.T]))


def _hits(alike: FloatArray, level: float) -> list[bool]:
    """Which found animals of a frame (D, N), the surest first, are a labeled one that is not yet taken."""
    left = alike.copy()
    hits = []
    for row in range(len(left)):
        column = int(left[row].argmax())
        hits.append(bool(left[row, column] >= level))
        if hits[-1]:
            left[:, column] = UNMATCHED
    return hits


def _average_precision(hits: NDArray[np.bool_], total: int) -> float:
    """Of ranked animals; the precision at each of `RECALLS` is the best at that recall or above."""
    right = np.cumsum(hits)
    precision = np.maximum.accumulate((right / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(right / total, RECALLS)
    return float(np.append(precision, 0.0)[np.minimum(at, len(hits))].mean())


def animal_figures(found: Keypoints[FloatArray], labels: FloatArray) -> dict[str, float]:
    """Return what is measured of several animals beside the errors of their keypoints.

    Parameters
    ----------
    found
        Animals (F, D, K), frame px.
    labels
        Labels (F, N, K, 2), frame px; NaN where unlabeled.

    Returns
    -------
    dict of str to float
        found, the share of labeled keypoints that were found, and oks_map; 0..1.
    """
    frames = [Keypoints(*own) for own in zip(*found, strict=True)]
    return {
        "found": found_share(aligned(found, labels).xy, labels),
        "oks_map": mean_average_precision(frames, labels),
    }
