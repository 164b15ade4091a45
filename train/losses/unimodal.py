"""Unimodal losses: where the network is sure, its map is one ideal Gaussian at its own maximum."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from train.losses.clip import ClipInputs, known, mean_over, sure
from train.losses.divergence import Divergence, jensen_shannon, kullback_leibler, squared_error
from train.losses.heatmap import gaussian_targets
from train.losses.setup import Built, Setup


@dataclass
class Unimodal:
    """Mean over frames and keypoints of the divergence between a map and the Gaussian at its maximum."""

    divergence: Divergence
    min_confidence: float

    def __call__(self, clip: ClipInputs) -> Tensor:
        counts = sure(clip.xy, clip.confidence, self.min_confidence)
        height, width = clip.logits.shape[-2:]
        # No gradient through the target: the map is to follow its maximum, not the maximum the map.
        targets, _ = gaussian_targets(known(clip.peaks.detach(), counts), height, width, 1)
        log_maps = clip.logits.nan_to_num().flatten(2).log_softmax(-1)
        return mean_over(self.divergence(log_maps, targets.flatten(2)), counts)


def unimodal_mse(setup: Setup) -> Built:
    """By the squared difference, summed over pixels."""
    return _built(squared_error, setup)


def unimodal_kl(setup: Setup) -> Built:
    """By the Kullback-Leibler divergence, nats."""
    return _built(kullback_leibler, setup)


def unimodal_js(setup: Setup) -> Built:
    """By the Jensen-Shannon divergence, nats."""
    return _built(jensen_shannon, setup)


def _built(divergence: Divergence, setup: Setup) -> Built:
    return Built(Unimodal(divergence, setup.min_confidence), f"where confidence >= {setup.min_confidence:g}")
