"""Contradictions in a training's configuration, found before anything is read or built."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

from rt_pose.errors import UserError, nearest
from train.config import AugmentConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.losses import LOSSES
from train.models.backbones import BACKBONES


def check(config: TrainConfig) -> None:
    """UserError with every contradiction that can be seen without the data."""
    problems = [
        *_check_network(config.network),
        *_check_schedule(config),
        *_check_optimiser(config.optimiser),
        *_check_augment(config.augment),
    ]
    for name, loss in config.losses.items():
        if name not in LOSSES:
            problems.append(f"losses.{name}: there is no such loss{nearest(name, LOSSES)}")
        if not 0 < loss.weight < math.inf:
            problems.append(f"losses.{name}.weight: expected more than 0, got {loss.weight}")
    if config.threads < 0:
        problems.append(f"threads: expected 0 or more, got {config.threads}")
    if not config.losses:
        problems.append(f"losses: expected at least one of {', '.join(LOSSES)}, got none")
    for bone in config.skeleton:
        if len(bone) != 2:
            problems.append(f"skeleton: expected pairs of keypoint names, got {bone}")
    if problems:
        raise UserError("the training configuration cannot be used:\n  " + "\n  ".join(problems))


def _check_network(network: NetworkConfig) -> list[str]:
    if network.backbone not in BACKBONES:
        return [
            f"network.backbone: there is no backbone '{network.backbone}'"
            f"{nearest(network.backbone, BACKBONES)}"
        ]
    stride = BACKBONES[network.backbone].stride
    problems = []
    for name, side in (("width", network.width), ("height", network.height)):
        if side < stride or side % stride:
            fit = max(round(side / stride), 1) * stride
            problems.append(
                f"network.{name}: expected a multiple of {stride} for the backbone {network.backbone}, "
                f"got {side}; try {fit}"
            )
    if network.weights and not Path(network.weights).is_file():
        problems.append(f"network.weights: no such file: {network.weights}")
    if network.head_width < 1:
        problems.append(f"network.head_width: expected at least 1, got {network.head_width}")
    return problems


def _check_schedule(config: TrainConfig) -> list[str]:
    problems = []
    for name in ("steps", "batch_size", "validate_every"):
        if getattr(config, name) < 1:
            problems.append(f"{name}: expected at least 1, got {getattr(config, name)}")
    if not problems and config.steps % config.validate_every:
        fit = max(round(config.steps / config.validate_every), 1) * config.validate_every
        problems.append(
            f"steps: expected a multiple of validate_every ({config.validate_every}), got {config.steps}; "
            f"try {fit}"
        )
    if not 0 < config.validation_fraction < 1:
        problems.append(
            f"validation_fraction: expected a share between 0 and 1, got {config.validation_fraction}"
        )
    return problems


def _check_optimiser(optimiser: OptimiserConfig) -> list[str]:
    problems = []
    for name in ("learning_rate", "backbone_factor", "gamma"):
        value = getattr(optimiser, name)
        if not 0 < value < math.inf:  # written so that NaN objects as well
            problems.append(f"optimiser.{name}: expected more than 0, got {value}")
    for name in ("freeze_backbone_steps", "warmup_steps"):
        if getattr(optimiser, name) < 0:
            problems.append(f"optimiser.{name}: expected 0 or more, got {getattr(optimiser, name)}")
    if any(not 0 < share < 1 for share in optimiser.milestones):
        problems.append(
            f"optimiser.milestones: expected shares of all steps, each between 0 and 1, got "
            f"{optimiser.milestones}"
        )
    return problems


def _check_augment(augment: AugmentConfig) -> list[str]:
    problems = []
    for name in (field.name for field in fields(augment)):
        value = getattr(augment, name)
        if not 0 <= value < math.inf:
            problems.append(f"augment.{name}: expected 0 or more, got {value}")
    for name in ("brightness", "contrast", "erase"):
        if getattr(augment, name) >= 1:
            problems.append(f"augment.{name}: expected less than 1, got {getattr(augment, name)}")
    return problems
