"""Training from labeled frames to a model package.

Everything the user wrote is checked before the first step: configuration, labels, images, split.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rt_pose.errors import ExitCode, UserError, collect_errors, nearest
from train.config import TrainConfig
from train.data.flip import mirror_note
from train.data.gather import check_blank
from train.data.labels import LabeledFrames, read_data_sets
from train.data.split import SPLIT_FILE, Split, all_train, check_sides, split_frames, split_sets
from train.export import Trained, export
from train.fitting.check import check
from train.fitting.checkpoints import LAST, is_resumable, step_to_resume
from train.fitting.job import Job
from train.fitting.memory import check_memory, free_memory, training_memory
from train.fitting.pose_module import PoseModule
from train.fitting.trainer import train
from train.fitting.unlabeled import index_videos
from train.fitting.unlabeled import prepare as prepare_unlabeled
from train.fitting.warm_start import name_of, seen_before, trained_before, warm_start
from train.losses.terms import resampled_frames, resolve_losses
from train.models.backbones import format_start
from train.models.network import PoseNetwork, input_spec
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
    resumable = partial(is_resumable, last, job)
    with explain_full_disk(out, last, resumable):
        end = train(job, out, start, module)
    exit_unless_rank_zero(config)
    if end.fault and end.best is None:
        raise TrainingFault(f"{end.fault}, before the first checkpoint: nothing to export; {REMEDY}")
    if end.best is None:
        raise Interrupted(f"stopped at step {end.step}, before the first checkpoint: nothing to export")
    if end.why is not None:
        ended = f"stopped at step {end.step} of {config.steps}{end.why}"
        _LOG.info(f"{ended}; the {'best' if config.keeps_back else 'last'} checkpoint so far is exported")
    checkpoint = torch.load(end.best, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    _LOG.info(f"exporting the checkpoint of step {checkpoint['global_step']}, {end.best}")
    step = int(checkpoint["global_step"])
    trained = _trained(job, module, step)
    interrupted = end.why == ""
    try:
        with _restored_threads(), explain_full_disk(out, last, resumable):
            package = export(trained, out / "package").path
    except UserError as error:
        if end.fault:
            raise TrainingFault(f"{end.fault}; {REMEDY}; of the checkpoint until then: {error}") from error
        if interrupted:
            raise Interrupted(str(error)) from error
        raise
    if end.fault:
        raise TrainingFault(
            f"{end.fault}; the package {package} is of {end.best}, the last good checkpoint (step {step}); "
            f"{REMEDY}"
        )
    return FitResult(package, interrupted)


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


def prepare(config: TrainConfig, data: Path | None = None) -> Job:
    """Read and check all inputs of a training. Nothing is written.

    Parameters
    ----------
    config
        Of the training.
    data
        Data folder that takes the place of the configuration's own.

    Returns
    -------
    Job
        Its configuration has every weight written out.

    Raises
    ------
    UserError
        Where anything is wrong.
    """
    return start_from(read_inputs(config, data))


def read_inputs(config: TrainConfig, data: Path | None = None) -> Job:
    """Do all of `prepare` but the network to start from, which may depend on what is found here.

    Parameters
    ----------
    config, data
        As in `prepare`.

    Returns
    -------
    Job
        Without the frames that an earlier network has seen.

    Raises
    ------
    UserError
        Where anything is wrong.
    """
    check(config)
    quiet_unless_rank_zero(config)
    config = resolve_losses(config)
    folders = choose_data(data, config)
    folder = folders[0]
    if config.device == "gpu" and torch.cuda.device_count() < config.devices:
        found = torch.cuda.device_count()
        raise UserError(
            f"device: {config.devices} x 'gpu' was asked for, but torch sees {found or 'no'} CUDA device"
            f"{'s' * (found > 1)}; install a CUDA build of torch, or set `device: cpu`"
            + (f" or `devices: {found}`" if found else "")
        )
    frames, videos = collect_errors(
        lambda: read_data_sets(folders, config.labels, config.network.channels, config.keypoints),
        lambda: index_videos(config, folder) if folder.is_dir() else [],
    )
    for line in frames.notes:
        _LOG.info(line)
    config = replace(config, skeleton=config.skeleton or frames.skeleton)
    for bone in config.skeleton:
        for name in bone:
            if name not in frames.keypoints:
                raise UserError(
                    f"skeleton: no keypoint '{name}' in the labels{nearest(name, frames.keypoints)}"
                )
    check_blank(config.blank, frames.lacking)
    if config.augment.flip:
        _LOG.info(mirror_note(frames.keypoints))
    split = _split(config, folders, frames)
    spec = input_spec(config.network, frames.channels)
    _LOG.info(
        f"{' + '.join(place.name for place in folders)}: {len(frames)} labeled frames, "
        f"{len(frames.keypoints)} keypoints, "
        f"{'gray' if frames.channels == 1 else 'RGB'}; {_format_split(split)}"
    )
    for line in check_sides(split, frames.visible > 0, frames.keypoints):
        _LOG.info(line)
    unlabeled = prepare_unlabeled(config, videos, frames.subset(split.train), spec)
    datasets = [each.name for each in folders] if len(folders) > 1 else []
    return Job(config, folder, frames, split, spec, unlabeled, datasets=datasets)


def _split(config: TrainConfig, folders: list[Path], frames: LabeledFrames) -> Split:
    if not config.keeps_back:
        return all_train(len(frames))
    seed = config.seed if config.split_seed is None else config.split_seed
    if frames.sets and not (len(folders) == 1 and (folders[0] / SPLIT_FILE).is_file()):
        return split_sets(frames.sets, frames.names, config.validation_fraction, seed)
    return split_frames(folders[0], frames.names, config.validation_fraction, seed)


def _format_split(split: Split) -> str:
    """Describe a split in one line."""
    if not len(split.validation):
        return "all of them train, none is kept back: no error will be known"
    return f"{len(split.train)} train, {len(split.validation)} validate, split {split.how}"


def start_from(job: Job) -> Job:
    """Check, and report, which network the training starts from.

    Parameters
    ----------
    job
        What `read_inputs` returned.

    Returns
    -------
    Job
        With the frames that the earlier network has trained on.

    Raises
    ------
    UserError
        Where `init_from` names no checkpoint, or one of another network.
    """
    config = job.config
    quiet_unless_rank_zero(config)
    if not config.init_from:
        _LOG.info(format_start(config.network.backbone, config.network.weights))
        return job
    checkpoint = warm_start(_network(job), job.frames.keypoints, config.init_from)
    _LOG.info(f"warm start from {checkpoint}")
    if job.split.validation.size and (notes := seen_before(checkpoint, job.validation.names)):
        _LOG.info(notes)
    return replace(job, seen_before=trained_before(checkpoint))


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


def choose_data(given: Path | None, config: TrainConfig) -> list[Path]:
    """Return the absolute paths of the data folders: the one that is given, or those configured.

    Parameters
    ----------
    given
        Takes precedence; None: not given.
    config
        Of the training.

    Raises
    ------
    UserError
        Where neither is there.
    """
    places = [""] if given is not None else config.data_folders or [""]
    return [choose_folder(given, place, "data") for place in places]


def choose_folder(given: Path | None, configured: str, key: str) -> Path:
    """Return the absolute path of a folder that is given, or else configured.

    Parameters
    ----------
    given
        Takes precedence; None: not given.
    configured
        As the configuration has it; empty: not configured.
    key
        Name of the setting, for the error.

    Raises
    ------
    UserError
        Where neither is there.
    """
    if given is None and not configured:
        raise UserError(f"{key}: no folder given; set `{key}` in the configuration or `--{key} DIR`")
    return Path(given if given is not None else configured).expanduser().resolve()


def _pose_module(job: Job) -> PoseModule:
    check_step_memory(job)
    network = _network(job)
    if job.config.init_from:
        warm_start(network, job.frames.keypoints, job.config.init_from)
    return PoseModule(network, job.spec, job.config, job.unlabeled.terms)


def _network(job: Job) -> PoseNetwork:
    return PoseNetwork(job.config.network, job.spec.channels, len(job.frames.keypoints))


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
        training_memory(_network(job), job.spec, frame_bytes),
        job.config,
        job.config.clip_length + resampled_frames(job.config) if terms.clips else 0,
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
    )
