"""The training itself: Lightning's trainer around a tracker, its checkpoints, and how it may end."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from rt_pose.errors import UserError
from rt_pose.inference.gpu.device import is_out_of_memory
from rt_pose.package import InputSpec
from train.config import TrainConfig
from train.data.batches import TrainingBatches, ValidationBatches
from train.data.labels import LabeledFrames
from train.data.pseudo import Pseudo
from train.data.steps import StepBatches
from train.fitting.checkpoints import BEST, LAST, AtomicCheckpoints, ProvenanceCallback, is_resumable
from train.fitting.memory import keep_freed_memory
from train.fitting.mixed_precision import disable_tf32, trainer_precision
from train.fitting.pictures import Pictures
from train.fitting.pose_module import MONITORED, SEEN, PoseModule
from train.fitting.progress import TrainingProgress
from train.fitting.unlabeled import Unlabeled
from train.support.distributed import distributed_settings, kill_other_ranks_on_failure, rank
from train.support.interrupts import StopOnCtrlC

LOG_EVERY = 10
"""Steps between the losses written for TensorBoard."""
_EXPECTED_WARNINGS = (
    # Frames come from memory through DALI: there are no loader processes to add.
    ".*does not have many workers.*",
    # A run that writes where an earlier one wrote replaces its best checkpoint.
    ".*Checkpoint directory .* exists and is not empty.*",
    # Lightning asks torch in a way that torch will drop.
    ".*isinstance.treespec, LeafSpec.*",
    # A run that goes on is handed batches that begin at its step: they need no state of their own.
    ".*your dataloader is not resumable.*",
)


@dataclass
class TrainingRun:
    """What a training runs on."""

    config: TrainConfig
    out: Path
    train: LabeledFrames
    validation: LabeledFrames
    spec: InputSpec
    unlabeled: Unlabeled
    start: int
    """The step to begin at; after the first one, from `out`'s last checkpoint."""
    pseudo: Pseudo | None = None
    """Pseudo-labeled frames to learn from beside the labeled ones."""

    @property
    def watched(self) -> LabeledFrames:
        """The frames by which one sees how it goes: those kept back, else those that train."""
        return self.validation if self.config.keeps_back else self.train

    @property
    def last(self) -> Path:
        """Where its last checkpoint is to lie; or, until it has one, an earlier training's."""
        return self.out / "checkpoints" / f"{LAST}.ckpt"

    def resumable(self) -> bool:
        """Whether there is a checkpoint from which it can go on."""
        return is_resumable(self.last, self.config, self.train, self.pseudo)


@dataclass
class TrainingEnd:
    """How a training ended."""

    best: Path | None
    """Its best checkpoint, its last where no frames are kept back; None where it ended before the first."""
    step: int
    why: str | None
    """Why it ended early, in words; None where it ran to its end."""


def train(run: TrainingRun, module: PoseModule) -> TrainingEnd:
    """Train. UserError where a checkpoint cannot be written, or a GPU's memory runs out."""
    config = run.config
    keep_freed_memory()
    # Where no frames are kept back the latest is taken for the best.
    checkpoints = _checkpoint(run, BEST, *((MONITORED, "min") if config.keeps_back else ("step", "max")))
    patience, stop = _Patience(config.patience), StopOnCtrlC()
    callbacks = [
        *([patience] if config.patience else []),
        *([] if rank(config) else [TrainingProgress()]),
        Pictures(run.watched, "validation" if config.keeps_back else SEEN),
        stop,
        ProvenanceCallback(config, run.train, run.pseudo),
        checkpoints,
        _checkpoint(run, LAST, None),
    ]
    with _quiet_lightning():
        trainer = lightning.Trainer(
            accelerator=config.device,
            precision=trainer_precision(config.precision),
            **distributed_settings(config),
            max_epochs=1,
            max_steps=config.steps,
            val_check_interval=config.validate_every,
            num_sanity_val_steps=0,
            log_every_n_steps=min(LOG_EVERY, config.steps),
            logger=TensorBoardLogger(run.out / "tensorboard", name=""),
            callbacks=callbacks,
            plugins=[AtomicCheckpoints(run.resumable)],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        notes = _explain_full_gpu(trainer, run)
        with stop.listening(config.devices > 1), notes, kill_other_ranks_on_failure(trainer), disable_tf32():
            trainer.fit(
                module,
                _batches(run),
                ValidationBatches(run.watched, run.spec, config.batch_size),
                ckpt_path=run.last if run.start else None,
                weights_only=True,
            )
    best = checkpoints.best_model_path
    return TrainingEnd(Path(best) if best else None, trainer.global_step, "" if stop.asked else patience.why)


def _batches(run: TrainingRun) -> StepBatches:
    config = run.config
    labeled = TrainingBatches(
        run.train,
        run.spec,
        config.augment,
        config.batch_size,
        config.steps,
        config.seed,
        threads=2,
        pseudo=run.pseudo,
        rank=rank(config),
        ranks=config.devices,
    )
    clips = run.unlabeled.clips(config, run.spec, run.start)
    return StepBatches(labeled, clips, run.unlabeled.terms.first_clip_step, run.start)


def _checkpoint(run: TrainingRun, name: str, monitor: str | None, mode: str = "min") -> ModelCheckpoint:
    """The best by what is monitored, or after each validation the latest."""
    return ModelCheckpoint(
        run.out / "checkpoints", name, monitor=monitor, mode=mode, enable_version_counter=False
    )


class _Patience(EarlyStopping):
    """Ends a training that gets no better; one that goes on after that ends at once."""

    def __init__(self, validations: int) -> None:
        super().__init__(MONITORED, patience=max(validations, 1), mode="min", check_finite=False)

    @property
    def why(self) -> str | None:
        """In words, where it ended the training."""
        if self.wait_count < self.patience:
            return None
        return f": {self.patience} validations brought nothing better"

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """All but the patience itself: it may change between a run and the one that goes on."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_train_start(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        if self.why:
            trainer.should_stop = True


@contextmanager
def _explain_full_gpu(trainer: lightning.Trainer, run: TrainingRun) -> Iterator[None]:
    """Within it running out of the GPU's memory is a UserError that says what to change and what is kept."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        messages = is_out_of_memory(error) if run.config.device == "gpu" else None
        if messages is None:
            raise
        whole = f"{run.last} is intact: resume from it with `--resume true`"
        raise UserError(
            f"the GPU's memory ran out at step {trainer.global_step} ({messages}); lower "
            "`batch_size`, `clip_length` or the network's size, or set `precision: bf16`; "
            + (whole if run.resumable() else "then start again")
        ) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's hints about hardware and loaders; its real warnings come through."""
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
