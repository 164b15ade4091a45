"""The configured losses as terms of one sum: weight times what has been annealed in, each applied once."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from train.config import LossConfig, TrainConfig
from train.losses import LOSSES, ClipRow, LabelRow
from train.losses.heatmap import LossInputs
from train.losses.loss_context import ClipLoss, LossContext

_LOG = logging.getLogger(__name__)

START, RAMP = 0.3, 0.2
"""Shares of all steps: before the first a loss on clips is off, over the second it rises."""


@dataclass
class LabelTerm:
    """A loss on labels; never annealed."""

    name: str
    weight: float
    loss: Callable[[LossInputs], Tensor]


@dataclass
class ClipTerm:
    """A loss on clips: off, then a linear ramp, then its whole weight."""

    name: str
    weight: float
    loss: ClipLoss
    first_step: int
    """The first at which it has any weight."""
    ramp_steps: int

    def factor(self, step: int) -> float:
        """What its weight is multiplied by at a step: 0, then rising to 1."""
        return float(np.clip((step - self.first_step + 1) / max(self.ramp_steps, 1), 0.0, 1.0))


@dataclass
class Terms:
    """All of them."""

    labels: list[LabelTerm]
    clips: list[ClipTerm]

    @property
    def first_clip_step(self) -> int:
        """The first step that needs a clip at all."""
        return min((term.first_step for term in self.clips), default=0)


def resampled_frames(config: TrainConfig) -> int:
    """How many of a clip's frames must come under a second draw of noise."""
    settings = config.losses.get("noise_consistency")
    if settings is None:
        return 0
    return math.ceil(config.clip_length / 4) if settings.frames is None else settings.frames


def build_terms(config: TrainConfig, context: Callable[[str, LossConfig], LossContext]) -> Terms:
    """Every configured loss, fitted where it has something to fit; says what each forgives.

    `context` gives what a loss on clips is built from, by name and settings; it is called for those only.
    UserError where a loss gets nothing to work on.
    """
    terms = Terms([], [])
    for name, settings in config.losses.items():
        row = LOSSES[name]
        weight = default_weight(name, settings)
        if isinstance(row, LabelRow):
            terms.labels.append(LabelTerm(name, weight, row.loss))
            continue
        built = row.build(context(name, settings))
        _LOG.info(f"{name}: weight {weight:g}, {built.note}")
        first, ramp = annealing(settings, config.steps)
        terms.clips.append(ClipTerm(name, weight, built.loss, first, ramp))
    return terms


def annealing(settings: LossConfig, steps: int) -> tuple[int, int]:
    """First step with any weight, and steps of the ramp."""
    start = START if settings.start is None else settings.start
    ramp = RAMP if settings.ramp is None else settings.ramp
    return round(start * steps), round(ramp * steps)


def default_weight(name: str, settings: LossConfig) -> float:
    """The configured weight, else the loss's own."""
    return LOSSES[name].weight if settings.weight is None else settings.weight


def resolve_losses(config: TrainConfig) -> TrainConfig:
    """The configuration with every loss's weight written out."""
    losses = {name: replace(loss, weight=default_weight(name, loss)) for name, loss in config.losses.items()}
    return replace(config, losses=losses)


def uses_clips(config: TrainConfig) -> list[str]:
    """Names of the configured losses that need unlabeled video."""
    return [name for name in config.losses if isinstance(LOSSES.get(name), ClipRow)]
