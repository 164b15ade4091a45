"""Batches of labeled frames as the network sees them, for training and for validation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.inference.preprocess import Preprocess
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.config import AugmentConfig
from train.data.augment import draw_levels, input_keypoints, random_warp
from train.data.augmentation import Augmentation
from train.data.flip import mirror_order, mirrored
from train.data.labels import LabeledFrames
from train.data.pseudo import Pseudo


@dataclass
class Batch:
    """The labeled frames of a training step. B frames."""

    images: Tensor
    """(B, C, h, w) float32, preprocessed."""
    keypoints: Tensor
    """(B, K, 2) float32, of several animals (B, N, K, 2), px of the network's input; NaN where unlabeled or
    outside the input."""
    weights: Tensor | None = None
    """(B, K) float32, what each keypoint counts: 1, for a pseudo-label its weight, 0 where it is unknown.
    None where there are no pseudo-labels: all of them 1."""


@dataclass
class TrainingBatches:
    """`steps` batches, the same for the same seed. Every frame is shown once before any is shown again.

    With pseudo-labels, the last `per_batch` frames of each batch are pseudo-labeled ones. Of several
    processes that train together each has every `ranks`-th frame of a batch, changed as for one process but
    for the sensor's noise, of which each draws its own.
    """

    frames: LabeledFrames
    spec: InputSpec
    augment: AugmentConfig
    batch_size: int
    """Frames a step."""
    steps: int
    seed: int
    threads: int = 1
    pseudo: Pseudo | None = None
    rank: int = 0
    ranks: int = 1

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        random = np.random.default_rng(self.seed)
        changed = Augmentation(self.augment, self.spec, self.frames.channels, self.batch_size, self.threads)
        labeled = _Order(len(self.frames), random)
        pseudo = self.pseudo
        pseudo_labeled = _Order(len(pseudo.frames), random) if pseudo else None
        order = mirror_order(self.frames.keypoints) if self.augment.flip else None
        for _ in range(self.steps):
            number = self.batch_size - (pseudo.per_batch if pseudo else 0)
            shown = [self._labeled(i) for i in labeled.take(number)]
            if pseudo and pseudo_labeled:
                shown += [_pseudo_labeled(pseudo, i) for i in pseudo_labeled.take(pseudo.per_batch)]
            if order is not None:
                shown = [_turned(frame, order, random, self.augment.flip) for frame in shown]
            yield self._batch(changed, shown, random)

    def _labeled(self, i: int) -> _AugmentedSample:
        xy = self.frames.xy[i]
        return _AugmentedSample(self.frames.images[i], xy, np.ones(xy.shape[:-1]))

    def _batch(
        self, changed: Augmentation, shown: list[_AugmentedSample], random: np.random.Generator
    ) -> Batch:
        # Drawn for the whole batch: what becomes of a frame does not depend on who has it.
        warps = [random_warp(self.augment, frame.image.shape, random) for frame in shown]
        levels = draw_levels(self.augment, self.batch_size, random)
        share = slice(self.rank, None, self.ranks)
        shown, warps = shown[share], warps[share]
        levels = {name: np.ascontiguousarray(values[share]) for name, values in levels.items()}
        images = [frame.image for frame in shown]
        keypoints = np.stack(
            [
                input_keypoints(frame.xy, warp, frame.image.shape, self.spec)
                for frame, warp in zip(shown, warps, strict=True)
            ]
        )
        return Batch(
            changed(images, warps, levels, self._noise_seed(random)),
            torch.from_numpy(keypoints.astype(np.float32)),
            torch.from_numpy(np.stack([frame.weights for frame in shown]).astype(np.float32))
            if self.pseudo
            else None,
        )

    def _noise_seed(self, random: np.random.Generator) -> int:
        """Return the seed of a batch's sensor noise.

        Every process draws the same number and derives its own from it by its rank: with one seed for all,
        the first frame of each share would be under the same noise.
        """
        seed = int(random.integers(2**63))
        return int(np.random.default_rng([seed, self.rank]).integers(2**63)) if self.rank else seed


@dataclass
class _AugmentedSample:
    """A frame with its labels (..., K, 2) and what each counts (..., K)."""

    image: NDArray[np.uint8]
    xy: FloatArray
    weights: FloatArray


def _turned(
    frame: _AugmentedSample, order: NDArray[np.intp], random: np.random.Generator, share: float
) -> _AugmentedSample:
    """The frame, or with the probability `share` its mirror image."""
    if random.random() >= share:
        return frame
    return _AugmentedSample(*mirrored(frame.image, frame.xy, frame.weights, order))


def _pseudo_labeled(pseudo: Pseudo, i: int) -> _AugmentedSample:
    return _AugmentedSample(pseudo.frames.images[i], pseudo.frames.xy[i], pseudo.weights[i])


class _Order:
    """Indices without end, in which each of `count` comes once before any comes again."""

    def __init__(self, count: int, random: np.random.Generator) -> None:
        self._count = count
        self._random = random
        self._left = np.empty(0, np.intp)

    def take(self, number: int) -> NDArray[np.intp]:
        while len(self._left) < number:
            self._left = np.concatenate([self._left, self._random.permutation(self._count)])
        taken, self._left = self._left[:number], self._left[number:]
        return taken


@dataclass
class ValidationBatch:
    """The frames of a validation step. B frames."""

    images: Tensor
    """(B, C, h, w) float32, preprocessed."""
    xy: Tensor
    """(B, K, 2) float32, or (B, N, K, 2), labels in frame px; NaN where unlabeled."""
    frame_sizes: list[tuple[int, int]]
    """(width, height) of every frame."""


class ValidationBatches:
    """All frames once, in order, through the live preprocessing."""

    def __init__(self, frames: LabeledFrames, spec: InputSpec, batch_size: int) -> None:
        self._frames = frames
        self._batch_size = batch_size
        self._preprocess = Preprocess(spec, batch_size)

    def __len__(self) -> int:
        return math.ceil(len(self._frames) / self._batch_size)

    def __iter__(self) -> Iterator[ValidationBatch]:
        for start in range(0, len(self._frames), self._batch_size):
            images = self._frames.images[start : start + self._batch_size]
            xy = self._frames.xy[start : start + self._batch_size].astype(np.float32)
            yield ValidationBatch(
                torch.from_numpy(self._preprocess(images).copy()),
                torch.from_numpy(xy),
                [(image.shape[1], image.shape[0]) for image in images],
            )
