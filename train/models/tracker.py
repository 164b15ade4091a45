"""The network, and the Lightning module that trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import Tensor, nn

from rt_pose.loop.decode_torch import decode_torch
from rt_pose.loop.preprocess import frame_from_input
from rt_pose.package import DecodeSpec, InputSpec
from rt_pose.types import FloatArray
from train.accuracy import distances, figures
from train.config import NetworkConfig, TrainConfig
from train.data.batches import Batch, ValidationBatch
from train.losses import LOSSES
from train.losses.heatmap import LossInputs
from train.models.backbones import BACKBONES, build_backbone
from train.models.heads import STRIDE, HeatmapHead

MONITORED = "val/mean_px"
"""The best checkpoint is the one with the smallest mean error: it sees gross errors, the median does not."""


class PoseNetwork(nn.Module):
    """Backbone and head: (B, C, h, w) -> heatmap logits (B, K, h/4, w/4)."""

    def __init__(self, config: NetworkConfig, channels: int, keypoints: int) -> None:
        super().__init__()
        weights = Path(config.weights) if config.weights else None
        self.backbone = build_backbone(config.backbone, channels, weights)
        self.head = HeatmapHead(self.backbone.features, keypoints, config.head_width)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


def input_spec(config: NetworkConfig, channels: int) -> InputSpec:
    """What the network wants to see."""
    row = BACKBONES[config.backbone]
    return InputSpec(
        config.width, config.height, 1 if channels == 1 else 3, [row.mean] * channels, [row.std] * channels
    )


class Tracker(lightning.LightningModule):
    """Training of a `PoseNetwork` on labeled frames."""

    def __init__(self, network: PoseNetwork, spec: InputSpec, config: TrainConfig) -> None:
        super().__init__()
        # Convolutions on a CPU are up to twice as fast on this layout.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.spec = spec
        self.decode_spec = DecodeSpec(stride=STRIDE)
        self._losses = config.losses
        self._blank_is_absent = config.blank == "absent"
        self._optimiser = config.optimiser
        self._steps = config.steps
        self._distances: list[FloatArray] = []
        """(K,) a validation frame."""

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        self._hold_backbone(self.global_step < self._optimiser.freeze_backbone_steps)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        inputs = LossInputs(self.network(images), batch.keypoints, self._blank_is_absent, STRIDE)
        total = torch.zeros((), device=images.device)
        for name, loss in self._losses.items():
            value = LOSSES[name](inputs)
            self.log(f"train/{name}", value, batch_size=len(images))
            total = total + loss.weight * value
        return total

    def validation_step(self, batch: ValidationBatch, _index: int) -> None:
        found = decode_torch(self.network(batch.images), self.decode_spec).xy.double().cpu().numpy()
        for xy, labels, size in zip(found, batch.xy.double().cpu().numpy(), batch.frame_sizes, strict=True):
            to_frame = frame_from_input(self.spec, size)
            self._distances.append(distances(xy @ to_frame[:, :2].T + to_frame[:, 2], labels))

    def on_validation_epoch_end(self) -> None:
        for name, value in figures(np.stack(self._distances)).items():
            self.log(f"val/{name}", value)
        self._distances.clear()

    def configure_optimizers(self) -> Any:
        backbone = {"params": self.network.backbone.parameters()}
        head = {"params": self.network.head.parameters()}
        settings = self._optimiser
        optimiser = torch.optim.Adam(
            [
                backbone | {"lr": settings.learning_rate * settings.backbone_factor},
                head | {"lr": settings.learning_rate},
            ]
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, [lambda step: self._rate(step, settings.freeze_backbone_steps), self._rate]
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int, released: int = 0) -> float:
        """Factor on the learning rate at a step, of parameters released at a step."""
        settings = self._optimiser
        warm = min(max(step + 1 - released, 0) / max(settings.warmup_steps, 1), 1.0)
        falls = sum(step >= share * self._steps for share in settings.milestones)
        return warm * settings.gamma**falls

    def _hold_backbone(self, held: bool) -> None:
        """Hold the backbone still: no gradients, and batch norm that neither uses nor gathers the batch's
        statistics. A learning rate of 0 alone would let the statistics move on."""
        backbone = self.network.backbone
        if backbone.training == held:
            backbone.train(not held)
            backbone.requires_grad_(not held)
