"""The head: from feature maps to one heatmap a keypoint at a quarter of the input's size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from train.models.features import conv_norm

STRIDE = 4
"""Input pixels per heatmap pixel."""


class _Up(nn.Module):
    """Twice the resolution by sub-pixel shuffling (Shi et al. 2016), with the finer map added in."""

    def __init__(self, inputs: int, finer: int, outputs: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, 4 * outputs, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.lateral = nn.Conv2d(finer, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.mix = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.mix_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        x = self.norm(self.shuffle(self.expand(x)).add_(self.lateral(finer)))
        x = functional.relu(x, inplace=True)
        return functional.relu(conv_norm(self.mix, self.mix_norm, x), inplace=True)


class HeatmapHead(nn.Module):
    """Feature maps, finest (stride 4) first -> (B, K, h/4, w/4) logits; softmax makes them maps.

    Every heatmap pixel covers exactly its own 4x4 input pixels: sub-pixel shuffling and centred 3x3 filters
    shift nothing, so decoding needs no offset beyond (x + 0.5) * stride - 0.5.
    """

    def __init__(self, features: list[int], keypoints: int, width: int) -> None:
        super().__init__()
        coarse_to_fine = features[::-1]
        widths = [width * 2**i for i in range(len(features) - 1)][::-1]
        inputs = coarse_to_fine[0]
        stages = []
        for finer, outputs in zip(coarse_to_fine[1:], widths, strict=True):
            stages.append(_Up(inputs, finer, outputs))
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.heatmaps = nn.Conv2d(inputs, keypoints, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map feature maps, finest (stride 4) first, to heatmap logits (B, K, h / 4, w / 4)."""
        x = maps[-1]
        for stage, finer in zip(self.stages, maps[-2::-1], strict=True):
            x = stage(x, finer)
        return self.heatmaps(x)
