"""The configured losses as terms of one sum: weight times annealing factor, each applied once."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from train.config import LossConfig, TrainConfig
from train.losses import LOSSES, LabelRow, ViewsRow
from train.losses.clip import ClipInputs
from train.losses.heatmap import LossInputs
from train.losses.loss_context import ClipLoss, LossContext, ViewsLoss

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
        """Return the factor of the weight at a step.

        Parameters
        ----------
        step
            Step of the training, from 0.

        Returns
        -------
        float
            0 before `first_step`, then rising to 1.
        """
        return _ramp(step, self.first_step, self.ramp_steps)

    def value(self, clips: Sequence[ClipInputs]) -> Tensor:
        """Return the loss on the clips of a step, without its weight.

        Parameters
        ----------
        clips
            One of each camera, and of each animal in it.

        Returns
        -------
        Tensor
            A scalar, the mean over these.
        """
        return torch.stack([self.loss(clip) for clip in clips]).mean()


@dataclass
class ViewsTerm:
    """A loss on the clips of several cameras, annealed as a `ClipTerm` is."""

    name: str
    weight: float
    loss: ViewsLoss
    first_step: int
    ramp_steps: int

    def factor(self, step: int) -> float:
        """See `ClipTerm.factor`."""
        return _ramp(step, self.first_step, self.ramp_steps)

    def value(self, clips: Sequence[ClipInputs]) -> Tensor:
        """Return the loss on the clips of a step, without its weight.

        Parameters
        ----------
        clips
            One of each camera, in the order of the cameras.

        Returns
        -------
        Tensor
            A scalar.
        """
        return self.loss(clips)


def _ramp(step: int, first_step: int, ramp_steps: int) -> float:
    return float(np.clip((step - first_step + 1) / max(ramp_steps, 1), 0.0, 1.0))


@dataclass
class Terms:
    """All of them."""

    labels: list[LabelTerm]
    clips: list[ClipTerm | ViewsTerm]

    @property
    def first_clip_step(self) -> int:
        """The first step that needs a clip at all."""
        return min((term.first_step for term in self.clips), default=0)


def resampled_frames(config: TrainConfig) -> int:
    """Return how many of a clip's frames need a second draw of noise.

    Parameters
    ----------
    config
        Of the training; a quarter of `clip_length` where `noise_consistency` sets no `frames`.

    Returns
    -------
    int
        0 where `noise_consistency` is not configured.
    """
    settings = config.losses.get("noise_consistency")
    if settings is None:
        return 0
    return math.ceil(config.clip_length / 4) if settings.frames is None else settings.frames


def build_terms(config: TrainConfig, context: Callable[[str, LossConfig], LossContext]) -> Terms:
    """Build every configured loss, fitted where it has something to fit.

    Parameters
    ----------
    config
        Of the training; its `losses` and `steps`.
    context
        Gives what a loss on clips is built from, by name and settings; it is called for those only.

    Returns
    -------
    Terms
        All losses with their weights.

    Raises
    ------
    UserError
        Where a loss gets nothing to work on.

    Notes
    -----
    What each loss on clips tolerates is reported.
    """
    terms = Terms([], [])
    for name, settings in config.losses.items():
        row = LOSSES[name]
        weight = default_weight(name, settings)
        if isinstance(row, LabelRow):
            terms.labels.append(LabelTerm(name, weight, row.loss))
            continue
        first, ramp = annealing(settings, config.steps)
        term: ClipTerm | ViewsTerm
        if isinstance(row, ViewsRow):
            views = row.build(context(name, settings))
            term, note = ViewsTerm(name, weight, views.loss, first, ramp), views.note
        else:
            single = row.build(context(name, settings))
            term, note = ClipTerm(name, weight, single.loss, first, ramp), single.note
        _LOG.info(f"{name}: weight {weight:g}, {note}")
        terms.clips.append(term)
    return terms


def annealing(settings: LossConfig, steps: int) -> tuple[int, int]:
    """Return when a loss on clips sets in.

    Parameters
    ----------
    settings
        Of the loss; `start` and `ramp` are shares of all steps, `START` and `RAMP` where they are None.
    steps
        Steps of the whole training.

    Returns
    -------
    first_step : int
        Step after which it has any weight.
    ramp_steps : int
        Steps over which the weight rises.
    """
    start = START if settings.start is None else settings.start
    ramp = RAMP if settings.ramp is None else settings.ramp
    return round(start * steps), round(ramp * steps)


def default_weight(name: str, settings: LossConfig) -> float:
    """Return the configured weight, else the loss's own.

    Parameters
    ----------
    name
        Name of the loss in `LOSSES`.
    settings
        As configured.
    """
    return LOSSES[name].weight if settings.weight is None else settings.weight


def resolve_losses(config: TrainConfig) -> TrainConfig:
    """Return the configuration with every loss's weight written out.

    Parameters
    ----------
    config
        Of the training; it is not changed.
    """
    losses = {name: replace(loss, weight=default_weight(name, loss)) for name, loss in config.losses.items()}
    return replace(config, losses=losses)


def uses_clips(config: TrainConfig) -> list[str]:
    """Return the names of the configured losses that need unlabeled video.

    Parameters
    ----------
    config
        Of the training; unknown names are passed over.
    """
    return [name for name in config.losses if name in LOSSES and not isinstance(LOSSES[name], LabelRow)]
