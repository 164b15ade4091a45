"""The training itself: Lightning's trainer around a pose module, its checkpoints, and how it may end."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import TensorBoardLogger

from rt_pose.errors import UserError
from rt_pose.inference.gpu.device import is_out_of_memory
from train.data.batches import TrainingBatches, ValidationBatches
from train.data.steps import StepBatches
from train.fitting.checkpoints import (
    BEST,
    LAST,
    AtomicCheckpoints,
    MovableCheckpoint,
    ProvenanceCallback,
    is_resumable,
)
from train.fitting.job import Job
from train.fitting.memory import keep_freed_memory
from train.fitting.mixed_precision import disable_tf32, trainer_precision
from train.fitting.pictures import Pictures
from train.fitting.pose_module import MONITORED, SEEN, NotFiniteError, PoseModule
from train.fitting.progress import TrainingProgress
from train.support.distributed import distributed_settings, kill_other_ranks_on_failure, rank
from train.support.interrupts import StopOnSignal

LOG_EVERY = 10
"""Steps between the losses written for TensorBoard."""
_EXPECTED_WARNINGS = (
    # Frames come from memory through DALI: there are no loader processes to add.
    ".*does not have many workers.*",
    # A run that writes where an earlier one wrote replaces its best checkpoint.
    ".*Checkpoint directory .* exists and is not empty.*",
    # Lightning asks torch in a way that torch will drop.
    ".*isinstance.treespec, LeafSpec.*",
    # A training on the login node of a cluster is meant to run there.
    ".*`srun` command is available on your system.*",
    # A resumed run is given batches that start at its step: they need no state of their own.
    ".*your dataloader is not resumable.*",
)


@dataclass
class TrainingEnd:
    """How a training ended."""

    best: Path | None
    """Its best checkpoint, its last where no frames are kept back; None where it ended before the first."""
    step: int
    why: str | None
    """Why it ended early, as a phrase; None where it ran to its end."""
    fault: str = ""
    """What made it impossible to go on; then `best` is what was good until then."""


def train(job: Job, out: Path, start: int, module: PoseModule) -> TrainingEnd:
    """Train the network of a module.

    Parameters
    ----------
    job
        The prepared training.
    out
        Folder to write checkpoints and logs to.
    start
        Step to start at; after the first one, from `out`'s last checkpoint.
    module
        Changed in place: afterwards it holds the weights of the last step.

    Returns
    -------
    TrainingEnd
        The best checkpoint, and why the training ended early, if it did.

    Raises
    ------
    UserError
        Where a checkpoint cannot be written, or where a GPU's memory runs out.
    """
    config, last = job.config, out / "checkpoints" / f"{LAST}.ckpt"
    keep_freed_memory()
    # Where no frames are kept back the latest is taken for the best.
    checkpoints = _checkpoint(out, BEST, *((MONITORED, "min") if config.keeps_back else ("step", "max")))
    patience, stop = _Patience(config.patience), StopOnSignal()
    with _quiet_lightning():
        trainer = _trainer(job, out, last, [*_callbacks(job, patience, stop), checkpoints])
        fault = _fit(trainer, module, job, start, last, stop)
    best = checkpoints.best_model_path
    why = "" if stop.asked else patience.why
    return TrainingEnd(Path(best) if best else None, trainer.global_step, why, fault)


def _callbacks(job: Job, patience: _Patience, stop: StopOnSignal) -> list[lightning.Callback]:
    """What watches the training, but for the checkpoints."""
    config = job.config
    return [
        *([patience] if config.patience else []),
        *([] if rank(config) else [TrainingProgress()]),
        Pictures(job.watched, "validation" if config.keeps_back else SEEN),
        stop,
        ProvenanceCallback(job),
    ]


def _trainer(job: Job, out: Path, last: Path, callbacks: list[lightning.Callback]) -> lightning.Trainer:
    """Lightning's trainer as the configuration wants it; it keeps the last step as well."""
    config = job.config
    return lightning.Trainer(
        accelerator=config.device,
        precision=trainer_precision(config.precision),
        **distributed_settings(config),
        max_epochs=1,
        max_steps=config.steps,
        val_check_interval=config.validate_every,
        num_sanity_val_steps=0,
        log_every_n_steps=min(LOG_EVERY, config.steps),
        logger=TensorBoardLogger(out / "tensorboard", name=""),
        callbacks=[*callbacks, _checkpoint(out, LAST, None)],
        plugins=[AtomicCheckpoints(partial(is_resumable, last, job))],
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _fit(
    trainer: lightning.Trainer, module: PoseModule, job: Job, start: int, last: Path, stop: StopOnSignal
) -> str:
    """Run the trainer; return what made it impossible to go on, or nothing."""
    config, resumable = job.config, partial(is_resumable, last, job)
    notes = _explain_full_gpu(trainer, last, resumable) if config.device == "gpu" else nullcontext()
    try:
        with (
            stop.listening(config.devices > 1),
            notes,
            kill_other_ranks_on_failure(trainer),
            disable_tf32(),
        ):
            trainer.fit(
                module,
                batches(job, start),
                ValidationBatches(job.watched, job.spec, config.batch_size),
                ckpt_path=last if start else None,
                weights_only=True,
            )
    except NotFiniteError as error:
        return str(error)
    return ""


def batches(job: Job, start: int) -> StepBatches:
    """Return the batches of a training.

    Parameters
    ----------
    job
        The prepared training.
    start
        Step to start at.

    Returns
    -------
    StepBatches
        Labeled frames of every step from `start` on, and clips from the first step that needs one.
    """
    config = job.config
    labeled = TrainingBatches(
        job.train,
        job.spec,
        config.augment,
        config.batch_size,
        config.steps,
        config.seed,
        threads=2,
        pseudo=job.pseudo,
        rank=rank(config),
        ranks=config.devices,
    )
    clips = job.unlabeled.clips(config, job.spec, start)
    return StepBatches(labeled, clips, job.unlabeled.terms.first_clip_step, start)


def _checkpoint(out: Path, name: str, monitor: str | None, mode: str = "min") -> MovableCheckpoint:
    """The best by what is monitored, or after each validation the latest."""
    return MovableCheckpoint(
        out / "checkpoints", name, monitor=monitor, mode=mode, enable_version_counter=False
    )


class _Patience(EarlyStopping):
    """Ends a training that gets no better; one that is resumed after that ends at once."""

    def __init__(self, validations: int) -> None:
        super().__init__(MONITORED, patience=max(validations, 1), mode="min", check_finite=False)

    @property
    def why(self) -> str | None:
        """Why it ended the training; None where it did not."""
        if self.wait_count < self.patience:
            return None
        return f": {self.patience} validations brought nothing better"

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """All but the patience itself: it may change between a run and the one that resumes it."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_train_start(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        if self.why:
            trainer.should_stop = True


@contextmanager
def _explain_full_gpu(
    trainer: lightning.Trainer, last: Path, resumable: Callable[[], bool]
) -> Iterator[None]:
    """Turn running out of the GPU's memory into a UserError that says what to change and what is kept."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        messages = is_out_of_memory(error)
        if messages is None:
            raise
        whole = f"{last} is intact: resume from it with `--resume true`"
        raise UserError(
            f"the GPU's memory ran out at step {trainer.global_step} ({messages}); lower "
            "`batch_size`, `clip_length` or the network's size, or set `precision: bf16`; "
            + (whole if resumable() else "then start again")
        ) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's hints about hardware and loaders; its real warnings come through."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        logger.setLevel(level)
