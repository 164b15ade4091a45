"""What a loss is built from, before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rt_pose.errors import UserError, nearest
from rt_pose.types import FloatArray
from train.config import LossConfig
from train.losses.clip import ClipInputs

ClipLoss = Callable[[ClipInputs], Tensor]


@dataclass
class LossContext:
    """What is known of labels and videos. F labeled frames, K keypoints."""

    name: str
    """The loss's own, for messages."""
    settings: LossConfig
    """As configured; null is the default."""
    labels: FloatArray
    """(F, K, 2) of the training frames, frame px; NaN where unlabeled."""
    keypoints: list[str]
    views: list[list[str]]
    heatmap_px: tuple[float, float]
    """Frame px a heatmap pixel, along x and y."""
    heatmap_size: tuple[int, int]
    """(width, height)."""
    motion: Callable[[], FloatArray]
    """(K,) frame px that keypoints move from frame to frame, derived from labels and videos."""

    @property
    def min_confidence(self) -> float:
        given = self.settings.min_confidence
        return MIN_CONFIDENCE if given is None else given

    def motion_px(self) -> Tensor:
        """(K,) frame px a frame: as configured, else derived."""
        if self.settings.eps is not None:
            return torch.full((len(self.keypoints),), self.settings.eps)
        return torch.from_numpy(self.motion()).float()

    def indices(self, names: list[str], key: str) -> list[int]:
        """Of keypoints by name; UserError where a name is unknown."""
        for name in names:
            if name not in self.keypoints:
                raise UserError(f"{key}: no keypoint '{name}' in the labels{nearest(name, self.keypoints)}")
        return [self.keypoints.index(name) for name in names]


@dataclass
class FittedLoss:
    """A loss that is ready, and in words what it forgives."""

    loss: ClipLoss
    note: str


MIN_CONFIDENCE = 0.05


def format_eps(context: LossContext, eps: Tensor, per: str) -> str:
    """In words: eps (K,) frame px of every keypoint, in one figure where they are equal."""
    values = eps.numpy()
    how = "as configured" if context.settings.eps is not None else "from the videos' own motion"
    if np.ptp(values) < 1e-6:
        return f"eps {values[0]:.1f} px {per}, {how}"
    listed = ", ".join(f"{name} {value:.1f}" for name, value in zip(context.keypoints, values, strict=True))
    return f"eps in px {per}, {how}: {listed}"
