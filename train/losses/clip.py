"""What an unlabeled clip offers to the losses, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class ClipInputs:
    """The network's answer to one clip: T frames that follow one another without a seam, K keypoints.

    Positions are in frame px with the clip's augmentation undone, never in px of the resized input: what is
    forgiven, and a fitted space, mean the same on every clip.
    """

    logits: Tensor
    """(T, K, h, w) the network's output."""
    peaks: Tensor
    """(T, K, 2) its keypoints as they are decoded, in heatmap px; without gradient."""
    xy: Tensor
    """(T, K, 2) the maps' mean positions (mean_position.py), frame px; NaN where a map is not finite."""
    confidence: Tensor
    """(T, K) 0..1, as decoded; without gradient."""
    again: Sequence[int] = ()
    """The S of the T frames that were seen under another draw of sensor noise as well."""
    xy_again: Tensor | None = None
    """(S, K, 2) frame px, of that draw."""
    confidence_again: Tensor | None = None
    """(S, K)."""


def confident(xy: Tensor, confidence: Tensor, least: float) -> Tensor:
    """(T, K) which keypoints count: found, and with at least this confidence."""
    return torch.isfinite(xy.detach()).all(dim=-1) & (confidence >= least)


def mean_over(values: Tensor, counts: Tensor) -> Tensor:
    """The mean of those that count; 0, with zero gradient, where none does."""
    return torch.where(counts, values, 0.0).sum() / counts.sum().clamp(min=1)


def hinge(values: Tensor, eps: Tensor) -> Tensor:
    """What goes beyond `eps`."""
    return (values - eps.to(values.device)).clamp(min=0)


def zero_where_unknown(xy: Tensor, counts: Tensor) -> Tensor:
    """`xy` with 0 where it does not count: a NaN would come back through the gradient of what ignores it."""
    return torch.where(counts[..., None], xy, 0.0)
