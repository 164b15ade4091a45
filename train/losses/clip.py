"""What an unlabeled clip offers to the losses, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class ClipInputs:
    """The network's answer to one clip: T frames that follow one another without a seam, K keypoints.

    Positions are in frame px with the clip's augmentation undone, never in px of the resized input: a
    tolerance and a fitted space mean the same on every clip.
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
    """Return which keypoints count: those that were found, with enough confidence.

    Parameters
    ----------
    xy
        Keypoints (T, K, 2), px; NaN where there is none.
    confidence
        Their confidence (T, K), 0..1.
    least
        Confidence under which a keypoint does not count.

    Returns
    -------
    Tensor
        Booleans (T, K), without gradient.
    """
    return torch.isfinite(xy.detach()).all(dim=-1) & (confidence >= least)


def mean_over(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean of those values that count.

    Parameters
    ----------
    values
        Any shape.
    counts
        Booleans of the same shape.

    Returns
    -------
    Tensor
        A scalar; 0, with zero gradient, where no value counts.
    """
    return torch.where(counts, values, 0.0).sum() / counts.sum().clamp(min=1)


def hinge(values: Tensor, eps: Tensor) -> Tensor:
    """Return by how much values exceed a tolerance.

    Parameters
    ----------
    values
        Values (..., K).
    eps
        Tolerance (K,), in the unit of `values`.

    Returns
    -------
    Tensor
        max(0, values - eps), (..., K).
    """
    return (values - eps.to(values.device)).clamp(min=0)


def zero_where_unknown(xy: Tensor, counts: Tensor) -> Tensor:
    """Replace positions that do not count by 0.

    A NaN would come back through the gradient of whatever ignores it.

    Parameters
    ----------
    xy
        Positions (..., 2).
    counts
        Booleans (...,).

    Returns
    -------
    Tensor
        Positions (..., 2), without NaN where `counts` leaves out all that are NaN.
    """
    return torch.where(counts[..., None], xy, 0.0)
