"""Unimodal losses: where the network is confident, its map is one ideal Gaussian at its own maximum."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from train.losses.clip import ClipInputs, confident, mean_over, zero_where_unknown
from train.losses.divergence import Divergence, jensen_shannon, kullback_leibler, squared_error
from train.losses.heatmap import gaussian_targets
from train.losses.loss_context import FittedLoss, LossContext


@dataclass
class Unimodal:
    """Mean over frames and keypoints of the divergence between a map and the Gaussian at its maximum."""

    divergence: Divergence
    min_confidence: float

    def __call__(self, clip: ClipInputs) -> Tensor:
        counts = confident(clip.xy, clip.confidence, self.min_confidence)
        height, width = clip.logits.shape[-2:]
        # No gradient through the target: the map is to follow its maximum, not the maximum the map.
        targets, _ = gaussian_targets(zero_where_unknown(clip.peaks.detach(), counts), height, width, 1)
        log_maps = clip.logits.nan_to_num().flatten(2).log_softmax(-1)
        return mean_over(self.divergence(log_maps, targets.flatten(2)), counts)


def unimodal_mse(context: LossContext) -> FittedLoss:
    """Build the loss by the squared difference, summed over pixels.

    Parameters
    ----------
    context
        Gives the least confidence.
    """
    return _build(squared_error, context)


def unimodal_kl(context: LossContext) -> FittedLoss:
    """Build the loss by the Kullback-Leibler divergence, nats.

    Parameters
    ----------
    context
        Gives the least confidence.
    """
    return _build(kullback_leibler, context)


def unimodal_js(context: LossContext) -> FittedLoss:
    """Build the loss by the Jensen-Shannon divergence, nats.

    Parameters
    ----------
    context
        Gives the least confidence.
    """
    return _build(jensen_shannon, context)


def _build(divergence: Divergence, context: LossContext) -> FittedLoss:
    return FittedLoss(
        Unimodal(divergence, context.min_confidence), f"where confidence >= {context.min_confidence:g}"
    )
