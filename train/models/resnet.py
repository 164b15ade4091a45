"""ResNets (He et al. 2016) for dense prediction, with the names that trained weights use everywhere.

The names (`conv1`, `layer3.2.bn1`, ...) are those of torchvision's and timm's files, so that weights trained
by other programs load by name. Where the wanted output stride is reached early, later stages keep the
resolution and spread their filters instead (dilation, Yu & Koltun 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from train.models.features import Backbone, conv_norm, maps_of

Norm = Callable[[int], nn.Module]
GROUPS = 32

# The blocks of each of the four stages, and whether they are bottlenecks.
_DEPTHS: dict[int, tuple[tuple[int, int, int, int], bool]] = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
}
DEPTHS = tuple(_DEPTHS)
STAGES = ("layer1", "layer2", "layer3", "layer4")


def group_norm(channels: int) -> nn.Module:
    """Return group norm as ResNets have it: 32 groups, whatever the width.

    Parameters
    ----------
    channels
        Channels of the map; a multiple of `GROUPS`.
    """
    return nn.GroupNorm(GROUPS, channels)


class Basic(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, stride: int, dilations: tuple[int, int], norm: Norm) -> None:
        super().__init__()
        first, second = dilations
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=first, dilation=first, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=second, dilation=second, bias=False)
        self.bn2 = norm(width)
        self.downsample = _shortcut(inputs, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, width, h / stride, w / stride), rounded up."""
        y = functional.relu(conv_norm(self.conv1, self.bn1, x), inplace=True)
        y = conv_norm(self.conv2, self.bn2, y)
        return functional.relu(y.add_(self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, and a shortcut; the 3x3 carries the stride (the variant called v1.5)."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int, dilations: tuple[int, int], norm: Norm) -> None:
        super().__init__()
        dilation, outputs = dilations[0], width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = norm(outputs)
        self.downsample = _shortcut(inputs, outputs, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, 4 width, h / stride, w / stride), rounded up."""
        y = functional.relu(conv_norm(self.conv1, self.bn1, x), inplace=True)
        y = functional.relu(conv_norm(self.conv2, self.bn2, y), inplace=True)
        y = conv_norm(self.conv3, self.bn3, y)
        return functional.relu(y.add_(self.downsample(x)), inplace=True)


class ResNet(nn.Module):
    """(B, 3, h, w) -> (B, `channels`, h / output_stride, w / output_stride), rounded up."""

    channels: int
    """Of the result."""

    def __init__(self, depth: int, output_stride: int = 32, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        counts, bottlenecks = _DEPTHS[depth]
        block: type[Basic] | type[Bottleneck] = Bottleneck if bottlenecks else Basic
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs, reached, dilation, before = 64, 4, 1, 1
        for stage, count in enumerate(counts):
            width, stride = 64 * 2**stage, 1 if stage == 0 else 2
            if reached * stride > output_stride:
                dilation, stride = dilation * stride, 1
            reached *= stride
            blocks: list[nn.Module] = []
            for i in range(count):
                blocks.append(block(inputs, width, stride if i == 0 else 1, (before, dilation), norm))
                inputs, before = width * block.expansion, dilation
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.channels = inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, h, w) to features (B, `channels`, h / stride, w / stride), rounded up."""
        return self.maps(x)[-1]

    def maps(self, x: Tensor) -> list[Tensor]:
        """Map images (B, C, h, w) to what each stage gives, at strides 4, 8, 16 and 32 if none dilates."""
        x = self.maxpool(functional.relu(conv_norm(self.conv1, self.bn1, x), inplace=True))
        return maps_of(map(self.get_submodule, STAGES), x)


class ResNetMaps(ResNet, Backbone):
    """A ResNet's maps at strides 4, 8, 16 and 32; its names are those of the plain network."""

    def __init__(self, depth: int, channels: int, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__(depth, norm=norm)
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
        self.features = [self.channels // 8, self.channels // 4, self.channels // 2, self.channels]

    def forward(self, x: Tensor) -> list[Tensor]:  # type: ignore[override]
        """Map images (B, C, h, w) to maps at strides 4, 8, 16 and 32; see `Backbone`."""
        return self.maps(x)


def _shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return _Shortcut(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))


class _Shortcut(nn.Sequential):
    """Convolution and norm, under the names that weights have them by: 0 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self
        assert isinstance(conv, nn.Conv2d)
        return conv_norm(conv, norm, x)
