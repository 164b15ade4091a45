"""Training from labeled frames to a model package.

Everything the user wrote is checked before the first step: configuration, labels, images, split.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rt_pose.errors import ExitCode, UserError
from train.config import TrainConfig
from train.export import Trained, export
from train.fitting.checkpoints import LAST, is_resumable, step_to_resume
from train.fitting.inputs import choose_folder, prepare
from train.fitting.job import Job
from train.fitting.memory import check_memory, free_memory, training_memory
from train.fitting.pose_module import PoseModule
from train.fitting.trainer import TrainingEnd, train
from train.fitting.warm_start import name_of, warm_start
from train.losses.terms import resampled_frames
from train.support.disk import check_disk, check_start, explain_full_disk, make_folder
from train.support.distributed import exit_unless_rank_zero, quiet_unless_rank_zero

_LOG = logging.getLogger(__name__)

REMEDY = "lower `optimiser.learning_rate` or the weight of the loss that grew, and start again"
"""Where a loss is no finite number any more."""


@dataclass
class FitResult:
    """The result of a training."""

    package: Path
    interrupted: bool
    """By Ctrl-C: the package is of the best checkpoint until then."""


class Interrupted(UserError):
    """Ctrl-C ended a training that had learned too little for a package."""


class TrainingFault(UserError):
    """A loss was no finite number any more; what was learned until then is kept."""

    exit_code = ExitCode.FAILED


def fit(config: TrainConfig, data: Path | None = None, out: Path | None = None) -> Path:
    """Train, and write `out`/package, `out`/checkpoints and `out`/tensorboard.

    Ctrl-C ends the training early and exports the best checkpoint so far; a second one exits at once. On the
    CPU the result is a function of configuration, data and number of threads.

    Parameters
    ----------
    config
        Of the training.
    data, out
        Folders that take the place of the configuration's own.

    Returns
    -------
    Path
        Folder of the package.

    Raises
    ------
    UserError
        Before the first step where anything is wrong, and at the end where the network has learned too little
        to make a package.
    """
    return fit_interruptible(config, data, out).package


def fit_interruptible(config: TrainConfig, data: Path | None = None, out: Path | None = None) -> FitResult:
    """Train as `fit` does, and return as well whether Ctrl-C ended it.

    Parameters
    ----------
    config, data, out
        As in `fit`.

    Returns
    -------
    FitResult
        The package, and whether it is of a training that was interrupted.

    Raises
    ------
    UserError
        As in `fit`.
    """
    target = choose_folder(out, config.out, "out")
    check_start(target)
    return run(prepare(config, data), target)


def run(job: Job, out: Path) -> FitResult:
    """Train what is prepared.

    Parameters
    ----------
    job
        What `prepare` returned.
    out
        Folder to write to.

    Returns
    -------
    FitResult
        The package, and whether it is of a training that was interrupted.

    Raises
    ------
    Interrupted
        Where Ctrl-C came before there was enough for a package.
    UserError
        Where an earlier training's checkpoint does not fit, memory or disk do not suffice, or the network has
        learned too little.
    TrainingFault
        Where a loss or weight was not finite any more; the package is then of the last good checkpoint.
    """
    config = job.config
    quiet_unless_rank_zero(config)
    last = out / "checkpoints" / f"{LAST}.ckpt"
    start = _start(job, last)
    make_folder(out)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    module = _pose_module(job)
    check_disk(out, sum(p.numel() * p.element_size() for p in module.network.parameters()))
    with explain_full_disk(out, last, partial(is_resumable, last, job)):
        end = train(job, out, start, module)
    exit_unless_rank_zero(config)
    return FitResult(_export(job, out, last, module, end), end.why == "")


def _export(job: Job, out: Path, last: Path, module: PoseModule, end: TrainingEnd) -> Path:
    """Write the package of the best checkpoint; raises where the training or the export did not end well."""
    best = _best_checkpoint(job.config, end)
    checkpoint = torch.load(best, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    step = int(checkpoint["global_step"])
    _LOG.info(f"exporting the checkpoint of step {step}, {best}")
    trained = _trained(job, module, step)
    try:
        with _restored_threads(), explain_full_disk(out, last, partial(is_resumable, last, job)):
            package = export(trained, out / "package").path
    except UserError as error:
        if end.fault:
            raise TrainingFault(f"{end.fault}; {REMEDY}; of the checkpoint until then: {error}") from error
        if end.why == "":
            raise Interrupted(str(error)) from error
        raise
    if end.fault:
        raise TrainingFault(
            f"{end.fault}; the package {package} is of {best}, the last good checkpoint (step {step}); "
            f"{REMEDY}"
        )
    return package


def _best_checkpoint(config: TrainConfig, end: TrainingEnd) -> Path:
    """The checkpoint to export; raises where the training ended before there was one."""
    if end.best is None:
        if end.fault:
            raise TrainingFault(f"{end.fault}, before the first checkpoint: nothing to export; {REMEDY}")
        raise Interrupted(f"stopped at step {end.step}, before the first checkpoint: nothing to export")
    if end.why is not None:
        ended = f"stopped at step {end.step} of {config.steps}{end.why}"
        _LOG.info(f"{ended}; the {'best' if config.keeps_back else 'last'} checkpoint so far is exported")
    return end.best


@contextmanager
def _restored_threads() -> Iterator[None]:
    """Restore torch's number of threads after the context, in which the export's engine sets it.

    Sums depend on it, and the next training in this process would have other results.
    """
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _start(job: Job, last: Path) -> int:
    """Return the step to start at."""
    if not job.config.resume:
        if last.is_file():
            then = "; `--resume true` resumes from it" if is_resumable(last, job) else ""
            _LOG.info(f"{last} is of an earlier training and will be replaced{then}")
        return 0
    if not last.is_file():
        _LOG.info(f"nothing to resume from (no {last}): the training begins at its first step")
        return 0
    step = step_to_resume(last, job)
    _LOG.info(f"resuming from step {step}, {last}")
    return step


def _pose_module(job: Job) -> PoseModule:
    check_step_memory(job)
    network = job.make_network()
    if job.config.init_from:
        warm_start(network, job.frames.keypoints, job.config.init_from)
    return PoseModule(network, job.spec, job.config, job.unlabeled.terms, job.individuals)


def check_step_memory(job: Job, trainings: int = 1) -> None:
    """Check, and report, how much memory a step needs.

    Parameters
    ----------
    job
        The prepared training.
    trainings
        Number of trainings that run at the same time.

    Raises
    ------
    UserError
        Where less memory is free.
    """
    terms = job.unlabeled.terms
    free = free_memory(job.config.device)
    # On a GPU the loader's share lies elsewhere.
    frame_bytes = max(image.nbytes for image in job.frames.images) if job.config.device == "cpu" else 0
    notes = check_memory(
        training_memory(job.make_network(), job.spec, frame_bytes),
        job.config,
        job.unlabeled.views * (job.config.clip_length + resampled_frames(job.config)) if terms.clips else 0,
        None if free is None else free // trainings,
    )
    if notes:
        _LOG.info(notes)


def _trained(job: Job, module: PoseModule, step: int) -> Trained:
    settings = asdict(job.config)
    # Folders of the machine that trained mean nothing elsewhere.
    del settings["data"], settings["out"], settings["resume"]
    settings["network"]["weights"] = Path(job.config.network.weights).name
    settings["init_from"] = name_of(job.config.init_from)
    training: dict[str, Any] = {
        "dataset": " + ".join(job.datasets) or job.data.name,
        "frames_train": len(job.split.train),
        "frames_validation": len(job.split.validation),
        "split": job.split.how,
        # Those of the network that it began as are in its weights as well.
        "trained_on": list(dict.fromkeys([*job.train.names, *job.seen_before])),
        "kept_back": job.validation.names,
        "frame_sizes": sorted({(image.shape[1], image.shape[0]) for image in job.train.images}),
        "step": step,
        "configuration": settings,
    }
    if job.datasets:
        training["datasets"] = job.datasets
    if job.pseudo is not None:
        training["pseudo_labels"] = job.pseudo.notes
    return Trained(
        module.network,
        job.spec,
        module.decode_spec,
        [(bone[0], bone[1]) for bone in job.config.skeleton],
        job.train,
        job.validation,
        training,
        job.individuals,
    )
