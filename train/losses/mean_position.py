"""A map's mean position: the keypoint that losses on clips work on.

The decoder's keypoint is the centroid of a window about the highest pixel. Its gradient can nudge that peak
but never take mass from it to another, so a keypoint that jumped to the other paw would stay there, and be
dragged: with it a network grows worse. The mean over the whole map (Sun et al. 2018, "Integral human pose
regression") is the same place where the map has one peak, and has a gradient between peaks where it has two.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mean_position(logits: Tensor, stride: int) -> Tensor:
    """(..., K, 2) px of the network's input, of maps (..., K, h, w) given as logits.

    A map that is not finite gives NaN and no gradient.
    """
    height, width = logits.shape[-2:]
    finite = torch.isfinite(logits).all(dim=-1).all(dim=-1)  # (..., K)
    known = torch.where(finite[..., None, None], logits, 0.0)
    mass = known.flatten(-2).softmax(dim=-1).unflatten(-1, (height, width))
    x = mass.sum(dim=-2) @ torch.arange(width, dtype=mass.dtype, device=mass.device)
    y = mass.sum(dim=-1) @ torch.arange(height, dtype=mass.dtype, device=mass.device)
    xy = (torch.stack([x, y], dim=-1) + 0.5) * stride - 0.5
    return torch.where(finite[..., None], xy, torch.nan)
