"""Training from labeled frames to a model package.

Everything the user wrote is checked before the first step: configuration, labels, images, split.
"""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from rt_pose.errors import UserError, nearest
from rt_pose.package import InputSpec
from train.check import check
from train.config import TrainConfig
from train.data.batches import TrainingBatches, ValidationBatches
from train.data.labels import LabeledFrames, read_labels
from train.data.split import Split, split_frames
from train.export import Trained, export
from train.models.backbones import starts_from
from train.models.tracker import MONITORED, PoseNetwork, Tracker, input_spec
from train.progress import Say, TrainingProgress

LOG_EVERY = 10
"""Steps between the losses written for TensorBoard."""
_EXPECTED_WARNINGS = (
    # Frames come from memory through DALI: there are no loader processes to add.
    ".*does not have many workers.*",
    # A run that writes where an earlier one wrote replaces its best checkpoint.
    ".*Checkpoint directory .* exists and is not empty.*",
    # Lightning asks torch in a way that torch will drop.
    ".*isinstance.treespec, LeafSpec.*",
)


@dataclass
class _Job:
    """What is known before the first step."""

    config: TrainConfig
    data: Path
    out: Path
    frames: LabeledFrames
    split: Split
    spec: InputSpec


def fit(config: TrainConfig, data: Path | None = None, out: Path | None = None, say: Say = print) -> Path:
    """Train, and write `out`/package, `out`/checkpoints and `out`/tensorboard; the package's folder.

    `data` and `out` take the place of the configuration's own. `say` is handed lines for the user. Ctrl-C
    ends the training early and exports the best checkpoint so far; a second one leaves at once. On the CPU
    the result is a function of configuration, data and number of threads. UserError before the first step
    where anything is wrong, and at the end where the network has learned too little to make a package.
    """
    job = _prepare(config, data, out, say)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    tracker = _tracker(job)
    best, stopped_at = _train(job, tracker, say)
    if stopped_at is not None:
        say(f"stopped at step {stopped_at} of {config.steps}; the best checkpoint so far is exported")
    checkpoint = torch.load(best, weights_only=True)
    tracker.load_state_dict(checkpoint["state_dict"])
    say(f"exporting the checkpoint of step {checkpoint['global_step']}, {best}")
    package = export(_trained(job, tracker, int(checkpoint["global_step"])), job.out / "package", say)
    return package.path


def _prepare(config: TrainConfig, data: Path | None, out: Path | None, say: Say) -> _Job:
    check(config)
    folder, target = _place(data, config.data, "data"), _place(out, config.out, "out")
    if config.device == "gpu" and not torch.cuda.is_available():
        raise UserError(
            "device: 'gpu' was asked for, but torch sees no CUDA device; install a CUDA build of torch, or "
            "set `device: cpu`"
        )
    frames = read_labels(folder, config.labels, config.network.channels, config.keypoints)
    for line in frames.told:
        say(line)
    config = replace(config, skeleton=config.skeleton or frames.skeleton)
    for bone in config.skeleton:
        for name in bone:
            if name not in frames.keypoints:
                raise UserError(
                    f"skeleton: no keypoint '{name}' in the labels{nearest(name, frames.keypoints)}"
                )
    split = split_frames(folder, frames.names, config.validation_fraction, config.seed)
    spec = input_spec(config.network, frames.channels)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"out: cannot make the folder {target}: {error.strerror}; give another --out"
        ) from error
    say(
        f"{folder.name}: {len(frames)} labeled frames, {len(frames.keypoints)} keypoints, "
        f"{'gray' if frames.channels == 1 else 'RGB'}; {len(split.train)} train, {len(split.validation)} "
        f"validate, split {split.how}"
    )
    say(starts_from(config.network.backbone, config.network.weights))
    return _Job(config, folder, target, frames, split, spec)


def _place(given: Path | None, configured: str, key: str) -> Path:
    if given is None and not configured:
        raise UserError(f"{key}: no folder given; set `{key}` in the configuration or `--{key} DIR`")
    return Path(given if given is not None else configured).expanduser().resolve()


def _tracker(job: _Job) -> Tracker:
    network = PoseNetwork(job.config.network, job.spec.channels, len(job.frames.keypoints))
    return Tracker(network, job.spec, job.config)


def _train(job: _Job, tracker: Tracker, say: Say) -> tuple[Path, int | None]:
    """Train; the best checkpoint, and the step at which Ctrl-C ended it (None where it ran to the end)."""
    config = job.config
    training = TrainingBatches(
        job.frames.subset(job.split.train),
        job.spec,
        config.augment,
        config.batch_size,
        config.steps,
        config.seed,
        threads=2,
    )
    validation = ValidationBatches(job.frames.subset(job.split.validation), job.spec, config.batch_size)
    checkpoints = ModelCheckpoint(
        job.out / "checkpoints", "best", monitor=MONITORED, mode="min", enable_version_counter=False
    )
    with _quiet():
        trainer = lightning.Trainer(
            accelerator=config.device,
            devices=1,
            max_epochs=1,
            max_steps=config.steps,
            val_check_interval=config.validate_every,
            num_sanity_val_steps=0,
            log_every_n_steps=min(LOG_EVERY, config.steps),
            logger=TensorBoardLogger(job.out / "tensorboard", name=""),
            callbacks=[checkpoints, TrainingProgress(say)],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with _stop_on_ctrl_c(trainer) as asked:
            trainer.fit(tracker, training, validation)
    if not checkpoints.best_model_path:
        raise UserError(
            f"stopped at step {trainer.global_step}, before the first validation (step "
            f"{config.validate_every}): there is no checkpoint to export"
        )
    return Path(checkpoints.best_model_path), trainer.global_step if asked.is_set() else None


def _trained(job: _Job, tracker: Tracker, step: int) -> Trained:
    settings = asdict(job.config)
    # Folders of the machine that trained say nothing to whoever reads the package.
    del settings["data"], settings["out"]
    settings["network"]["weights"] = Path(job.config.network.weights).name
    training: dict[str, Any] = {
        "dataset": job.data.name,
        "frames_train": len(job.split.train),
        "frames_validation": len(job.split.validation),
        "split": job.split.how,
        "step": step,
        "configuration": settings,
    }
    return Trained(
        tracker.network,
        job.spec,
        tracker.decode_spec,
        [(bone[0], bone[1]) for bone in job.config.skeleton],
        job.frames.subset(job.split.train),
        job.frames.subset(job.split.validation),
        training,
    )


@contextmanager
def _stop_on_ctrl_c(trainer: lightning.Trainer) -> Iterator[threading.Event]:
    """Within it the first Ctrl-C ends the training after its step; the event says that it did.

    Lightning itself would end the whole process.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        asked.set()
        trainer.should_stop = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _quiet() -> Iterator[None]:
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
