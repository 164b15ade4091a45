"""The losses, one file each, and their registry: name, what it works on, own weight, what can be set.

A configured name that is not here is an error, as is one that gets nothing to work on, so no loss can be
configured and silently do nothing. Weights are stated here and nowhere else; a configuration may give others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from train.losses.centre_offsets import centre_offsets
from train.losses.heatmap import LossInputs, heatmap_js, heatmap_kl, heatmap_mse
from train.losses.loss_context import FittedLoss, FittedViewsLoss, LossContext
from train.losses.multiview_pca import multiview_pca
from train.losses.noise_consistency import noise_consistency
from train.losses.pose_pca import pose_pca
from train.losses.reprojection import reprojection
from train.losses.temporal import temporal
from train.losses.temporal_heatmap import temporal_heatmap
from train.losses.unimodal import unimodal_js, unimodal_kl, unimodal_mse


@dataclass(frozen=True)
class LabelRow:
    """A loss on labeled frames."""

    loss: Callable[[LossInputs], Tensor]
    weight: float
    settings: tuple[str, ...] = ()
    """What of a `LossConfig`, beside the weight, it uses."""


@dataclass(frozen=True)
class ClipRow:
    """A loss on an unlabeled clip."""

    build: Callable[[LossContext], FittedLoss]
    weight: float
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ViewsRow:
    """A loss on unlabeled clips that several calibrated cameras recorded together."""

    build: Callable[[LossContext], FittedViewsLoss]
    weight: float
    settings: tuple[str, ...] = ()


_ANNEALED = ("min_confidence", "start", "ramp")
LOSSES: dict[str, LabelRow | ClipRow | ViewsRow] = {
    "heatmap_kl": LabelRow(heatmap_kl, 1.0),
    "heatmap_js": LabelRow(heatmap_js, 6.0),
    "heatmap_mse": LabelRow(heatmap_mse, 40.0),
    "centre_offsets": LabelRow(centre_offsets, 1.0),
    "temporal": ClipRow(temporal, 0.02, ("eps", *_ANNEALED)),
    "temporal_heatmap": ClipRow(temporal_heatmap, 0.3, ("eps", *_ANNEALED)),
    "pose_pca": ClipRow(pose_pca, 0.02, ("eps", "keypoints", "variance", *_ANNEALED)),
    "multiview_pca": ClipRow(multiview_pca, 0.02, ("eps", *_ANNEALED)),
    "reprojection": ViewsRow(reprojection, 0.02, ("eps", "calibration", "cameras", *_ANNEALED)),
    "unimodal_kl": ClipRow(unimodal_kl, 0.1, _ANNEALED),
    "unimodal_js": ClipRow(unimodal_js, 0.5, _ANNEALED),
    "unimodal_mse": ClipRow(unimodal_mse, 4.0, _ANNEALED),
    "noise_consistency": ClipRow(noise_consistency, 0.1, ("frames", *_ANNEALED)),
}
