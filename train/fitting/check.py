"""Contradictions in a training's configuration, found before anything is read or built."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

from rt_pose.errors import UserError, nearest
from train.config import AugmentConfig, LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.fitting.warm_start import find_checkpoint
from train.losses import LOSSES, LabelRow, ViewsRow
from train.losses.terms import RAMP, START, uses_clips
from train.models.backbones import BACKBONES

MOST_CONTEXT = 16
"""Past frames; what lies further back is the filter's business."""


def check(config: TrainConfig) -> None:
    """Check everything in a configuration that can be checked without the data.

    Parameters
    ----------
    config
        Of the training.

    Raises
    ------
    UserError
        With every contradiction that is found.
    """
    problems = [
        *_check_network(config.network),
        *_check_init_from(config),
        *_check_schedule(config),
        *_check_optimiser(config.optimiser),
        *_check_augment(config.augment),
        *_check_losses(config),
    ]
    problems += _check_gpu(config)
    if config.augment.flip and config.views:
        problems.append(
            "augment.flip: images that hold several views (`views`) cannot be mirrored: each view would "
            "stand in another's place; set `augment.flip: 0`"
        )
    if config.threads < 0:
        problems.append(f"threads: expected 0 or more, got {config.threads}")
    for bone in config.skeleton:
        if len(bone) != 2:
            problems.append(f"skeleton: expected pairs of keypoint names, got {bone}")
    if problems:
        raise UserError("the training configuration cannot be used:\n  " + "\n  ".join(problems))


def _check_gpu(config: TrainConfig) -> list[str]:
    """Check settings that need a GPU, and that the batch can be divided among the GPUs."""
    problems = []
    if config.device == "cpu" and config.precision != "float32":
        problems.append(f"precision: {config.precision} needs `device: gpu`; set `precision: float32`")
    if config.device == "cpu" and config.decoder == "nvdec":
        problems.append("decoder: nvdec is the GPU's own, so it needs `device: gpu`; set `decoder: pyav`")
    if config.device == "cpu" and config.devices != 1:
        problems.append(f"devices: {config.devices} are GPUs, so they need `device: gpu`; set `devices: 1`")
    elif config.devices < 1 or config.batch_size % config.devices:
        problems.append(
            f"devices: expected 1 or more, each with a whole share of the batch ({config.batch_size} frames)"
            f", got {config.devices}"
        )
    return problems


def _check_losses(config: TrainConfig) -> list[str]:
    problems = []
    for name, loss in config.losses.items():
        problems += _check_loss(name, loss)
    on_labels = [name for name, row in LOSSES.items() if isinstance(row, LabelRow)]
    if not set(config.losses) & set(on_labels):
        problems.append(
            f"losses: expected at least one of {', '.join(on_labels)}, got "
            f"{', '.join(config.losses) or 'none'}: without labels nothing says where a keypoint is"
        )
    on_clips = uses_clips(config)
    if on_clips and not config.videos:
        problems.append(
            f"losses.{on_clips[0]}: it works on unlabeled video, and `videos` names none; give files, or a "
            "folder of them, as in `videos: [videos]`"
        )
    if config.videos and not on_clips:
        names = [name for name, row in LOSSES.items() if not isinstance(row, LabelRow)]
        problems.append(f"videos: no loss works on them; add one of {', '.join(names)} to `losses`")
    if on_clips and config.clip_length <= config.network.context:
        problems.append(
            f"clip_length: expected more than the {config.network.context} past frames of network.context, "
            f"got {config.clip_length}: no frame of a clip would have a whole past"
        )
    if config.clip_length < 2:
        problems.append(f"clip_length: expected at least 2, got {config.clip_length}")
    for names in config.views:
        if len(set(names)) < 2 or len(names) != len(config.views[0]):
            problems.append(f"views: expected lists of as many keypoints as there are views, got {names}")
    return problems


def _check_loss(name: str, loss: LossConfig) -> list[str]:
    if name not in LOSSES:
        return [f"losses.{name}: there is no such loss{nearest(name, LOSSES)}"]
    problems = []
    given = {key: value for key, value in vars(loss).items() if value is not None and key != "weight"}
    heeded = LOSSES[name].settings
    for key in given:
        if key not in heeded:
            takes = ", ".join(("weight", *heeded))
            problems.append(f"losses.{name}.{key}: {name} takes no such setting; it takes {takes}")
    if loss.weight is not None and not 0 < loss.weight < math.inf:
        problems.append(f"losses.{name}.weight: expected more than 0, got {loss.weight}")
    if loss.eps is not None and not 0 <= loss.eps < math.inf:
        problems.append(f"losses.{name}.eps: expected 0 or more px, got {loss.eps}")
    for key in ("min_confidence", "start", "ramp"):
        if key in given and not 0 <= given[key] <= 1:
            problems.append(f"losses.{name}.{key}: expected a share between 0 and 1, got {given[key]}")
    if loss.variance is not None and not 0 < loss.variance < 1:
        problems.append(f"losses.{name}.variance: expected a share between 0 and 1, got {loss.variance}")
    if isinstance(LOSSES[name], ViewsRow) and not loss.calibration:
        problems.append(
            f"losses.{name}.calibration: it holds calibrated cameras against each other; name their "
            "calibration, a file in the data folder, as in `calibration: calibration.toml`"
        )
    if loss.frames is not None and loss.frames < 1:
        problems.append(f"losses.{name}.frames: expected 1 or more, got {loss.frames}")
    start, ramp = given.get("start", START), given.get("ramp", RAMP)
    if start + ramp > 1:
        problems.append(
            f"losses.{name}: start ({start:g}) and ramp ({ramp:g}) are shares of all steps and add up to "
            "more than 1: the loss would never have its whole weight"
        )
    return problems


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
    if not 0 <= network.context <= MOST_CONTEXT:
        problems.append(f"network.context: expected 0 to {MOST_CONTEXT} past frames, got {network.context}")
    return problems


def _check_init_from(config: TrainConfig) -> list[str]:
    if not config.init_from:
        return []
    try:
        find_checkpoint(config.init_from)
    except UserError as error:
        return [str(error)]
    return []


def _check_schedule(config: TrainConfig) -> list[str]:
    problems = []
    for name in ("steps", "batch_size", "validate_every"):
        if getattr(config, name) < 1:
            problems.append(f"{name}: expected at least 1, got {getattr(config, name)}")
    if config.patience < 0:
        problems.append(f"patience: expected 0 or more, got {config.patience}")
    if min(config.steps, config.validate_every) > 0 and config.steps % config.validate_every:
        fit = max(round(config.steps / config.validate_every), 1) * config.validate_every
        problems.append(
            f"steps: expected a multiple of validate_every ({config.validate_every}), got {config.steps}; "
            f"try {fit}"
        )
    if not 0 <= config.validation_fraction < 1:
        problems.append(
            f"validation_fraction: expected a share from 0 to below 1, got {config.validation_fraction}"
        )
    if config.patience and not config.keeps_back:
        problems.append(
            "patience: with `validation_fraction: 0` no frame is kept back to see by whether it gets better; "
            "give one of them up"
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
    if augment.flip > 1:
        problems.append(f"augment.flip: expected a share between 0 and 1, got {augment.flip}")
    for name in ("brightness", "contrast", "erase"):
        if getattr(augment, name) >= 1:
            problems.append(f"augment.{name}: expected less than 1, got {getattr(augment, name)}")
    return problems
