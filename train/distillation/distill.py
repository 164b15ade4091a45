"""`rt-pose train distill`: an ensemble, smoothed offline, teaches one small network.

    labels, split -> teachers over the videos -> smoothed -> confident -> varied frames -> training
                     (kept in OUT/teachers, OUT/smoothed; not done twice)     OUT/pseudo-labels.csv

The network learns from labels and pseudo-labels in every batch; the losses on clips may join in.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.config.schema import EngineConfig
from rt_pose.console import warnings_only
from rt_pose.errors import UserError, nearest
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.members import EnsembleMember, find_members
from rt_pose.offline.predict_ensemble import predict_ensemble
from rt_pose.offline.predict_many import PredictionOutcome, predict_many
from rt_pose.offline.prediction_record import exclusive_lock
from rt_pose.package import Package
from rt_pose.video import probe
from train.config import TrainConfig
from train.data.split import how_seen, split_seed_of, trained_names
from train.data.videos import find_videos
from train.distillation.config import TEACHER, DistillConfig
from train.distillation.pseudo_labels import make_pseudo_labels
from train.fitting.checkpoints import with_defaults
from train.fitting.fit import FitResult, run
from train.fitting.inputs import choose_data, choose_folder, read_inputs, start_from
from train.fitting.job import Job
from train.fitting.warm_start import checkpoint_of
from train.losses.terms import uses_clips
from train.support.disk import check_start
from train.support.distributed import quiet_unless_rank_zero, rank

_LOG = logging.getLogger(__name__)

TEACHERS, SMOOTHED = "teachers", "smoothed"


def distill_interruptible(config: DistillConfig) -> FitResult:
    """Train, and write to the configured `out` what `fit` writes and the pseudo-labels.

    Parameters
    ----------
    config
        Of the distillation.

    Returns
    -------
    FitResult
        The package, and whether it is of a training that was interrupted.

    Raises
    ------
    UserError
        Before a video is read, where teachers are too few, missing or of another skeleton, where one trained
        on a frame that validates here, or where videos are of another size; else as in `fit`.
    """
    out = choose_folder(None, config.out, "out")
    check_start(out)
    _check(config)
    find_videos(choose_data(None, config)[0], config.videos)  # before anything costs time
    quiet_unless_rank_zero(config)
    teachers = find_members(config.teachers, "--teachers")
    if len(teachers) < 2:
        raise UserError(
            f"--teachers: one network disagrees with nobody; got only {teachers[0].package.path}: give two "
            "or more, or a folder that `rt-pose train fit --seeds` filled"
        )
    of_teacher = config.init_from == TEACHER
    job = read_inputs(_training(config, "" if of_teacher else config.init_from), None)
    if job.frames.several:
        raise UserError(
            f"train distill: frames of these labels hold up to {job.frames.individuals} animals, and the "
            "teachers are smoothed to one; `rt-pose train fit` learns several from labels"
        )
    _check_skeleton(teachers, job)
    if of_teacher:
        job = replace(job, config=replace(job.config, init_from=_best_teacher(teachers, job)))
    job = start_from(job)
    _check_seen(teachers, job)
    jobs = _videos(config, job, out)
    sure_px = _sure_px(config, teachers)
    if rank(config) == 0:  # those who train with it begin when it has written this
        _run_teachers(teachers, config, jobs, out)
    pseudo = make_pseudo_labels(config, job, teachers, jobs, out / TEACHERS, sure_px)
    return run(replace(job, pseudo=pseudo), out)


def _run_teachers(
    teachers: Sequence[EnsembleMember], config: DistillConfig, jobs: Sequence[VideoJob], out: Path
) -> None:
    """The teachers' tables of the videos, and the smoothed ones; UserError where one cannot be had."""
    views = ["=".join(names) for names in config.views]
    outcome = predict_ensemble(teachers, jobs, out / TEACHERS, _predict, views)
    if outcome.failures:
        listed = "\n  ".join(f"{failure.name}: {failure.reason}" for failure in outcome.failures)
        raise UserError(
            f"videos: the teachers cannot do these:\n  {listed}\nleave them out, or convert them to H.264"
        )


def _predict(package: Package, jobs: Sequence[VideoJob], folder: Path) -> PredictionOutcome:
    """Predict in float32, which is the same on every machine: faster precisions move keypoints."""
    with exclusive_lock(folder, verb="rt-pose train distill"), warnings_only():
        return predict_many(package, jobs, EngineConfig(precision="float32"))


def _best_teacher(teachers: Sequence[EnsembleMember], job: Job) -> str:
    """Return the checkpoint of the best teacher that the network can start from; "" where there is none."""
    network = _architecture({"network": asdict(job.config.network)})
    found: list[tuple[float, Path]] = []
    for teacher in teachers:
        manifest = teacher.package.manifest
        training, checkpoint = manifest.training, checkpoint_of(teacher.package.path)
        alike = (
            manifest.keypoints == job.frames.keypoints
            and manifest.input.channels == job.spec.channels
            and _architecture(training.get("configuration", {})) == network
        )
        if checkpoint is not None and alike:
            found.append((training.get("errors", {}).get("mean_px", np.inf), checkpoint))
    if not found:
        _LOG.info(
            "init_from: no teacher has this network's settings, its keypoints and "
            f"{'gray' if job.spec.channels == 1 else 'RGB'} images and, beside its package, its checkpoint "
            "(OUT/checkpoints/best.ckpt), so the network does not begin as one of them"
        )
        return ""
    return str(min(found)[1])


def _architecture(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that make the network; empty where they are not known.

    The file that its backbone started from is left out: a package knows only its name.
    """
    if "network" not in settings:
        return {}
    network: dict[str, Any] = with_defaults({"network": settings["network"]})["network"]
    return {key: value for key, value in network.items() if key != "weights"}


def _training(config: DistillConfig, init_from: str = "") -> TrainConfig:
    """Return the configuration of the training itself, which starts from `init_from`."""
    values = {field.name: getattr(config, field.name) for field in fields(TrainConfig)}
    plain = TrainConfig(**values | {"init_from": init_from})
    return plain if uses_clips(plain) else replace(plain, videos=[])


def _check(config: DistillConfig) -> None:
    pseudo, problems = config.pseudo, []
    if not config.teachers:
        problems.append("teachers: none given; name two packages or more, or a folder that `--seeds` filled")
    if not config.videos:
        problems.append(
            "videos: none given; name unlabeled videos, or a folder of them, as in `videos: [videos]`"
        )
    if config.batch_size < 2:
        problems.append(
            f"batch_size: expected 2 or more, a label and a pseudo-label, got {config.batch_size}"
        )
    if not 0 < pseudo.share < 1:
        problems.append(f"pseudo.share: expected a share between 0 and 1, got {pseudo.share}")
    for name in ("min_confidence", "absent_below"):
        if not 0 <= getattr(pseudo, name) <= 1:
            problems.append(f"pseudo.{name}: expected 0 to 1, got {getattr(pseudo, name)}")
    if pseudo.absent_below > pseudo.min_confidence:
        problems.append(
            f"pseudo.absent_below: expected no more than min_confidence ({pseudo.min_confidence:g}), got "
            f"{pseudo.absent_below:g}"
        )
    if pseudo.margin < 0:
        problems.append(f"pseudo.margin: expected 0 frames or more, got {pseudo.margin}")
    if pseudo.frames < 1:
        problems.append(f"pseudo.frames: expected at least 1, got {pseudo.frames}")
    for name, value in (("weight", pseudo.weight), ("sure_px", pseudo.sure_px)):
        if value is not None and not 0 < value < np.inf:
            problems.append(f"pseudo.{name}: expected more than 0, got {value}")
    if problems:
        raise UserError("the distillation cannot be begun:\n  " + "\n  ".join(problems))


def _check_skeleton(teachers: Sequence[EnsembleMember], job: Job) -> None:
    """UserError where teachers, which are of one skeleton, do not know the labels' keypoints."""
    here = job.frames.keypoints
    there = teachers[0].package.manifest.keypoints
    if there != here:
        unknown = [f"'{name}'{nearest(name, here)}" for name in there if name not in here]
        differs = f"the labels lack {unknown[0]}" if unknown else f"the labels have {', '.join(here)}"
        raise UserError(
            f"--teachers: they know the keypoints {', '.join(there)}, {differs}; teachers and network learn "
            "one skeleton, in one order"
        )


def _check_seen(teachers: Sequence[EnsembleMember], job: Job) -> None:
    """UserError where a teacher has trained, or may have, on a frame that validates here."""
    if not job.split.validation.size:
        return
    for teacher in teachers:
        training = teacher.package.manifest.training
        seen = trained_names(training, job.validation.names)
        if seen is None:
            _LOG.info(
                f"{teacher.name} does not say which frames it kept back: if it has trained on some that "
                "validate here, the error on them will be too small"
            )
        elif seen:
            raise UserError(
                f"--teachers: {teacher.name} {how_seen(training)} {len(seen)} of the {len(job.validation)} "
                f"frames that are kept back here ({seen[0]}), so its pseudo-labels know them; its split: "
                f"{training['split']}; {_remedy(training.get('configuration', {}))}"
            )


def _remedy(settings: Mapping[str, Any]) -> str:
    """Say what to do where a teacher, trained with these settings, has seen what is kept back here."""
    if settings.get("validation_fraction") == 0:
        return (
            "it keeps nothing back, so train on every label here too (`validation_fraction: 0`), or give "
            "teachers that kept these frames back"
        )
    return f"split alike: set `split_seed: {split_seed_of(settings)}`, or give both one split.csv"


def _videos(config: DistillConfig, job: Job, out: Path) -> list[VideoJob]:
    """The unlabeled videos and their smoothed tables; UserError where one has no labeled image's size."""
    labeled = sorted({(image.shape[1], image.shape[0]) for image in job.frames.images})
    problems: list[str] = []
    jobs: list[VideoJob] = []
    for video in find_videos(job.data, config.videos):
        info = probe(video)
        if (info.width, info.height) not in labeled:
            problems.append(f"{video.name}: {info.width}x{info.height}")
        name = video.relative_to(job.data) if video.is_relative_to(job.data) else Path(video.name)
        table = (out / SMOOTHED / name).with_suffix(".csv")
        if table in [other.out for other in jobs]:
            problems.append(f"{video}: another video has the name {name.with_suffix('')}; rename one")
        jobs.append(VideoJob(video, str(name), table))
    if problems:
        sizes = ", ".join(f"{width}x{height}" for width, height in labeled)
        listed = "\n  ".join(problems)
        raise UserError(
            f"videos: expected frames of the labeled images' size, {sizes}, and names of their own; got:\n"
            f"  {listed}\nscale or crop them as the labels were, or leave them out"
        )
    return jobs


def _sure_px(config: DistillConfig, teachers: Sequence[EnsembleMember]) -> float:
    if config.pseudo.sure_px is not None:
        _LOG.info(f"confident: uncertainty of at most {config.pseudo.sure_px:.2f} px, as configured")
        return config.pseudo.sure_px
    errors = [t.package.manifest.training.get("errors", {}).get("median_px") for t in teachers]
    known = [float(error) for error in errors if error]
    if not known:
        raise UserError(
            "pseudo.sure_px: the teachers' packages hold no validation error to derive it from; set it, in "
            "px of the frame"
        )
    sure_px = float(np.mean(known))
    _LOG.info(f"confident: uncertainty of at most {sure_px:.2f} px, the teachers' median validation error")
    return sure_px
