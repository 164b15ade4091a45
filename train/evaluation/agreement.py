"""How well keypoints agree with labels: errors, correct keypoints, calibrated confidence and covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rt_pose.inference.decode import Keypoints
from rt_pose.offline.coverage import held_shares, mahalanobis2
from rt_pose.types import FloatArray
from train.accuracy import figures, reliability

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
"""Shares of a Gaussian whose ellipses are counted."""


def pixel_errors(apart: FloatArray, keypoints: Sequence[str], within_px: Sequence[float]) -> dict[str, Any]:
    """Summarise pixel errors, in all and by keypoint.

    Parameters
    ----------
    apart
        Distances from the labels (F, K), px; NaN where unlabeled.
    keypoints
        Names of the K keypoints.
    within_px
        Limits of the share of correct keypoints (PCK), px.

    Returns
    -------
    dict
        n, median, mean and P90 (px) and PCK (0..1); `per_keypoint` the same by name. Only n = 0 without
        labels.
    """
    return _summary(apart, within_px) | {
        "per_keypoint": {
            name: _summary(column, within_px) for name, column in zip(keypoints, apart.T, strict=True)
        }
    }


def _summary(apart: FloatArray, within_px: Sequence[float]) -> dict[str, Any]:
    known = apart[~np.isnan(apart)]
    if not len(known):
        return {"n": 0}
    pck = {f"{limit:g}": float((known <= limit).mean()) for limit in within_px}
    return {"n": len(known)} | figures(apart) | {"pck": pck}


def confidence_figures(confidence: FloatArray, apart: FloatArray, right_px: float) -> dict[str, Any]:
    """Return how often keypoints are within `right_px` of their labels, by confidence: a calibration curve.

    Parameters
    ----------
    confidence
        Confidence (F, K), 0..1.
    apart
        Distances from the labels (F, K), px; NaN where unlabeled.
    right_px
        Distance up to which a keypoint counts as right, px.

    Returns
    -------
    dict
        The curve as `claimed`, `found` and `n`; `error`, its distance from a calibrated one; `bias`, above 0
        where the network is overconfident.
    """
    curve = reliability(confidence, apart, right_px)
    return {
        "claimed": curve.confidence.tolist(),
        "found": curve.right.tolist(),
        "n": curve.count.tolist(),
        "error": curve.error,
        "bias": curve.bias,
        "right_px": right_px,
    }


def covariance_reliability(
    found: Keypoints[FloatArray], labels: FloatArray, cov: FloatArray, min_confidence: float
) -> dict[str, Any]:
    """Return how often labels lie within the ellipses of a covariance.

    Parameters
    ----------
    found
        Keypoints of F frames; those below `min_confidence` do not count.
    labels
        Labels (F, K, 2), frame px; NaN where unlabeled.
    cov
        Covariance to test (F, K, 2, 2), px^2.
    min_confidence
        Confidence from which a keypoint counts as seen.

    Returns
    -------
    dict
        `held`, the share of labels in the ellipse of each of `LEVELS`; `factor`, the median's excess: the
        covariance times this would hold half of the labels; `median_sigma_px`; n.
    """
    e = found.xy - labels
    counts = np.isfinite(e).all(axis=-1) & (found.confidence >= min_confidence)
    if not counts.any():
        return {"n": 0}
    distance2 = mahalanobis2(e[counts], cov[counts])
    return {
        "n": len(distance2),
        "held": held_shares(distance2, LEVELS),
        "factor": float(np.median(distance2) / (-2 * np.log(0.5))),
        "median_sigma_px": float(np.median(np.sqrt(np.trace(cov[counts], axis1=1, axis2=2) / 2))),
    }
