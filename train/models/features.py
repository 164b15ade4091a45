"""What every backbone is: an image in, feature maps of falling resolution out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import torch
from torch import Tensor, nn


class Backbone(nn.Module):
    """Called with (B, C, h, w); returns maps at strides 4, 8, 16, ... of the input, finest first.

    What the head and the export may rely on.
    """

    features: list[int]
    """Channels of the returned maps, finest (stride 4) first; each next one has twice the stride."""


def maps_of(stages: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """Run stages one after another, and return what each gives.

    Parameters
    ----------
    stages
        Each takes what the one before it gives.
    x
        What the first takes, (B, C, h, w).

    Returns
    -------
    list[Tensor]
        A map of each stage, in order.
    """
    return list(accumulate(stages, lambda found, stage: stage(found), initial=x))[1:]


def conv_norm(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """Return `norm(conv(x))`, in one convolution where a training holds batch norm to its running statistics.

    From the first clip on it does. Scale and shift are then the same for every frame and go into the
    convolution's own weights, gradients included, instead of over each map and back: equal up to rounding,
    with half as many maps to be kept for the backward pass.

    Parameters
    ----------
    conv, norm
        The two layers; any norm other than `BatchNorm2d` is applied as it is.
    x
        Maps (B, C, h, w).

    Returns
    -------
    Tensor
        Maps (B, outputs, h', w').
    """
    if not isinstance(norm, nn.BatchNorm2d) or norm.training or not conv.training:
        return norm(conv(x))
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    if conv.bias is not None:
        shift = shift + conv.bias * scale
    return conv._conv_forward(x, conv.weight * scale[:, None, None, None], shift)


def freeze_statistics(network: nn.Module) -> None:
    """Let batch norm use the running statistics it has, and gather no more: from the first clip on.

    Live, the network answers by its running statistics. Were only clips seen through them and labels through
    their batch's own, these would be two networks, and the losses on clips would be met by one that gives
    every frame the same pose while labels are still met by the other.

    Parameters
    ----------
    network
        Changed in place; a later `network.train()` undoes it.
    """
    for module in network.modules():
        # On several GPUs Lightning puts `SyncBatchNorm` in place of every `BatchNorm2d`.
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.eval()
