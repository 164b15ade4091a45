"""The network that is trained and exported: backbone, causal context, head."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from rt_pose.package import ContextSpec, InputSpec
from train.config import NetworkConfig
from train.models.backbones import BACKBONES, build_backbone
from train.models.context import WIDTH, Context, ContextPolicy, self_context
from train.models.heads import HeatmapHead


class PoseNetwork(nn.Module):
    """Backbone, causal context (where it is configured) and head: an image in, heatmap logits out."""

    def __init__(self, config: NetworkConfig, channels: int, keypoints: int) -> None:
        super().__init__()
        weights = Path(config.weights) if config.weights else None
        self.backbone = build_backbone(config.backbone, channels, weights)
        self.head = HeatmapHead(self.backbone.features, keypoints, config.head_width)
        # After the head, whose first weights are then those that it would have without it.
        self.context = Context(self.backbone.features[-1], config.context) if config.context else None

    def forward(self, images: Tensor, context_policy: ContextPolicy | None = None) -> Tensor:
        """Return the heatmap logits of images.

        Parameters
        ----------
        images
            Normalised images (B, C, h, w).
        context_policy
            Where a network with context finds the frames' past; None: in the frames themselves.

        Returns
        -------
        Tensor
            Logits (B, K, h / 4, w / 4).
        """
        maps = self.backbone(images)
        if self.context is not None:
            now = self.context.reduce(maps[-1])
            maps = [
                *maps[:-1],
                self.context(maps[-1], now, (context_policy or self_context)(now, self.context.frames)),
            ]
        return self.head(maps)

    def forward_streaming(self, images: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of frames whose past is given; only for a network with context.

        Parameters
        ----------
        images
            Normalised images (B, C, h, w).
        past
            Reduced maps of the frames before them (B, N F, h', w'), newest first.

        Returns
        -------
        logits : Tensor
            Logits (B, K, h / 4, w / 4).
        next_past : Tensor
            Past of the frames after them (B, N F, h', w').
        """
        assert self.context is not None
        maps = self.backbone(images)
        now = self.context.reduce(maps[-1])
        logits = self.head([*maps[:-1], self.context(maps[-1], now, past)])
        return logits, self.context.next_past(now, past)


class StreamingExport(nn.Module):
    """A network as it is exported: an image and its past in, heatmaps and the next frame's past out."""

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """See `PoseNetwork.forward_streaming`."""
        return self.network.forward_streaming(image, past)


def input_spec(config: NetworkConfig, channels: int) -> InputSpec:
    """Return the input that a network expects, as its package states it.

    Parameters
    ----------
    config
        Of the network: backbone, input size, context.
    channels
        1 gray, 3 RGB.

    Returns
    -------
    InputSpec
        Size (px), channels, normalisation (grey levels 0..255) and context.
    """
    row = BACKBONES[config.backbone]
    context = None
    if config.context:
        context = ContextSpec(config.context, WIDTH, config.height // row.stride, config.width // row.stride)
    return InputSpec(
        config.width,
        config.height,
        1 if channels == 1 else 3,
        [row.mean] * channels,
        [row.std] * channels,
        context=context,
    )
