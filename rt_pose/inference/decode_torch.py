"""`rt_pose.inference.decode` for torch: batched and differentiable, equal to it within 1e-3 px.

Gradients pass through the window's weights; the choice of the peak's pixel has none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.decode_compiled import QUANTISATION_PX2, WEIGHT_FLOOR
from rt_pose.package import DecodeSpec


def decodes(spec: DecodeSpec) -> bool:
    """Check whether `decode_torch` is the decoder of a package.

    It is the decoder of our own maps, not of those of networks from elsewhere.

    Parameters
    ----------
    spec
        Decoding of the package.

    Returns
    -------
    bool
        Whether it is.
    """
    return spec.decoder == "soft_argmax" and spec.activation != "sigmoid" and spec.offset_px is None


def decode_torch(maps: Tensor, spec: DecodeSpec) -> Keypoints[Tensor]:
    """Decode heatmaps on their device, differentiably.

    A map with NaN or infinity gives NaN, confidence 0, and no gradient. Our own decoder only: networks with
    another one are imported, not trained here.

    Parameters
    ----------
    maps
        Heatmaps (..., K, h, w).
    spec
        Decoding for which `decodes` is true.

    Returns
    -------
    Keypoints[Tensor]
        Keypoints (..., K) in pixels of the network's input, float32.

    Raises
    ------
    ValueError
        Where the decoding is another.
    """
    if not decodes(spec):
        raise ValueError(f"decode_torch: expected softmax or none, soft_argmax and no offset, got {spec}")
    *lead, height, width = maps.shape
    flat = maps.reshape(-1, height * width)
    finite = torch.isfinite(flat).all(dim=1)  # (M,)
    # The window is worked in double: near-flat maps are differences of nearly equal weights.
    flat = torch.where(finite[:, None], flat, 0.0).double()
    at = flat.argmax(dim=1, keepdim=True)

    span = torch.arange(-spec.window_radius, spec.window_radius + 1, device=maps.device)
    dy, dx = torch.meshgrid(span, span, indexing="ij")
    x = at % width + dx.reshape(1, -1)  # (M, P)
    y = torch.div(at, width, rounding_mode="floor") + dy.reshape(1, -1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    window = flat.gather(1, torch.where(inside, y * width + x, at))
    peak = flat.gather(1, at)  # (M, 1)
    if spec.activation == "softmax":
        weights = torch.where(inside, torch.exp(window - peak.detach()), 0.0)
        confidence = weights.sum(dim=1) / torch.exp(flat - peak.detach()).sum(dim=1)
    else:
        scale = peak.detach().clamp_min(torch.finfo(torch.float32).tiny)
        weights = torch.where(inside, window.clamp_min(0.0) / scale, 0.0)
        confidence = peak[:, 0]
    background = torch.where(inside, weights, torch.inf).amin(dim=1, keepdim=True)
    weights = torch.where(inside, weights - background + WEIGHT_FLOOR, 0.0)

    xy, cov = _moments(weights, x, y)
    nan = torch.full((), torch.nan, dtype=xy.dtype, device=xy.device)
    xy = torch.where(finite[:, None], (xy + 0.5) * spec.stride - 0.5, nan)
    cov = torch.where(finite[:, None, None], cov * spec.stride**2, nan)
    confidence = torch.where(finite, confidence.clamp(0.0, 1.0), 0.0)
    return Keypoints(
        xy.reshape(*lead, 2).float(), cov.reshape(*lead, 2, 2).float(), confidence.reshape(lead).float()
    )


def _moments(weights: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Centroid (M, 2) and covariance (M, 2, 2) of weights (M, P), in heatmap pixels."""
    weights = weights / weights.sum(dim=1, keepdim=True)
    points = torch.stack([x, y], dim=-1).to(weights.dtype)  # (M, P, 2)
    mean = (weights[..., None] * points).sum(dim=1)
    off = points - mean[:, None]
    cov = torch.einsum("mp,mpi,mpj->mij", weights, off, off)
    return mean, cov + QUANTISATION_PX2 * torch.eye(2, dtype=cov.dtype, device=cov.device)
