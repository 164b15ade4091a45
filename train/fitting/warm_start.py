"""Fine-tuning: a training that starts with the whole network of an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.package import read_package
from train.data.split import how_seen, trained_names
from train.fitting.checkpoints import BELONGS, BEST, skeleton_differences
from train.models.network import PoseNetwork
from train.models.weights import read_problem

PREFIX = "network."
"""Before the network's own names in a checkpoint, which is the Lightning module's."""
LISTED = 5
CHECKPOINTS = "checkpoints"
"""The folder of them in a training's own."""


def find_checkpoint(given: str) -> Path:
    """Return the checkpoint that `init_from` names.

    Parameters
    ----------
    given
        A checkpoint, or a training's folder, of which the best one is taken.

    Raises
    ------
    UserError
        Where there is no such checkpoint.
    """
    path = Path(given).expanduser()
    checkpoint = _best_of(path) if path.is_dir() else path
    if not checkpoint.is_file():
        raise UserError(
            f"init_from: no checkpoint {checkpoint}; name a folder that `rt-pose train fit` wrote, with its "
            "checkpoints, or one of those"
        )
    return checkpoint


def checkpoint_of(package: Path) -> Path | None:
    """Return the checkpoint that a package was exported from, if it still lies beside it.

    Parameters
    ----------
    package
        Folder of the package.

    Returns
    -------
    Path or None
        The best checkpoint of the training's folder; None where it is gone.
    """
    checkpoint = _best_of(package.parent)
    return checkpoint if checkpoint.is_file() else None


def name_of(given: str) -> str:
    """Return a name for what `init_from` names that makes sense on another machine.

    Parameters
    ----------
    given
        As configured; empty: nothing.

    Returns
    -------
    str
        Name of the earlier training's folder, or of a checkpoint that lies by itself; empty for nothing.
    """
    if not given:
        return ""
    path = Path(given).expanduser().resolve()
    in_training = path.parent.name == CHECKPOINTS and not path.is_dir()
    return path.parent.parent.name if in_training else path.name


def warm_start(network: PoseNetwork, keypoints: list[str], given: str) -> Path:
    """Load an earlier training's weights into a network.

    Parameters
    ----------
    network
        Changed in place.
    keypoints
        Names of the K keypoints of this training.
    given
        `init_from` as configured.

    Returns
    -------
    Path
        The checkpoint that the weights came from.

    Raises
    ------
    UserError
        Where it is no checkpoint of `rt-pose train`, knows other keypoints or is of another network.
    """
    path = find_checkpoint(given)
    checkpoint = _read(path)
    problems = skeleton_differences(checkpoint[BELONGS]["keypoints"], keypoints)
    found = {
        name.removeprefix(PREFIX): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(PREFIX)
    }
    problems += _different_network(network.state_dict(), found)
    if problems:
        listed = "\n  ".join(problems)
        raise UserError(
            f"init_from {path}: this training cannot begin as that network:\n  {listed}\n"
            f"for its backbone alone set `network.weights: {path}`"
        )
    network.load_state_dict(found)
    return path


def seen_before(checkpoint: Path, validation: list[str]) -> str:
    """Describe which frames that validate here the earlier network has trained on, or may have.

    Parameters
    ----------
    checkpoint
        The earlier network's.
    validation
        Paths of the images that validate.

    Returns
    -------
    str
        A sentence for the user; empty where there are none.
    """
    training = _settings_beside(checkpoint)
    seen = trained_names(training, validation)
    if seen is None:
        return (
            f"{checkpoint} does not say which frames it kept back: if it has trained on some that validate "
            "here, the error on them will be too small"
        )
    if not seen:
        return ""
    return (
        f"init_from: that network {how_seen(training)} {len(seen)} of the {len(validation)} frames that are "
        f"kept back here ({seen[0]}): the error on them is then too small"
    )


def trained_before(checkpoint: Path) -> list[str]:
    """Return the frames that the earlier network has trained on, as far as its package says.

    Parameters
    ----------
    checkpoint
        The earlier network's.
    """
    return list(_settings_beside(checkpoint).get("trained_on", []))


def _settings_beside(checkpoint: Path) -> Mapping[str, Any]:
    """Return what the package beside a checkpoint says of its training.

    Nothing where there is no whole package: the network itself is in the checkpoint.
    """
    try:
        return read_package(checkpoint.parent.parent / "package").manifest.training
    except UserError:
        return {}


def _best_of(folder: Path) -> Path:
    """Where a training's folder has its best checkpoint."""
    return folder / CHECKPOINTS / f"{BEST}.ckpt"


def _read(path: Path) -> dict[str, Any]:
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for what is none
        raise UserError(f"init_from {path}: cannot be read: {read_problem(error)}") from error
    if not isinstance(held, dict) or BELONGS not in held or "state_dict" not in held:
        raise UserError(
            f"init_from {path}: it is no checkpoint of `rt-pose train`; for a backbone's weights set "
            "`network.weights`"
        )
    return held


def _different_network(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Describe where two networks' weights differ, the first few."""
    problems = []
    for name in sorted({*own, *given}):
        here, there = own.get(name), given.get(name)
        if here is None or there is None:
            problems.append(f"{name}: only {'the network here' if there is None else 'that one'} has it")
        elif here.shape != there.shape:
            problems.append(f"{name}: expected the shape {tuple(here.shape)}, it has {tuple(there.shape)}")
    more = [f"... and {len(problems) - LISTED} more weights"] if len(problems) > LISTED else []
    return problems[:LISTED] + more
