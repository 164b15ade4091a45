"""Lightning Pose's own example as so many training steps on a fold's frames."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from bench.accuracy.cells import HEADER_ROWS
from bench.training.cases import CASES, peer_configuration
from rt_pose.errors import UserError
from train.data.split import split_frames

LABELS, TRAIN_LABELS = "CollectedData.csv", "train.csv"
TRAINING_FRAMES, SIZE = 60, 256
"""Training frames of a fold; side of the network's input, px."""
EXAMPLE_EPOCHS = 300
EXAMPLE_MILESTONES = (150, 200, 250)
EXAMPLE_ANNEAL = 0.01
"""Its example's schedule: epochs, those at which the rate falls, and what the weight of the losses on clips
grows by in each. Of fewer epochs it takes the same shares."""
EPOCH_BATCHES = {False: -(-TRAINING_FRAMES // CASES["resnet18"].batch), True: 10}
"""Steps of an epoch, supervised and semi-supervised: its program takes at least ten where there are clips."""


def schedule(epochs: int) -> dict[str, Any]:
    """Shorten the example's schedule.

    A backbone with random weights learns from the first step on; that of the example stands still at first.

    Parameters
    ----------
    epochs
        Of the training.

    Returns
    -------
    dict[str, Any]
        What its configuration says of epochs, and `anneal`, by which the weight of losses on clips grows.
    """
    share = epochs / EXAMPLE_EPOCHS
    return {
        "min_epochs": epochs,
        "max_epochs": epochs,
        # One validation, at the end: no checkpoint is chosen.
        "check_val_every_n_epoch": epochs,
        "unfreezing_epoch": 0,
        "milestones": [round(epoch * share) for epoch in EXAMPLE_MILESTONES],
        "anneal": EXAMPLE_ANNEAL / share,
    }


def their_configuration(
    data: Path, video: Path, keypoints: list[str], semi: bool, steps: int
) -> dict[str, Any]:
    """Make Lightning Pose's configuration: its example's, for so many steps.

    Parameters
    ----------
    data
        Folder of its data.
    video
        The unlabeled video; its folder holds no other.
    keypoints
        Names, in the order of the labels file.
    semi
        Whether it has its losses on clips.
    steps
        How many; whole epochs.

    Returns
    -------
    dict[str, Any]
        The configuration, as plain values.

    Raises
    ------
    UserError
        Where the steps are no whole epochs.
    """
    epochs, rest = divmod(steps, EPOCH_BATCHES[semi])
    if rest or not epochs:
        raise UserError(f"--steps {steps}: expected a multiple of {EPOCH_BATCHES[semi]}, its epoch's steps")
    found = peer_configuration(CASES["resnet18-semi" if semi else "resnet18"], str(data), SIZE, keypoints)
    plan = schedule(epochs)
    found["data"] |= {"csv_file": TRAIN_LABELS, "video_dir": str(video.parent)}
    found["training"]["lr_scheduler_params"]["multisteplr"]["milestones"] = plan.pop("milestones")
    anneal = plan.pop("anneal")
    found["training"] |= plan | {"log_every_n_steps": 1, "early_stopping": False}
    found["model"]["model_name"] = "headtohead"
    found["dali"]["general"] = {"seed": 123456}
    found["dali"]["base"]["predict"] = {"sequence_length": 64}
    found["dali"]["context"]["predict"] = {"sequence_length": 64}
    found["callbacks"] = {
        "anneal_weight": {
            "attr_name": "total_unsupervised_importance",
            "init_val": 0.0,
            "increase_factor": anneal,
            "final_val": 1.0,
            "freeze_until_epoch": 0,
        }
    }
    found["eval"] = {
        "predict_vids_after_training": False,
        "save_vids_after_training": False,
        "test_videos_directory": str(video.parent),
        "confidence_thresh_for_vid": 0.9,
        "hydra_paths": [],
    }
    return found


def write_training_labels(data: Path) -> Path:
    """Write the labels file of the training frames alone.

    Parameters
    ----------
    data
        The fold's data folder, with its split.

    Returns
    -------
    Path
        The file.
    """
    with (data / LABELS).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    names = [row[0].replace("\\", "/") for row in rows[HEADER_ROWS:]]
    kept = split_frames(data, names, 0.0, 0).train
    path = data / TRAIN_LABELS
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [*rows[:HEADER_ROWS], *(rows[HEADER_ROWS + i] for i in kept)]
        )
    return path
