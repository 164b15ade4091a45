"""Backbones: networks that turn an image into feature maps of falling resolution.

A backbone is one row in `BACKBONES`. It is called with (B, C, h, w) and returns feature maps at strides 4, 8,
16, ... of the input, finest first; h and w must be multiples of the row's `stride`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from train.models.efficientnet import lite, lite_weights
from train.models.features import Backbone
from train.models.mobilenet import MobileNetV4Small
from train.models.resnet import ResNetMaps, group_norm
from train.models.tiny import Tiny
from train.models.vit import vit
from train.models.weights import gray_kernels, load_weights

IMAGENET_MEAN, IMAGENET_STD = 114.5, 57.6
"""Grey levels of the usual normalisation, mean of its three channels: one number, so that gray and RGB agree.
The channels' own differ from it by a sixth of a standard deviation at most."""


@dataclass(frozen=True)
class BackboneRow:
    """A backbone and the range of grey levels its first layer wants."""

    build: Callable[[int], Backbone]
    """(channels 1 or 3) -> backbone."""
    mean: float
    """Subtracted from grey levels 0..255. One number for all channels, so that gray and RGB agree."""
    std: float
    stride: int
    """Of the coarsest map; the input's sides must be multiples of it."""
    first: str
    """The weight that meets the image's channels."""
    weights: Callable[[], dict[str, Tensor]] | None = None
    """() -> the weights for three channels that it starts from; None = it has none of its own, and starts
    from the user's file or from nothing."""
    new: tuple[str, ...] = ()
    """Parts that are our own addition: no weights file has them."""


_IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)
BACKBONES: dict[str, BackboneRow] = {
    "lite0": BackboneRow(lite(0), 127.0, 128.0, 32, "stem.conv.weight", partial(lite_weights, 0)),
    "lite1": BackboneRow(lite(1), 127.0, 128.0, 32, "stem.conv.weight", partial(lite_weights, 1)),
    "lite2": BackboneRow(lite(2), 127.0, 128.0, 32, "stem.conv.weight", partial(lite_weights, 2)),
    "tiny": BackboneRow(Tiny, mean=127.0, std=64.0, stride=16, first="stem.conv.weight"),
    "resnet18": BackboneRow(partial(ResNetMaps, 18), *_IMAGENET, 32, "conv1.weight"),
    "resnet50": BackboneRow(partial(ResNetMaps, 50), *_IMAGENET, 32, "conv1.weight"),
    "resnet50_gn": BackboneRow(
        partial(ResNetMaps, 50, norm=group_norm), *_IMAGENET, 32, "conv1.weight"
    ),  # DeepLabCut 3's
    "mobilenetv4": BackboneRow(MobileNetV4Small, *_IMAGENET, 32, "conv_stem.weight"),
    "vit_tiny": BackboneRow(vit(192, 3), *_IMAGENET, 16, "patch_embed.proj.weight", new=("detail.",)),
    "vit_small": BackboneRow(vit(384, 6), *_IMAGENET, 16, "patch_embed.proj.weight", new=("detail.",)),
}


def build_backbone(name: str, channels: int, weights: Path | None = None) -> Backbone:
    """Build a backbone and load its weights.

    Parameters
    ----------
    name
        Row of `BACKBONES`.
    channels
        1 gray, 3 RGB. For one channel the first layer's three colour kernels are summed: a gray frame then
        gives exactly what its repetition in three channels would.
    weights
        File of weights; None: those that the backbone has of its own, or random ones.

    Returns
    -------
    Backbone
        On the CPU.

    Raises
    ------
    UserError
        Where the file does not fit, or where the backbone's own weights are not installed.
    """
    row = BACKBONES[name]
    backbone = row.build(channels)
    if weights is not None:
        load_weights(backbone, weights, channels, row.first, row.new)
    elif row.weights is not None:
        own = row.weights()
        if channels == 1:
            own[row.first] = gray_kernels(own[row.first])
        backbone.load_state_dict(own)
    return backbone


def format_start(name: str, weights: str) -> str:
    """Describe, for the user, what the backbone starts from.

    Parameters
    ----------
    name
        Row of `BACKBONES`.
    weights
        File of weights as configured; empty: none.
    """
    if weights:
        return f"{name} starts from {Path(weights).name}"
    if BACKBONES[name].weights is not None:
        return f"{name} starts from ImageNet weights"
    return (
        f"{name} starts from random weights: it wants more labels and steps; set `network.weights: FILE`, or "
        "`optimiser.backbone_factor: 1` and `freeze_backbone_steps: 0`"
    )
