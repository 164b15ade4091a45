"""Reading and checking all inputs of a training, before its first step."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from rt_pose.errors import UserError, collect_errors, nearest
from train.config import TrainConfig
from train.data.animals import present
from train.data.flip import mirror_note
from train.data.gather import check_blank
from train.data.labels import LabeledFrames, read_data_sets
from train.data.near_copies import near_copies_note
from train.data.split import SPLIT_FILE, Split, all_train, check_sides, split_frames, split_sets
from train.fitting.check import check
from train.fitting.job import Job
from train.fitting.several import with_offsets
from train.fitting.unlabeled import index_videos
from train.fitting.unlabeled import prepare as prepare_unlabeled
from train.fitting.warm_start import seen_before, trained_before, warm_start
from train.losses.terms import resolve_losses
from train.models.backbones import format_start
from train.models.network import input_spec
from train.support.distributed import quiet_unless_rank_zero

_LOG = logging.getLogger(__name__)


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
    _check_device(config)
    frames, videos = collect_errors(
        lambda: read_data_sets(
            folders, config.labels, config.network.channels, config.keypoints, several=True
        ),
        lambda: index_videos(config, folder) if folder.is_dir() else [],
    )
    for line in frames.notes:
        _LOG.info(line)
    config = with_offsets(replace(config, skeleton=config.skeleton or frames.skeleton), frames)
    _check_skeleton(config, frames)
    check_blank(config.blank, frames.lacking)
    if config.augment.flip:
        _LOG.info(mirror_note(frames.keypoints))
    split = _split(config, folders, frames)
    spec = input_spec(config.network, frames.channels)
    _LOG.info(
        f"{' + '.join(place.name for place in folders)}: {len(frames)} labeled frames, "
        f"{_format_animals(frames)}{len(frames.keypoints)} keypoints, "
        f"{'gray' if frames.channels == 1 else 'RGB'}; {_format_split(split)}"
    )
    for line in (
        *check_sides(split, frames.labeled, frames.keypoints),
        *near_copies_note(frames.xy[split.train], frames.xy[split.validation]),
    ):
        _LOG.info(line)
    unlabeled = prepare_unlabeled(config, videos, frames.subset(split.train), spec, folder)
    datasets = [each.name for each in folders] if len(folders) > 1 else []
    return Job(config, folder, frames, split, spec, unlabeled, datasets=datasets)


def _check_device(config: TrainConfig) -> None:
    found = torch.cuda.device_count() if config.device == "gpu" else config.devices
    if found < config.devices:
        raise UserError(
            f"device: {config.devices} x 'gpu' was asked for, but torch sees {found or 'no'} CUDA device"
            f"{'s' * (found > 1)}; install a CUDA build of torch, or set `device: cpu`"
            + (f" or `devices: {found}`" if found else "")
        )


def _check_skeleton(config: TrainConfig, frames: LabeledFrames) -> None:
    for bone in config.skeleton:
        for name in bone:
            if name not in frames.keypoints:
                raise UserError(
                    f"skeleton: no keypoint '{name}' in the labels{nearest(name, frames.keypoints)}"
                )


def _split(config: TrainConfig, folders: list[Path], frames: LabeledFrames) -> Split:
    if not config.keeps_back:
        return all_train(len(frames))
    seed = config.seed if config.split_seed is None else config.split_seed
    if frames.sets and not (len(folders) == 1 and (folders[0] / SPLIT_FILE).is_file()):
        return split_sets(frames.sets, frames.names, config.validation_fraction, seed)
    return split_frames(folders[0], frames.names, config.validation_fraction, seed)


def _format_animals(frames: LabeledFrames) -> str:
    if not frames.several:
        return ""
    return f"{present(frames.xy).sum()} animals, up to {frames.individuals} a frame, "


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
    checkpoint = warm_start(job.make_network(), job.frames.keypoints, config.init_from)
    _LOG.info(f"warm start from {checkpoint}")
    if job.split.validation.size and (notes := seen_before(checkpoint, job.validation.names)):
        _LOG.info(notes)
    return replace(job, seen_before=trained_before(checkpoint))


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
