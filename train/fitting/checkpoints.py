"""Checkpoints: written beside the old one and then put in its place; read back by a run that is resumed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from rt_pose.errors import UserError, nearest
from train.config import LossConfig, TrainConfig
from train.data.labels import LabeledFrames
from train.fitting.job import Job
from train.models.weights import read_problem

BEST, LAST = "best", "last"
BELONGS = "rt_pose"
"""Under this a checkpoint says what it belongs to."""
_MAY_CHANGE = ("data", "out", "resume", "patience", "threads", "device")
"""Of a configuration, between an interrupted run and the one that resumes it."""


_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")
"""Of what a `ModelCheckpoint` remembers, what holds a file's path."""


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all."""

    def __init__(self, resumable: Callable[[], bool]) -> None:
        """Keep a function that says whether this training has a checkpoint from which it can be resumed."""
        super().__init__()
        self._resumable = resumable

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """See `CheckpointIO.save_checkpoint`. Writes beside `path`, then renames.

        Raises
        ------
        UserError
            Where the disk refuses; the old file stays.
        TypeError
            Where storage options are given: checkpoints are local files.
        """
        if storage_options is not None:
            raise TypeError("checkpoints are local files: there are no storage options")
        target = Path(path)
        beside = target.with_name(target.name + ".part")
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        except OSError as error:
            beside.unlink(missing_ok=True)
            then = "the earlier one is intact: make room, then resume with `--resume true`"
            raise UserError(
                f"checkpoint {target}: cannot be written ({buffer.tell() / 2**20:.0f} MiB): "
                f"{error.strerror}; {then if self._resumable() else 'make room and start again'}"
            ) from error


class MovableCheckpoint(ModelCheckpoint):
    """Keeps its best score when its folder was moved since: Lightning's own would forget it."""

    @property
    def state_key(self) -> str:
        """Under which its state lies in a checkpoint: the one that Lightning's own class has."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `ModelCheckpoint.load_state_dict`. What lay in the old folder is in the present one."""

        def moved(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        here = {key: moved(state_dict[key]) for key in _PATHS if key in state_dict}
        best = {moved(path): score for path, score in state_dict.get("best_k_models", {}).items()}
        super().load_state_dict(state_dict | here | {"best_k_models": best, "dirpath": self.dirpath})


class ProvenanceCallback(lightning.Callback):
    """Keeps in every checkpoint what it belongs to, and the random states; restores those."""

    def __init__(self, job: Job) -> None:
        self._belongs = {
            "keypoints": job.frames.keypoints,
            "settings": json.dumps(lasting_settings(job.config)),
            "labels": fingerprint(job.train),
            "pseudo": _pseudo(job),
        }
        self._random: dict[str, Any] | None = None

    def on_save_checkpoint(
        self, _trainer: lightning.Trainer, _module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """See `Callback.on_save_checkpoint`."""
        checkpoint[BELONGS] = self._belongs | {"random": random_states()}

    def on_load_checkpoint(
        self, _trainer: lightning.Trainer, _module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """See `Callback.on_load_checkpoint`."""
        self._random = checkpoint[BELONGS]["random"]

    def on_train_start(self, _trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """See `Callback.on_train_start`."""
        if self._random is not None:
            restore_random(self._random)


def step_to_resume(path: Path, job: Job) -> int:
    """Return the step of a checkpoint, if this training can be resumed from it.

    Parameters
    ----------
    path
        The checkpoint.
    job
        This training.

    Returns
    -------
    int
        Number of steps done.

    Raises
    ------
    UserError
        Where the checkpoint cannot be read, or belongs to another training; with every difference.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for what is none
        raise UserError(
            f"checkpoint {path}: cannot be read: {read_problem(error)}; remove it to start again"
        ) from error
    known = checkpoint.get(BELONGS)
    if known is None:
        raise UserError(f"checkpoint {path}: it does not say what it belongs to; remove it to start again")
    problems = skeleton_differences(known["keypoints"], job.frames.keypoints)
    if not problems and known["labels"] != fingerprint(job.train):
        problems = ["the labels or images have changed since"]
    if known.get("pseudo", "") != _pseudo(job):
        problems.append("the pseudo-labels are others, or have come or gone since")
    problems += setting_differences(json.loads(known["settings"]), lasting_settings(job.config))
    if problems:
        listed = "\n  ".join(problems)
        raise UserError(
            f"checkpoint {path}: it belongs to another training, so this one cannot resume from it:\n"
            f"  {listed}\nundo the change, or give another --out, or `--resume false` to start again"
        )
    return int(checkpoint["global_step"])


def is_resumable(path: Path, job: Job) -> bool:
    """Whether there is a checkpoint and it is this training's: a folder may hold what another training left.

    Parameters
    ----------
    path
        Where the checkpoint would be.
    job
        This training.
    """
    if not path.is_file():
        return False
    try:
        step_to_resume(path, job)
    except UserError:
        return False
    return True


def _pseudo(job: Job) -> str:
    return job.pseudo.fingerprint() if job.pseudo else ""


def fingerprint(frames: LabeledFrames) -> str:
    """Return a hash of labels and the images' names, in their order.

    Parameters
    ----------
    frames
        The labeled frames.
    """
    digest = hashlib.sha256("\n".join(frames.names).encode())
    digest.update(np.ascontiguousarray(frames.xy).tobytes())
    return digest.hexdigest()


def random_states() -> dict[str, Any]:
    """Return the states of torch's, numpy's and Python's own generators, as plain types and tensors."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        # Of this process's GPU alone: asking for the others' would open each of them here as well.
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "python": list(random.getstate()),
    }


def restore_random(states: dict[str, Any]) -> None:
    """Restore the states of the random generators.

    Parameters
    ----------
    states
        What `random_states` returned; the GPU's is passed over where there is none.
    """
    torch.set_rng_state(states["torch"].cpu())
    # A training may go on where there are fewer GPUs, or none.
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0].cpu())
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))
    version, inner, gauss = states["python"]
    random.setstate((version, tuple(inner), gauss))


def lasting_settings(config: TrainConfig) -> dict[str, Any]:
    """Return the settings that a resumed training must share, as plain values.

    Parameters
    ----------
    config
        Of the training.
    """
    return {key: value for key, value in asdict(config).items() if key not in _MAY_CHANGE}


def with_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Add to settings of an older version those that it lacks: a training had their defaults then.

    Parameters
    ----------
    settings
        Settings as they were written.

    Returns
    -------
    dict of str to Any
        A new mapping.
    """
    defaults = lasting_settings(TrainConfig())
    whole = defaults | settings
    for part in ("network", "augment", "optimiser"):
        whole[part] = defaults[part] | whole[part]
    whole["losses"] = {name: asdict(LossConfig()) | loss for name, loss in whole["losses"].items()}
    return whole


def skeleton_differences(there: list[str], here: list[str]) -> list[str]:
    """Describe how a checkpoint's keypoints differ from those of the labels.

    Parameters
    ----------
    there, here
        Names of the checkpoint's keypoints and of the labels', in order.

    Returns
    -------
    list of str
        Sentences for the user; empty where they are the same.
    """
    if there == here:
        return []
    if sorted(there) == sorted(here):
        return [f"its keypoints are in another order: {', '.join(there)}"]
    missing = [f"'{name}'{nearest(name, here)}" for name in there if name not in here]
    added = [f"'{name}'" for name in here if name not in there]
    notes = [f"its {len(there)} keypoints are not the {len(here)} of these labels"]
    if missing:
        notes.append(
            f"the labels lack {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else "")
        )
    if added:
        notes.append(f"it does not know {', '.join(added[:5])}")
    return notes


def setting_differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Describe each setting that differs from what a training was made with.

    Parameters
    ----------
    there, here
        The training's settings, as they were written, and those of the configuration.

    Returns
    -------
    list of str
        Sentences for the user; empty where nothing differs.
    """
    notes = []
    there = with_defaults(there)
    for key in sorted({*there, *here}):
        old, new = there.get(key), here.get(key)
        if old != new:
            notes.append(f"{key}: it was trained with {old}, the configuration says {new}")
    return notes
