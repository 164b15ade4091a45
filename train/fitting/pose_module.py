"""The Lightning module that trains a `PoseNetwork`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import Tensor

from rt_pose.inference.decode_torch import decode_torch
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.accuracy import distances, figures
from train.animals import missed_as_size
from train.config import TrainConfig
from train.data.batches import Batch, ValidationBatch
from train.data.clips import ClipBatch, redo_affine, undo_affine
from train.data.steps import StepBatch
from train.fitting.clip_animals import ClipAnimals
from train.fitting.mixed_precision import autocast, full_precision
from train.fitting.validation_animals import ValidationAnimals, to_frame_px
from train.losses.centre_offsets import several_inputs
from train.losses.clip import ClipInputs, confident
from train.losses.heatmap import LossInputs
from train.losses.loss_context import MIN_CONFIDENCE
from train.losses.mean_position import diffuse_share, mean_position
from train.losses.terms import Terms
from train.models.context import ContextPolicy, clip_context, random_context
from train.models.features import freeze_statistics
from train.models.heads import STRIDE
from train.models.network import PoseNetwork, decode_spec

VALIDATION, SEEN = "val", "seen"
"""Under what errors are logged: on frames kept back; where there are none, on those that train."""
MONITORED = f"{VALIDATION}/mean_px"
"""The best checkpoint is the one with the smallest mean error: it sees gross errors, the median does not."""


class NotFiniteError(Exception):
    """A loss or a weight is no finite number any more: nothing is learned from here on."""


class PoseModule(lightning.LightningModule):
    """Training of a `PoseNetwork` on labeled frames, and on unlabeled clips where losses work on them."""

    def __init__(
        self,
        network: PoseNetwork,
        spec: InputSpec,
        config: TrainConfig,
        terms: Terms,
        individuals: int = 1,
    ) -> None:
        super().__init__()
        # Convolutions on a CPU are up to twice as fast on this layout.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.spec = spec
        self.decode_spec = decode_spec(spec, individuals)
        self._animals = ValidationAnimals(self.decode_spec, individuals) if individuals > 1 else None
        self._clip_animals = ClipAnimals(self.decode_spec, individuals) if individuals > 1 else None
        self.found: FloatArray | None = None
        """(F, K, 2), or (F, N, K, 2), frame px: the keypoints of the last validation, frame by frame."""
        self._terms = terms
        self._precision = config.precision
        self._blank_is_absent = config.blank == "absent"
        self._optimiser = config.optimiser
        self._steps = config.steps
        self._watched = VALIDATION if config.keeps_back else SEEN
        self._found: list[FloatArray] = []
        """(..., K, 2) a validation frame so far."""
        self._distances: list[FloatArray] = []
        """(..., K) a validation frame."""

    def training_step(self, batch: StepBatch, _index: int) -> Tensor:
        """See `LightningModule.training_step`."""
        with full_precision(batch.labeled.images.device):
            return self._step(batch)

    def logits(self, images: Tensor, context_policy: ContextPolicy | None) -> Tensor:
        """Return the network's output for images; the network itself runs in the training's precision.

        Parameters
        ----------
        images
            Normalised images (B, C, h, w).
        context_policy
            Where a network with context finds the frames' past; None: in the frames themselves.

        Returns
        -------
        Tensor
            Logits (B, K, h / 4, w / 4), float32.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        with autocast(self._precision, images.device):
            found: Tensor = self.network(images, context_policy)
        return found.float()

    def _step(self, batch: StepBatch) -> Tensor:
        self._freeze_backbone(self.global_step < self._optimiser.freeze_backbone_steps)
        if batch.clip is not None:
            freeze_statistics(self.network)
        total = self._on_labels(batch.labeled)
        if batch.clip is not None:
            total = total + self._on_clip(batch.clip)
            self.log("train/total", total, batch_size=1)
        return total

    def _on_labels(self, batch: Batch) -> Tensor:
        images = batch.images
        logits = self.logits(images, random_context(self.global_step))
        inputs = self._loss_inputs(logits, batch)
        total = torch.zeros((), device=images.device)
        for term in self._terms.labels:
            value = self._finite(term.name, term.loss(inputs))
            self.log(f"train/{term.name}", value, batch_size=len(images))
            total = total + term.weight * value
        return total

    def _loss_inputs(self, output: Tensor, batch: Batch) -> LossInputs:
        absent = self._blank_is_absent
        if self._animals is None:
            return LossInputs(output, batch.keypoints, absent, STRIDE, batch.weights)
        return several_inputs(output, batch.keypoints, absent, STRIDE, self.decode_spec.offset_scale)

    def _finite(self, name: str, value: Tensor) -> Tensor:
        if not torch.isfinite(value):
            raise NotFiniteError(f"losses.{name} became {value.item()} at step {self.global_step}")
        return value

    def _on_clip(self, clip: ClipBatch) -> Tensor:
        """The losses on clips, weighted and annealed in; each is logged as it is, without its weight."""
        found = [(view, inputs) for view in clip.views for inputs in self._predict_clip(view)]
        diffuse = torch.stack([_diffuse(inputs, view) for view, inputs in found]).mean()
        self.log("train/diffuse", diffuse, batch_size=len(clip.images))
        inputs = [own for _, own in found]
        total = torch.zeros((), device=clip.images.device)
        for term in self._terms.clips:
            factor = term.factor(self.global_step)
            if factor > 0:
                value = self._finite(term.name, term.value(inputs))
                self.log(f"train/{term.name}", value, batch_size=len(clip.images))
                total = total + factor * term.weight * value
        return total

    def _predict_clip(self, clip: ClipBatch) -> list[ClipInputs]:
        """The network's answer to the clip of one camera, for each animal in it."""
        images = torch.cat([clip.images, clip.second])
        context_policy = clip_context(len(clip.images), clip.again)
        logits = self.logits(images, context_policy)
        if self._clip_animals is not None:
            return self._clip_animals.split(logits, clip)
        with torch.no_grad():
            found = decode_torch(logits, self.decode_spec)
        xy = undo_affine(mean_position(logits, STRIDE), clip.from_input)
        confidence = found.confidence
        length = len(clip.images)  # after it there is a seam
        return [
            ClipInputs(
                logits[:length],
                (found.xy[:length] + 0.5) / STRIDE - 0.5,
                xy[:length],
                confidence[:length],
                clip.again,
                xy[length:] if clip.again else None,
                confidence[length:] if clip.again else None,
            )
        ]

    def on_validation_start(self) -> None:
        """See `LightningModule.on_validation_start`. No checkpoint is made of weights that are not finite."""
        for name, values in self.network.state_dict().items():
            if not torch.isfinite(values).all():
                raise NotFiniteError(f"the network's {name} is not finite at step {self.global_step}")

    def validation_step(self, batch: ValidationBatch, _index: int) -> None:
        """See `LightningModule.validation_step`."""
        with full_precision(
            batch.images.device
        ):  # Lightning's own autocast, which fp16 brings along, is around it
            output = self.network(batch.images)
            if self._animals is not None:
                found = self._animals.add(output, batch, self.spec)
            else:
                xy = decode_torch(output, self.decode_spec).xy.double().cpu().numpy()
                found = [
                    to_frame_px(own, self.spec, size) for own, size in zip(xy, batch.frame_sizes, strict=True)
                ]
        errors = distances if self._animals is None else missed_as_size
        for xy, labels in zip(found, batch.xy.double().cpu().numpy(), strict=True):
            self._found.append(xy)
            self._distances.append(errors(xy, labels))

    def on_validation_epoch_end(self) -> None:
        """See `LightningModule.on_validation_epoch_end`."""
        for name, value in figures(np.stack(self._distances)).items():
            self.log(f"{self._watched}/{name}", value)
        if self._animals is not None:
            for name, value in self._animals.figures().items():
                self.log(f"{self._watched}/{name}", value)
        self.found = np.stack(self._found)
        self._found.clear()
        self._distances.clear()

    def configure_optimizers(self) -> Any:
        """See `LightningModule.configure_optimizers`. The backbone has a learning rate of its own."""
        backbone = {"params": self.network.backbone.parameters()}
        new = [self.network.head, *([self.network.context] if self.network.context else [])]
        head = {"params": [p for part in new for p in part.parameters()]}
        settings = self._optimiser
        optimiser = torch.optim.Adam(
            [
                backbone | {"lr": settings.learning_rate * settings.backbone_factor},
                head | {"lr": settings.learning_rate},
            ],
            fused=True,
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

    def _freeze_backbone(self, held: bool) -> None:
        """Freeze the backbone: no gradients, and batch norm neither uses nor gathers the batch's statistics.

        A learning rate of 0 alone would let the statistics change.
        """
        backbone = self.network.backbone
        if backbone.training == held:
            backbone.train(not held)
            backbone.requires_grad_(not held)


def _diffuse(inputs: ClipInputs, clip: ClipBatch) -> Tensor:
    """The share of a clip's keypoints whose maps are diffuse."""
    mean = (redo_affine(inputs.xy.detach(), clip.from_input) + 0.5) / STRIDE - 0.5
    return diffuse_share(mean, inputs.peaks, confident(inputs.xy, inputs.confidence, MIN_CONFIDENCE))
