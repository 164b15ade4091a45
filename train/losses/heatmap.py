"""Supervised losses on heatmaps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from train.losses.divergence import jensen_shannon, kullback_leibler, squared_error

TARGET_SIGMA = 1.25
"""Standard deviation of a target, heatmap px."""


@dataclass
class LossInputs:
    """What the labeled frames of a step offer to the losses on labels."""

    logits: Tensor
    """(B, K, h, w) the network's output."""
    keypoints: Tensor
    """(B, K, 2) labels in input px; NaN where there is none, or where augmentation moved it outside."""
    blank_is_absent: bool
    """Whether a missing label says that the keypoint cannot be seen, or nothing at all."""
    stride: int
    """Input pixels per heatmap pixel."""
    weights: Tensor | None = None
    """(B, K) what each keypoint counts, 0 nothing; None: all of them 1."""


def gaussian_targets(keypoints: Tensor, height: int, width: int, stride: int) -> tuple[Tensor, Tensor]:
    """Gaussians of `TARGET_SIGMA` at labels, each summing to 1 however close to the border.

    `keypoints` (B, K, 2) in input px -> maps (B, K, height, width) and which labels exist, (B, K) bool. The
    map of a missing label is flat: the keypoint is nowhere in particular.
    """
    labeled = torch.isfinite(keypoints).all(dim=-1)
    centres = (torch.nan_to_num(keypoints) + 0.5) / stride - 0.5  # (B, K, 2) heatmap px
    log_x = _log_profile(centres[..., 0], width) * labeled[..., None]  # (B, K, w)
    log_y = _log_profile(centres[..., 1], height) * labeled[..., None]
    maps = log_x.softmax(-1)[..., None, :] * log_y.softmax(-1)[..., :, None]
    return maps, labeled


def heatmap_kl(inputs: LossInputs) -> Tensor:
    """Kullback-Leibler divergence from the softmaxed output to the target, mean over keypoints that count.

    Those are the labeled ones and, where a blank means absent, all. A scalar in nats; 0 (with zero gradient)
    where none counts.
    """
    log_maps, targets, counts = _compared(inputs)
    return _mean(kullback_leibler(log_maps, targets), counts)


def heatmap_js(inputs: LossInputs) -> Tensor:
    """Jensen-Shannon divergence between them instead: at most log 2, and so it forgives a bad label."""
    log_maps, targets, counts = _compared(inputs)
    return _mean(jensen_shannon(log_maps, targets), counts)


def heatmap_mse(inputs: LossInputs) -> Tensor:
    """Squared difference between them instead, summed over the map's pixels (a flat map scores 0.05)."""
    log_maps, targets, counts = _compared(inputs)
    return _mean(squared_error(log_maps, targets), counts)


def _compared(inputs: LossInputs) -> tuple[Tensor, Tensor, Tensor]:
    """Log of the softmaxed output and targets, (B, K, h w) each, and what each keypoint counts, (B, K)."""
    height, width = inputs.logits.shape[-2:]
    targets, labeled = gaussian_targets(inputs.keypoints, height, width, inputs.stride)
    counts = torch.ones_like(labeled) if inputs.blank_is_absent else labeled
    if inputs.weights is not None:
        counts = counts * inputs.weights
    return inputs.logits.flatten(2).log_softmax(-1), targets.flatten(2), counts


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Of `values` (B, K), each as often as it counts; 0 where none does."""
    total = counts.sum()
    return (values * counts).sum() / torch.where(total > 0, total, 1)


def _log_profile(centres: Tensor, size: int) -> Tensor:
    positions = torch.arange(size, dtype=centres.dtype, device=centres.device)
    return -0.5 * ((positions - centres[..., None]) / TARGET_SIGMA) ** 2
