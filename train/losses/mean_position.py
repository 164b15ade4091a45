"""A map's mean position: the keypoint that losses on clips work on.

The decoder's keypoint is the centroid of a window about the highest pixel. Its gradient can nudge that peak
but never take mass from it to another, so a keypoint that jumped to the other paw would stay there, and be
dragged: with it a network grows worse. The mean over the whole map (Sun et al. 2018, "Integral human pose
regression") is the same place where the map has one peak, and has a gradient between peaks where it has two.

It is biased where a map is diffuse: a share b of its mass that lies spread over all of it draws the mean by b
of the way to the map's middle, and makes a movement smaller by as much. How many maps are so is logged
(`train/diffuse_share`).
"""

from __future__ import annotations

import torch
from torch import Tensor

DIFFUSE_CELLS = 4
"""Heatmap px, half of the decoder's window: where a map's mean is farther from its peak, it is diffuse."""


def mean_position(logits: Tensor, stride: int) -> Tensor:
    """Return the mean position of every map.

    Parameters
    ----------
    logits
        Maps (..., K, h, w) as logits.
    stride
        Input pixels per heatmap pixel.

    Returns
    -------
    Tensor
        Positions (..., K, 2), px of the network's input. A map that is not finite gives NaN and no gradient.

    Notes
    -----
    Sun, X. et al. (2018), "Integral human pose regression".
    """
    height, width = logits.shape[-2:]
    finite = torch.isfinite(logits).all(dim=-1).all(dim=-1)  # (..., K)
    known = torch.where(finite[..., None, None], logits, 0.0)
    mass = known.flatten(-2).softmax(dim=-1).unflatten(-1, (height, width))
    x = mass.sum(dim=-2) @ torch.arange(width, dtype=mass.dtype, device=mass.device)
    y = mass.sum(dim=-1) @ torch.arange(height, dtype=mass.dtype, device=mass.device)
    xy = (torch.stack([x, y], dim=-1) + 0.5) * stride - 0.5
    return torch.where(finite[..., None], xy, torch.nan)


def diffuse_share(mean: Tensor, decoded: Tensor, counts: Tensor) -> Tensor:
    """Return the share of keypoints whose map is diffuse, of those that count.

    Parameters
    ----------
    mean
        Mean positions of the maps (..., 2), heatmap px.
    decoded
        Keypoints as they are decoded (..., 2), heatmap px.
    counts
        Booleans (...,).

    Returns
    -------
    Tensor
        A scalar, 0..1; 0 where no keypoint counts.
    """
    far = torch.linalg.vector_norm(mean.detach() - decoded, dim=-1) > DIFFUSE_CELLS
    return (far & counts).sum() / counts.sum().clamp(min=1)
