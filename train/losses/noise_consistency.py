"""Noise consistency: two draws of sensor noise on one frame must give one pose.

A closed loop fires on a keypoint's jitter, and half a grey level of rounding is enough to move the keypoints
of a plainly trained network.

Some of a clip's frames suffice, evenly spread: neighbours are nearly one frame, while a second look at each
costs another pass of the network, forward and back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from train.losses.clip import ClipInputs, confident, mean_over, zero_where_unknown
from train.losses.loss_context import FittedLoss, LossContext


@dataclass
class NoiseConsistency:
    """Mean over frames seen twice, and keypoints, of the distance between both draws' keypoints, frame px."""

    min_confidence: float

    def __call__(self, clip: ClipInputs) -> Tensor:
        if clip.xy_again is None or clip.confidence_again is None:
            raise ValueError("noise consistency: this clip has no second draw of its noise")
        xy = clip.xy[list(clip.again)]  # (S, K, 2)
        counts = confident(xy, clip.confidence[list(clip.again)], self.min_confidence)
        counts = counts & confident(clip.xy_again, clip.confidence_again, self.min_confidence)
        apart = torch.linalg.vector_norm(
            zero_where_unknown(xy, counts) - zero_where_unknown(clip.xy_again, counts), dim=-1
        )
        return mean_over(apart, counts)


def noise_consistency(context: LossContext) -> FittedLoss:
    """Build the loss; it has nothing to fit.

    Parameters
    ----------
    context
        Gives the least confidence.

    Returns
    -------
    FittedLoss
        The loss on a clip, which must have a second draw of its noise.
    """
    return FittedLoss(
        NoiseConsistency(context.min_confidence), "between two draws of the noise, no tolerance"
    )
