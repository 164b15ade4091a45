"""Temporal loss on the maps: a map may move as far as its keypoint may, without a penalty."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from train.losses.clip import ClipInputs, confident, hinge, mean_over
from train.losses.divergence import jensen_shannon
from train.losses.heatmap import gaussian_targets
from train.losses.loss_context import FittedLoss, LossContext, format_eps


@dataclass
class TemporalHeatmap:
    """Mean over pairs of frames and keypoints of max(0, Jensen-Shannon divergence of their maps - eps)."""

    eps: Tensor
    """(K,) nats."""
    min_confidence: float

    def __call__(self, clip: ClipInputs) -> Tensor:
        counts = confident(clip.xy, clip.confidence, self.min_confidence)
        log_maps = torch.nan_to_num(clip.logits).flatten(2).log_softmax(-1)
        apart = jensen_shannon(log_maps[1:], log_maps[:-1].exp())  # (T - 1, K)
        return mean_over(hinge(apart, self.eps), counts[1:] & counts[:-1])


def temporal_heatmap(context: LossContext) -> FittedLoss:
    """Build the loss; its tolerance is the divergence of two ideal maps as far apart as a keypoint may move.

    Parameters
    ----------
    context
        Gives the movement, the size of the heatmaps and the least confidence.

    Returns
    -------
    FittedLoss
        The loss on a clip.
    """
    moved = context.motion_px()
    eps = divergence_of_moved(moved / min(context.heatmap_px), context.heatmap_size)
    return FittedLoss(TemporalHeatmap(eps, context.min_confidence), format_eps(context, moved, "a frame"))


def divergence_of_moved(distances: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the divergence of target maps whose centres lie apart.

    Parameters
    ----------
    distances
        Distances (K,), heatmap px. What moves further than the map is wide is as far apart as can be.
    size
        (width, height) of the map, heatmap px.

    Returns
    -------
    Tensor
        Jensen-Shannon divergence (K,), nats.
    """
    width, height = size
    half = distances.clamp(max=width - 1) / 2
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2]).expand(1, len(distances), 2)
    offset = torch.stack([half, torch.zeros_like(half)], dim=-1)
    there, moved = middle - offset, middle + offset
    maps = [gaussian_targets(centres, height, width, 1)[0].flatten(2) for centres in (there, moved)]
    return jensen_shannon(maps[0].clamp_min(torch.finfo(torch.float32).tiny).log(), maps[1])[0]
