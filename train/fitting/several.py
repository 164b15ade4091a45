"""What a training on several animals a frame needs of its configuration."""

from __future__ import annotations

from dataclasses import replace

from rt_pose.errors import UserError
from train.config import LossConfig, TrainConfig
from train.data.labels import LabeledFrames
from train.losses import LOSSES
from train.losses.terms import uses_clips

OFFSETS = "centre_offsets"
"""The loss by which keypoints learn to which animal they belong."""


def with_offsets(config: TrainConfig, frames: LabeledFrames) -> TrainConfig:
    """Add to a training on several animals the loss on offsets to their centres.

    Parameters
    ----------
    config
        Of the training, with every weight written out.
    frames
        Its labeled frames.

    Returns
    -------
    TrainConfig
        As it was for frames of one animal, or where it names the loss.

    Raises
    ------
    UserError
        Where a loss makes no sense for so many animals.
    """
    if not frames.several:
        if OFFSETS in config.losses:
            raise UserError(
                f"losses.{OFFSETS}: it groups the keypoints of several animals, and no frame of these labels "
                "holds more than one; leave it out"
            )
        return config
    if set(config.losses) == {OFFSETS, *uses_clips(config)}:
        raise UserError(
            f"losses: {OFFSETS} says to which animal a keypoint belongs, and nothing where it is; add "
            "heatmap_kl, heatmap_js or heatmap_mse"
        )
    if OFFSETS in config.losses:
        return config
    weight = LossConfig(weight=LOSSES[OFFSETS].weight)
    return replace(config, losses={**config.losses, OFFSETS: weight})
