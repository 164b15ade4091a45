"""Temporal loss: a keypoint does not jump from frame to frame (Biderman et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from train.losses.clip import ClipInputs, confident, hinge, mean_over, zero_where_unknown
from train.losses.loss_context import FittedLoss, LossContext, format_eps


@dataclass
class Temporal:
    """Mean over pairs of frames and keypoints of max(0, distance - eps), frame px."""

    eps: Tensor
    """(K,) frame px that each keypoint may move from frame to frame."""
    min_confidence: float

    def __call__(self, clip: ClipInputs) -> Tensor:
        counts = confident(clip.xy, clip.confidence, self.min_confidence)
        pairs = counts[1:] & counts[:-1]  # (T - 1, K)
        xy = zero_where_unknown(clip.xy, counts)
        moved = torch.linalg.vector_norm(xy[1:] - xy[:-1], dim=-1)
        return mean_over(hinge(moved, self.eps), pairs)


def temporal(context: LossContext) -> FittedLoss:
    """Build the loss, with its tolerance from the configuration or from how fast things move in the videos.

    Parameters
    ----------
    context
        Gives the tolerance and the least confidence.

    Returns
    -------
    FittedLoss
        The loss on a clip.
    """
    eps = context.motion_px()
    return FittedLoss(Temporal(eps, context.min_confidence), format_eps(context, eps, "a frame"))
