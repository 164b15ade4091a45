"""A small vision transformer (Dosovitskiy et al. 2021), under the names of timm's, DeiT's, DINO's weights.

A transformer on 16x16 patches says what is where, in steps of 16 px. A few convolutions on the image beside
it give the head the finer maps that a keypoint is placed by; they are trained from nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.models.efficientnet import ConvNorm
from train.models.features import Backbone, maps_of

PATCH = 16
TRAINED_GRID = 14
"""Patches along a side of the 224 px images that such networks are trained on."""
DEPTH = 12
_NORM_EPS = 1e-6
DETAIL = (32, 64)
"""Channels of the fine maps, at strides 4 and 8."""


class _PatchEmbed(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, PATCH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class _Attention(nn.Module):
    """Every patch looks at all patches, in several heads of 64 channels or fewer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        # (B, heads, N, c) each
        seen = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(seen.transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class _Block(nn.Module):
    """Attention, then a perceptron on each patch; each around a shortcut, normalised before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_NORM_EPS)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_NORM_EPS)
        self.mlp = _Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(Backbone):
    """ViT-Tiny (width 192) or ViT-Small (384) on 16x16 patches; any input of whole patches."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbed(channels, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TRAINED_GRID**2, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self.detail = nn.ModuleList(
            [
                nn.Sequential(ConvNorm(channels, 16, 3, 2), ConvNorm(16, DETAIL[0], 3, 2)),
                ConvNorm(DETAIL[0], DETAIL[1], 3, 2),
            ]
        )
        self.features = [*DETAIL, width]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images (B, C, h, w) to maps at strides 4, 8 and 16; see `Backbone`."""
        maps = maps_of(self.detail, x)
        patches = self.patch_embed(x)  # (B, W, h/16, w/16)
        height, width = patches.shape[-2:]
        tokens = (patches + self._positions(height, width)).flatten(2).transpose(1, 2)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        seen = self.norm(tokens)[:, 1:].transpose(1, 2)
        return [*maps, seen.unflatten(2, (height, width))]

    def _positions(self, height: int, width: int) -> Tensor:
        """(1, W, height, width): the trained places, drawn over the input's own grid of patches."""
        grid = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (TRAINED_GRID, TRAINED_GRID))
        return functional.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)


def vit(width: int, heads: int) -> Callable[[int], VisionTransformer]:
    """Return a function that builds a transformer for a number of channels (1 gray, 3 RGB).

    Parameters
    ----------
    width
        Channels of a patch: 192 (ViT-Tiny) or 384 (ViT-Small).
    heads
        Heads of the attention.
    """
    return lambda channels: VisionTransformer(channels, width, heads)
