"""A network's answer to a clip, made from keypoints."""

from __future__ import annotations

import torch
from torch import Tensor

from train.losses.clip import ClipInputs
from train.losses.heatmap import gaussian_targets

HEIGHT, WIDTH = 24, 32


def clip_of(
    xy: Tensor, confidence: Tensor | None = None, again: Tensor | None = None, logits: Tensor | None = None
) -> ClipInputs:
    """Of keypoints `xy` (T, K, 2), all sure where `confidence` is not given; maps of one peak at them."""
    sure = torch.ones(xy.shape[:2]) if confidence is None else confidence
    peaks = torch.nan_to_num(xy.detach())
    if logits is None:
        logits = gaussian_targets(peaks, HEIGHT, WIDTH, 1)[0].clamp_min(1e-30).log()
    if again is None:
        return ClipInputs(logits, peaks, xy, sure)
    return ClipInputs(logits, peaks, xy, sure, range(len(xy)), again, torch.ones(xy.shape[:2]))
