"""The network that is trained and exported: backbone, causal context, head."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from rt_pose.package import ContextSpec, DecodeSpec, InputSpec
from train.config import NetworkConfig
from train.models.backbones import BACKBONES, build_backbone
from train.models.context import WIDTH, Context, ContextPolicy, self_context
from train.models.heads import STRIDE, HeatmapHead

OFFSET_UNITS = 8
"""So many units of an offset are the longer side of a heatmap: about 1 at the end of an animal."""


class PoseNetwork(nn.Module):
    """Backbone, causal context (where it is configured) and head: an image in, heatmap logits out.

    For several animals it gives a heatmap of their centres and offsets to those as well.
    """

    def __init__(self, config: NetworkConfig, channels: int, keypoints: int, individuals: int = 1) -> None:
        super().__init__()
        weights = Path(config.weights) if config.weights else None
        self.backbone = build_backbone(config.backbone, channels, weights)
        maps = output_maps(keypoints, individuals)
        self.head = HeatmapHead(self.backbone.features, maps, config.head_width)
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
            Logits (B, K, h / 4, w / 4); of a network for several animals (B, 3 K + 1, h / 4, w / 4), the
            offsets after the heatmaps of keypoints and centre.
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
            Logits (B, K, h / 4, w / 4); of a network for several animals (B, 3 K + 1, h / 4, w / 4), the
            offsets after the heatmaps of keypoints and centre.
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


def output_maps(keypoints: int, individuals: int) -> int:
    """Return how many maps a network gives.

    Parameters
    ----------
    keypoints
        Number of keypoints K.
    individuals
        The most animals in a frame.

    Returns
    -------
    int
        K, or for several animals 3 K + 1.
    """
    return keypoints if individuals == 1 else 3 * keypoints + 1


def decode_spec(spec: InputSpec, individuals: int) -> DecodeSpec:
    """Return how the output of a network becomes keypoints, as its package states it.

    Parameters
    ----------
    spec
        Input of the network.
    individuals
        The most animals in a frame.

    Returns
    -------
    DecodeSpec
        Of our own heatmaps; for several animals with offsets to their centres.
    """
    if individuals == 1:
        return DecodeSpec(stride=STRIDE)
    scale = max(spec.width, spec.height) / STRIDE / OFFSET_UNITS
    return DecodeSpec(stride=STRIDE, decoder="centre_offsets", offset_scale=scale)
