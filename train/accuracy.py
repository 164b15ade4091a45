"""Errors against labels, in frame px. An error is a distance: never a per-axis root mean square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray


def distances(xy: FloatArray, labels: FloatArray) -> FloatArray:
    """Return the distances of keypoints from their labels.

    Parameters
    ----------
    xy
        Positions (..., K, 2), px; NaN where there is none.
    labels
        Labels (..., K, 2), px; NaN where unlabeled.

    Returns
    -------
    FloatArray
        Distances (..., K), px; NaN where unlabeled, infinite where only `xy` is missing.
    """
    apart = np.linalg.norm(xy - labels, axis=-1)
    labeled = np.isfinite(labels).all(axis=-1)
    return np.where(labeled, np.nan_to_num(apart, nan=np.inf), np.nan)


def figures(apart: FloatArray) -> dict[str, float]:
    """Return median, mean and 90th percentile of distances.

    Parameters
    ----------
    apart
        Distances of any shape, px; NaN is left out, and one at least must remain.

    Returns
    -------
    dict of str to float
        median_px, mean_px, p90_px.
    """
    known = apart[~np.isnan(apart)]
    with np.errstate(invalid="ignore"):  # between two infinite distances there is nothing to interpolate
        median, p90 = np.percentile(known, [50, 90])
    return {"median_px": float(median), "mean_px": float(np.mean(known)), "p90_px": float(p90)}


@dataclass
class Reliability:
    """A calibration curve: keypoints sorted into bins by confidence, and how many of each bin were right."""

    confidence: FloatArray
    """(B,) mean of each bin's confidences, rising."""
    right: FloatArray
    """(B,) share of each bin's keypoints that lie within `within_px` of their labels."""
    count: NDArray[np.intp]
    """(B,) keypoints of each bin."""
    within_px: float

    @property
    def error(self) -> float:
        """Expected calibration error: the mean over keypoints of |confidence - share that was right|."""
        return float(np.average(np.abs(self.confidence - self.right), weights=self.count))

    @property
    def bias(self) -> float:
        """Mean confidence less the share that was right: above 0 the network is overconfident."""
        return float(np.average(self.confidence - self.right, weights=self.count))


def reliability(confidence: FloatArray, apart: FloatArray, within_px: float, bins: int = 10) -> Reliability:
    """Compare confidence with the share of keypoints that are right.

    Bins hold equally many keypoints: confidences pile up near 1, where bins of equal width would see one.

    Parameters
    ----------
    confidence
        Confidence (...), 0..1.
    apart
        Distances from the labels (...), px; NaN is left out.
    within_px
        Distance up to which a keypoint counts as right, px.
    bins
        Number of bins.

    Returns
    -------
    Reliability
        The curve, of at most `bins` bins.

    Raises
    ------
    UserError
        Where there is no label.
    """
    known = ~np.isnan(apart)
    if not known.any():
        raise UserError(
            "reliability: no keypoint is labeled, so nothing says how often the network was right"
        )
    order = np.argsort(confidence[known], kind="stable")
    confident, right = confidence[known][order], (apart[known] <= within_px)[order]
    parts = [part for part in np.array_split(np.arange(len(confident)), bins) if len(part)]
    return Reliability(
        np.array([confident[part].mean() for part in parts]),
        np.array([right[part].mean() for part in parts]),
        np.array([len(part) for part in parts], np.intp),
        within_px,
    )
