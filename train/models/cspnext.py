"""CSPNeXt, the backbone of RTMDet and RTMPose (Lyu et al. 2022), under the parameter names of its weights.

Each stage halves the resolution, then splits the channels: one half passes through large depthwise filters,
the other goes past them; both are joined, weighted by channel and mixed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 32
_WIDTHS = (64, 128, 256, 512, 1024)
_BLOCKS = (3, 6, 6, 3)
_POOLS = (5, 9, 13)


class ConvNormAct(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h / stride, w / stride), rounded up."""
        return functional.silu(self.norm(self.conv(x)))


class Separable(nn.Module):
    """A 5x5 filter on each channel, then a mix of the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise_conv = ConvNormAct(width, width, 5, groups=width)
        self.pointwise_conv = ConvNormAct(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w) to the same shape."""
        return self.pointwise_conv(self.depthwise_conv(x))


class Block(nn.Module):
    """3x3, then separable 5x5, with a shortcut where `residual`."""

    def __init__(self, width: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(width, width, 3)
        self.conv2 = Separable(width)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w) to the same shape."""
        y = self.conv2(self.conv1(x))
        return x + y if self.residual else y


class ChannelAttention(nn.Module):
    """Every channel weighted by a function of all channels' means."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels of (B, width, h, w)."""
        return x * functional.hardsigmoid(self.fc(x.mean(dim=(2, 3), keepdim=True)))


class Split(nn.Module):
    """Half the channels through the blocks, half past them."""

    def __init__(self, width: int, blocks: int, residual: bool) -> None:
        super().__init__()
        half = width // 2
        self.main_conv = ConvNormAct(width, half, 1)
        self.short_conv = ConvNormAct(width, half, 1)
        self.final_conv = ConvNormAct(2 * half, width, 1)
        self.blocks = nn.Sequential(*(Block(half, residual) for _ in range(blocks)))
        self.attention = ChannelAttention(2 * half)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w) to the same shape."""
        both = torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], dim=1)
        return self.final_conv(self.attention(both))


class PyramidPool(nn.Module):
    """The maxima around each place, over three sizes of neighbourhood (He et al. 2015)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = ConvNormAct(width, half, 1)
        self.conv2 = ConvNormAct(half * (len(_POOLS) + 1), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w) to the same shape."""
        x = self.conv1(x)
        pooled = [functional.max_pool2d(x, size, 1, padding=size // 2) for size in _POOLS]
        return self.conv2(torch.cat([x, *pooled], dim=1))


class CSPNeXt(nn.Module):
    """(B, 3, h, w) -> (B, `channels`, h / 32, w / 32), rounded up."""

    def __init__(self, deepen: float, widen: float) -> None:
        super().__init__()
        widths = [int(width * widen) for width in _WIDTHS]
        first = int(_WIDTHS[0] * widen // 2)
        self.stem = nn.Sequential(
            ConvNormAct(3, first, 3, 2), ConvNormAct(first, first, 3), ConvNormAct(first, widths[0], 3)
        )
        for i, count in enumerate(_BLOCKS):
            last = i == len(_BLOCKS) - 1
            width = widths[i + 1]
            stage: list[nn.Module] = [ConvNormAct(widths[i], width, 3, 2)]
            if last:
                stage.append(PyramidPool(width))
            stage.append(Split(width, max(round(count * deepen), 1), residual=not last))
            self.add_module(f"stage{i + 1}", nn.Sequential(*stage))
        self.channels = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, h, w) to features (B, `channels`, h / 32, w / 32), rounded up."""
        x = self.stem(x)
        for i in range(len(_BLOCKS)):
            x = self.get_submodule(f"stage{i + 1}")(x)
        return x
