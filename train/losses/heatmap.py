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
    """(B, K, 2) labels in input px; NaN where there is none, or where augmentation moved it outside. Of
    several animals (B, N, K, 2), the last of the keypoints being the centre."""
    blank_is_absent: bool
    """Whether a missing label says that the keypoint cannot be seen, or nothing at all."""
    stride: int
    """Input pixels per heatmap pixel."""
    weights: Tensor | None = None
    """(B, K) what each keypoint counts, 0 nothing; None: all of them 1."""
    offsets: Tensor | None = None
    """(B, 2 (K - 1), h, w), of several animals: x and y from each keypoint to the centre."""
    offset_scale: float = 1.0
    """Heatmap px per unit of an offset."""


def gaussian_targets(keypoints: Tensor, height: int, width: int, stride: int) -> tuple[Tensor, Tensor]:
    """Return Gaussians of `TARGET_SIGMA` at labels, each summing to 1 however close to the border.

    Parameters
    ----------
    keypoints
        Labels (B, K, 2), input px; NaN where there is none.
    height, width
        Size of a heatmap, px.
    stride
        Input pixels per heatmap pixel.

    Returns
    -------
    maps : Tensor
        Targets (B, K, height, width). That of a missing label is flat: the keypoint is nowhere in particular.
    labeled : Tensor
        Which labels exist, booleans (B, K).
    """
    labeled = torch.isfinite(keypoints).all(dim=-1)
    centres = (torch.nan_to_num(keypoints) + 0.5) / stride - 0.5  # (B, K, 2) heatmap px
    log_x = _log_profile(centres[..., 0], width) * labeled[..., None]  # (B, K, w)
    log_y = _log_profile(centres[..., 1], height) * labeled[..., None]
    maps = log_x.softmax(-1)[..., None, :] * log_y.softmax(-1)[..., :, None]
    return maps, labeled


def shared_targets(keypoints: Tensor, height: int, width: int, stride: int) -> tuple[Tensor, Tensor]:
    """Return the targets of maps that several animals share: the mean of the Gaussians of those labeled.

    Parameters
    ----------
    keypoints
        Labels (B, N, K, 2), input px; NaN where there is none.
    height, width, stride
        As in `gaussian_targets`.

    Returns
    -------
    maps : Tensor
        Targets (B, K, height, width), each summing to 1; flat where no animal's keypoint is labeled.
    labeled : Tensor
        Which keypoints are labeled of any animal, booleans (B, K).
    """
    maps, labeled = gaussian_targets(keypoints.flatten(0, 1), height, width, stride)
    own = labeled.unflatten(0, keypoints.shape[:2])  # (B, N, K)
    there = own.any(dim=1)
    # Without a label every animal's map is flat, and so is their mean.
    counts = torch.where(there[:, None], own, True).to(maps.dtype)
    shares = counts / counts.sum(dim=1, keepdim=True)
    return (maps.unflatten(0, keypoints.shape[:2]) * shares[..., None, None]).sum(dim=1), there


def heatmap_kl(inputs: LossInputs) -> Tensor:
    """Return the Kullback-Leibler divergence KL(target || softmaxed output).

    Parameters
    ----------
    inputs
        The step's labeled frames.

    Returns
    -------
    Tensor
        A scalar in nats, the mean over keypoints that count: the labeled ones and, where a blank means
        absent, all. 0 (with zero gradient) where none counts.
    """
    log_maps, targets, counts = _compared(inputs)
    return _mean(kullback_leibler(log_maps, targets), counts)


def heatmap_js(inputs: LossInputs) -> Tensor:
    """Return the Jensen-Shannon divergence between output and target.

    It is at most log 2, so that it tolerates a bad label.

    Parameters
    ----------
    inputs
        The step's labeled frames.

    Returns
    -------
    Tensor
        A scalar in nats, the mean over the keypoints that count in `heatmap_kl`.
    """
    log_maps, targets, counts = _compared(inputs)
    return _mean(jensen_shannon(log_maps, targets), counts)


def heatmap_mse(inputs: LossInputs) -> Tensor:
    """Return the squared difference between output and target, summed over the map's pixels.

    Parameters
    ----------
    inputs
        The step's labeled frames.

    Returns
    -------
    Tensor
        A scalar, the mean over the keypoints that count in `heatmap_kl`; a flat map scores 0.05.
    """
    log_maps, targets, counts = _compared(inputs)
    return _mean(squared_error(log_maps, targets), counts)


def _compared(inputs: LossInputs) -> tuple[Tensor, Tensor, Tensor]:
    """Log of the softmaxed output and targets, (B, K, h w) each, and what each keypoint counts, (B, K)."""
    height, width = inputs.logits.shape[-2:]
    make = gaussian_targets if inputs.keypoints.ndim == 3 else shared_targets
    targets, labeled = make(inputs.keypoints, height, width, inputs.stride)
    counts = torch.ones_like(labeled) if inputs.blank_is_absent else labeled
    if inputs.weights is not None:
        counts = counts * inputs.weights
    return inputs.logits.flatten(2).log_softmax(-1), targets.flatten(2), counts


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean of `values` (B, K), weighted by what each counts; 0 where none does."""
    total = counts.sum()
    return (values * counts).sum() / torch.where(total > 0, total, 1)


def _log_profile(centres: Tensor, size: int) -> Tensor:
    positions = torch.arange(size, dtype=centres.dtype, device=centres.device)
    return -0.5 * ((positions - centres[..., None]) / TARGET_SIGMA) ** 2
