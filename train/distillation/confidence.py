"""Which keypoints of a video an ensemble is confident of.

The uncertainty is a length: the larger of the smoother's posterior standard deviation, which grows where the
members see little or contradict their own movement, and of the members' root mean square distance from the
smoothed keypoint, which grows where they disagree with one another or with it. Both count x and y together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.offline.ensemble import Ensemble, SmoothedEnsemble
from rt_pose.offline.prediction_files import Predictions
from rt_pose.types import FloatArray
from train.distillation.config import PseudoConfig

LEAST_MEMBERS = 2
"""That see a keypoint: one alone cannot disagree."""


@dataclass
class EnsembleConfidence:
    """An ensemble's answer to one video. F frames, K keypoints, each confident, absent or unknown."""

    xy: FloatArray
    """(F, K, 2) smoothed, frame px."""
    uncertainty_px: FloatArray
    """(F, K)."""
    confident: NDArray[np.bool_]
    """(F, K)."""
    absent: NDArray[np.bool_]
    """(F, K) most members are confident that it cannot be seen."""


def ensemble_confidence(
    members: Sequence[Predictions],
    ensemble: Ensemble,
    smoothed: SmoothedEnsemble,
    config: PseudoConfig,
    sure_px: float,
    size: tuple[int, int],
    absence_is_known: bool,
) -> EnsembleConfidence:
    """Classify every keypoint of a video as confident, absent or unknown.

    Parameters
    ----------
    members
        Predictions of each member, F frames.
    ensemble, smoothed
        Their ensemble, and its smoothed keypoints with variances.
    config
        Thresholds of confidence.
    sure_px
        Largest uncertainty of a confident keypoint, frame px.
    size
        (width, height) of the frames, px.
    absence_is_known
        Whether the members were trained with blank labels as absent; otherwise their low confidence says
        nothing.

    Returns
    -------
    EnsembleConfidence
        Positions, uncertainties and classes (F, K).
    """
    # Where a keypoint was never seen, nothing bounds its uncertainty.
    posterior = np.nan_to_num(np.sqrt(smoothed.var.sum(axis=-1)), nan=np.inf)
    uncertainty = np.maximum(posterior, _distance(members, smoothed.xy))
    inside = ((smoothed.xy >= -0.5) & (smoothed.xy <= np.array(size) - 0.5)).all(axis=-1)
    confident = (uncertainty <= sure_px) & (ensemble.likelihood >= config.min_confidence) & inside
    confidence = np.stack([member.likelihood for member in members])
    most = (confidence < config.absent_below).mean(axis=0) > 0.5
    none_has_it = (confidence < config.min_confidence).all(axis=0)
    absent = most & none_has_it & ~confident & absence_is_known
    return EnsembleConfidence(smoothed.xy, uncertainty, confident, absent)


def _distance(members: Sequence[Predictions], xy: FloatArray) -> FloatArray:
    """(F, K) px, root mean square over those that have it; infinite where fewer than two do."""
    squared = np.stack([((member.xy - xy) ** 2).sum(axis=-1) for member in members])
    known = np.isfinite(squared)
    total = np.where(known, squared, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count >= LEAST_MEMBERS, np.sqrt(total / np.maximum(count, 1)), np.inf)


def format_confidence(keypoints: Sequence[str], found: Sequence[EnsembleConfidence]) -> list[str]:
    """Describe each keypoint: shares of frames in which it is confident, absent, unknown; median uncertainty.

    Parameters
    ----------
    keypoints
        Names of the K keypoints.
    found
        One for each video.

    Returns
    -------
    list of str
        A line a keypoint.
    """
    confident = np.concatenate([each.confident for each in found])
    absent = np.concatenate([each.absent for each in found])
    uncertainty = np.median(np.concatenate([each.uncertainty_px for each in found]), axis=0)
    width = max(len(name) for name in keypoints)
    return [
        f"  {name:{width}}  confident {s:6.1%}  absent {a:6.1%}  "
        f"unknown {abs(1 - s - a):6.1%}  uncertainty {d:.2f} px"
        for name, s, a, d in zip(
            keypoints, confident.mean(axis=0), absent.mean(axis=0), uncertainty, strict=True
        )
    ]
