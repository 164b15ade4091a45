"""The loss on offsets to centres, by which the keypoints of several animals are grouped."""

from __future__ import annotations

import torch
from torch import Tensor

from train.losses.heatmap import TARGET_SIGMA, LossInputs

DISK_RADIUS = 2 * TARGET_SIGMA
"""Offsets are taught so far around each keypoint, heatmap px."""


def with_centres(keypoints: Tensor) -> Tensor:
    """Append the centre of each animal to its keypoints.

    Parameters
    ----------
    keypoints
        Labels (B, N, K, 2), input px; NaN where there is none.

    Returns
    -------
    Tensor
        (B, N, K + 1, 2): last the mean of those that are there, NaN for an animal without any.
    """
    return torch.cat([keypoints, keypoints.nanmean(dim=2, keepdim=True)], dim=2)


def several_inputs(
    output: Tensor, keypoints: Tensor, blank_is_absent: bool, stride: int, offset_scale: float
) -> LossInputs:
    """Make what the losses on labels take of the output of a network for several animals.

    Parameters
    ----------
    output
        (B, 3 K + 1, h, w): heatmaps of the keypoints and the centre, then offsets.
    keypoints
        Labels (B, N, K, 2), input px; NaN where there is none.
    blank_is_absent, stride, offset_scale
        As in `LossInputs`.

    Returns
    -------
    LossInputs
        The centre is one keypoint more.
    """
    maps = keypoints.shape[2] + 1
    return LossInputs(
        output[:, :maps],
        with_centres(keypoints),
        blank_is_absent,
        stride,
        offsets=output[:, maps:],
        offset_scale=offset_scale,
    )


def centre_offsets(inputs: LossInputs) -> Tensor:
    """Return the absolute error of the offsets from keypoints to the centres of their animals.

    Parameters
    ----------
    inputs
        The step's labeled frames, of several animals.

    Returns
    -------
    Tensor
        A scalar in units of `offset_scale`, x and y added, the mean over the pixels around labeled keypoints;
        0 (with zero gradient) where there are none. A pixel around two animals' keypoints belongs to the
        nearer one.
    """
    assert inputs.offsets is not None
    height, width = inputs.offsets.shape[-2:]
    places = (inputs.keypoints + 0.5) / inputs.stride - 0.5  # (B, N, K + 1, 2) heatmap px
    own, centres = places[:, :, :-1], places[:, :, -1]
    x = torch.arange(width, dtype=own.dtype, device=own.device)
    y = torch.arange(height, dtype=own.dtype, device=own.device)
    squared = (own[..., 0, None, None] - x) ** 2 + (own[..., 1, None, None] - y[:, None]) ** 2
    nearest, animal = torch.nan_to_num(squared, nan=torch.inf).min(dim=1)  # (B, K, h, w)
    taught = nearest <= DISK_RADIUS**2
    batch = torch.arange(len(centres), device=own.device)[:, None, None, None]
    target = torch.nan_to_num(centres)[batch, animal]  # (B, K, h, w, 2)
    target = (target - torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)) / inputs.offset_scale
    found = inputs.offsets.unflatten(1, (-1, 2)).movedim(2, -1)
    errors = (found - target).abs().sum(dim=-1) * taught
    return errors.sum() / taught.sum().clamp_min(1)
