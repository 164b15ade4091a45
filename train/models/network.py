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
    """Backbone and head: (B, C, h, w) -> heatmap logits (B, K, h/4, w/4); between them, where the
    configuration asks for it, what the frames before have to say."""

    def __init__(self, config: NetworkConfig, channels: int, keypoints: int) -> None:
        super().__init__()
        weights = Path(config.weights) if config.weights else None
        self.backbone = build_backbone(config.backbone, channels, weights)
        self.head = HeatmapHead(self.backbone.features, keypoints, config.head_width)
        # After the head, whose first weights are then those that it would have without it.
        self.context = Context(self.backbone.features[-1], config.context) if config.context else None

    def forward(self, images: Tensor, context_policy: ContextPolicy | None = None) -> Tensor:
        """`context_policy`: where a network with context finds the frames' past; else in the frames
        themselves."""
        maps = self.backbone(images)
        if self.context is not None:
            now = self.context.reduce(maps[-1])
            maps = [
                *maps[:-1],
                self.context(maps[-1], now, (context_policy or self_context)(now, self.context.frames)),
            ]
        return self.head(maps)

    def forward_streaming(self, images: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of frames whose past is given (B, N F, h', w'), and the past of the frames after them."""
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
        return self.network.forward_streaming(image, past)


def input_spec(config: NetworkConfig, channels: int) -> InputSpec:
    """What the network wants to see."""
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
