"""One network of an ensemble: its settings, its training, and the record that it is done."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.offline.prediction_record import exclusive_lock
from rt_pose.package import read_package
from train.config import TrainConfig
from train.fitting.checkpoints import LAST, fingerprint, lasting_settings, setting_differences, step_to_resume
from train.fitting.fit import Interrupted, run
from train.fitting.inputs import prepare
from train.fitting.job import Job

_LOG = logging.getLogger(__name__)

RECORD = "done.json"
LOCK = ".training.lock"
State = Literal["done", "stale", "open"]
"""Done; made with other settings or labels; not done."""


@dataclass
class MemberRecord:
    """The file FOLDER/done.json, written when a member's package is."""

    settings: dict[str, Any]
    """All that make the training what it is."""
    labels: str
    """Fingerprint of labels, images' names and split."""


@dataclass(frozen=True)
class MemberTraining:
    """A seed, and the folder of what is trained with it."""

    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """Name of the member's folder."""
        return self.folder.name


def member_of(out: Path, seed: int) -> MemberTraining:
    """Return the member of an ensemble that belongs to a seed.

    Parameters
    ----------
    out
        Folder of the ensemble.
    seed
        Seed of the member.
    """
    return MemberTraining(seed, out / f"seed-{seed}")


def member_config(config: TrainConfig, seed: int) -> TrainConfig:
    """Return the ensemble's configuration with a member's seed.

    The split stays that of the ensemble's own seed: members that kept back different frames could not be
    compared on any, and together would have seen them all.

    Parameters
    ----------
    config
        Of the ensemble.
    seed
        Seed of the member.
    """
    split_seed = config.seed if config.split_seed is None else config.split_seed
    return replace(config, seed=seed, split_seed=split_seed)


def state(member: MemberTraining, job: Job) -> tuple[State, list[str]]:
    """Return whether a member is done.

    Parameters
    ----------
    member
        The member.
    job
        What is prepared of the ensemble's or any member's configuration.

    Returns
    -------
    state : str
        done, stale (done with something else) or open.
    differs : list of str
        Sentences that say what differs, where it is stale.
    """
    try:
        record = msgspec.json.decode((member.folder / RECORD).read_bytes(), type=MemberRecord)
        # Whole, though not as it was exported: calibrating and quantising rewrite it.
        read_package(member.folder / "package")
    except (OSError, msgspec.DecodeError, UserError):
        return "open", []
    differs = setting_differences(record.settings, lasting_settings(member_config(job.config, member.seed)))
    if record.labels != _labels(job):
        differs.append("the labels, images or split have changed since")
    return ("stale", differs) if differs else ("done", [])


def train_member(member: MemberTraining, config: TrainConfig) -> bool:
    """Train a member, from its last checkpoint where that belongs to this training.

    Parameters
    ----------
    member
        The member.
    config
        Of the ensemble.

    Returns
    -------
    bool
        Whether the training came to its end; False where Ctrl-C ended it.

    Raises
    ------
    UserError
        Where the member cannot be trained.
    """
    with exclusive_lock(member.folder, verb="rt-pose train fit", lock=LOCK):
        job = prepare(member_config(config, member.seed), None)
        if not config.resume:
            job = replace(job, config=replace(job.config, resume=_is_resumable_member(member, job)))
        (member.folder / RECORD).unlink(missing_ok=True)
        try:
            fitted = run(job, member.folder)
        except Interrupted as error:
            _LOG.info(str(error))
            return False
        if not fitted.interrupted:
            _write_record(member, job)
        return not fitted.interrupted


def _is_resumable_member(member: MemberTraining, job: Job) -> bool:
    last = member.folder / "checkpoints" / f"{LAST}.ckpt"
    if not last.is_file():
        return False
    try:
        step_to_resume(last, job)
    except UserError as error:
        _LOG.info(f"{str(error).splitlines()[0]} it starts again")
        return False
    return True


def _write_record(member: MemberTraining, job: Job) -> None:
    record = MemberRecord(lasting_settings(job.config), _labels(job))
    with atomic_writer(member.folder / RECORD) as file:
        file.write(msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n")


def _labels(job: Job) -> str:
    """Return a fingerprint of the labels and of how they are split."""
    in_order = np.concatenate([job.split.train, job.split.validation])
    return f"{fingerprint(job.frames.subset(in_order))}/{len(job.split.train)}"
