"""MobileNetV4-Conv-Small (Qin et al. 2024), under the names of timm's weights (`mobilenetv4_conv_small`)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from train.models.features import Backbone, conv_norm, maps_of

# A stage's blocks: ("conv", outputs, kernel, stride), or an inverted bottleneck ("uib", outputs, kernel of
# the depthwise filter before the expansion, kernel of that within (0: none), expansion, stride).
_Conv = tuple[Literal["conv"], int, int, int]
_Uib = tuple[Literal["uib"], int, int, int, int, int]
_STAGES: tuple[tuple[_Conv | _Uib, ...], ...] = (
    (("conv", 32, 3, 2), ("conv", 32, 1, 1)),
    (("conv", 96, 3, 2), ("conv", 64, 1, 1)),
    (("uib", 96, 5, 5, 3, 2), *(("uib", 96, 0, 3, 2, 1),) * 4, ("uib", 96, 3, 0, 4, 1)),
    (
        ("uib", 128, 3, 3, 6, 2),
        ("uib", 128, 5, 5, 4, 1),
        ("uib", 128, 0, 5, 4, 1),
        ("uib", 128, 0, 5, 3, 1),
        *(("uib", 128, 0, 3, 4, 1),) * 2,
    ),
)
"""At strides 4, 8, 16 and 32. What follows in the original serves its classifier only."""


class _ConvNorm(nn.Module):
    """Convolution and batch norm, and ReLU where `active`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        x = conv_norm(self.conv, self.bn, x)
        return functional.relu(x, inplace=True) if self.active else x


class _ConvBlock(nn.Module):
    """The same as a block of its own, whose norm has another name in the weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(conv_norm(self.conv, self.bn1, x), inplace=True)


class _UniversalBottleneck(nn.Module):
    """Filter, expand, filter, project; either depthwise filter may be absent; the inner has the stride."""

    def __init__(self, inputs: int, outputs: int, start: int, mid: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        start_stride, mid_stride = (1, stride) if mid else (stride, 1)
        self.dw_start = (
            _ConvNorm(inputs, inputs, start, start_stride, inputs, active=False) if start else nn.Identity()
        )
        self.pw_exp = _ConvNorm(inputs, inner, 1)
        self.dw_mid = _ConvNorm(inner, inner, mid, mid_stride, inner) if mid else nn.Identity()
        self.pw_proj = _ConvNorm(inner, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.pw_proj(self.dw_mid(self.pw_exp(self.dw_start(x))))
        return y.add_(x) if self.residual else y


class MobileNetV4Small(Backbone):
    """MobileNetV4-Conv-Small without its classifier."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inputs = 32
        self.conv_stem = nn.Conv2d(channels, inputs, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        stages: list[nn.Module] = []
        self.features = []
        for rows in _STAGES:
            blocks: list[nn.Module] = []
            for row in rows:
                if row[0] == "conv":
                    blocks.append(_ConvBlock(inputs, *row[1:]))
                else:
                    blocks.append(_UniversalBottleneck(inputs, *row[1:]))
                inputs = row[1]
            stages.append(nn.Sequential(*blocks))
            self.features.append(inputs)
        self.blocks = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images (B, C, h, w) to maps at strides 4, 8, 16 and 32; see `Backbone`."""
        x = functional.relu(conv_norm(self.conv_stem, self.bn1, x), inplace=True)
        return maps_of(self.blocks, x)
