"""From the teachers' tables of videos to pseudo-labeled frames, written where a person can look at them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.ensemble import ensemble_of
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.members import EnsembleMember
from rt_pose.offline.predict_ensemble import own_table
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.offline.smooth_files import smooth_ensemble
from rt_pose.video import probe
from train.data.diversity import farthest_points, outliers, poses_of
from train.data.frame_index import near_labeled, without_frame_index
from train.data.labels import LabeledFrames
from train.data.pseudo import TABLE, ChosenFrames, Pseudo, pseudo_labeled, write_pseudo_labels
from train.distillation.confidence import EnsembleConfidence, ensemble_confidence, format_confidence
from train.distillation.config import DistillConfig
from train.fitting.augmentation_sheet import draw_sheet
from train.fitting.job import Job
from train.fitting.memory import GIB, free_memory
from train.support.distributed import rank

_LOG = logging.getLogger(__name__)

SHEET = "pseudo-labels.png"
LEAST_KNOWN = 0.5
"""Share of the keypoints that must be confident or absent in a frame that is taken."""
MEMORY_SHARE = 0.5
"""Of what is free, that pseudo-labeled frames may take."""


def make_pseudo_labels(
    config: DistillConfig,
    job: Job,
    teachers: Sequence[EnsembleMember],
    videos: Sequence[VideoJob],
    tables: Path,
    sure_px: float,
) -> Pseudo:
    """Choose frames of the videos, label them by the smoothed ensemble, and write them beside `tables`.

    Of several processes that train together all choose the same frames, and the first one writes them. The
    share of frames in which the ensemble is confident of each keypoint is reported.

    Parameters
    ----------
    config
        Of the distillation.
    job
        The training that the frames are for.
    teachers
        Members of the ensemble.
    videos
        Unlabeled videos.
    tables
        Folder with the teachers' tables, `tables`/NAME.
    sure_px
        Largest uncertainty of a confident keypoint, frame px.

    Returns
    -------
    Pseudo
        The frames, their weights, and notes for the manifest.

    Raises
    ------
    UserError
        Where the teachers agree on too little, where all such frames are too close to ones that validate, or
        where memory does not suffice.
    """
    out = tables.parent
    found = [_score_video(config, teachers, video, tables, sure_px) for video in videos]
    _LOG.info(f"of {sum(len(each.xy) for each in found)} frames:")
    for line in format_confidence(job.frames.keypoints, found):
        _LOG.info(line)
    chosen, left_out = _choose_frames(job.validation.names, config, videos, found, sure_px)
    _check_memory(job, sum(len(indices) for indices in chosen), free_memory("cpu"))
    frames = _label(job, videos, found, chosen)
    if rank(config) == 0:
        write_pseudo_labels(frames, out)
        draw_sheet(config, out, out / SHEET, frames)
    known = np.concatenate(
        [(each.confident | each.absent)[at] for each, at in zip(found, chosen, strict=True)]
    )
    _LOG.info(
        f"{len(frames)} frames are pseudo-labeled, {known.mean():.0%} of their keypoints known: "
        f"{out / TABLE}; a few of them drawn: {out / SHEET}"
    )
    notes = {
        "teachers": {teacher.name: teacher.package.sha256 for teacher in teachers},
        "frames": len(frames),
        "left_out": left_out,
        "sure_px": sure_px,
        "sure": _confident_shares(job.frames.keypoints, found),
    }
    return _weighted(config, frames, known, notes)


def _label(
    job: Job,
    videos: Sequence[VideoJob],
    found: Sequence[EnsembleConfidence],
    chosen: Sequence[NDArray[np.intp]],
) -> LabeledFrames:
    """The chosen frames of the videos, labeled where the ensemble is confident."""
    of_videos = [
        ChosenFrames(video.video, str(Path(video.name).with_suffix("")), indices, _labels(each)[indices])
        for video, each, indices in zip(videos, found, chosen, strict=True)
        if len(indices)
    ]
    return pseudo_labeled(of_videos, job.frames.keypoints, job.spec.channels)


def _confident_shares(keypoints: list[str], found: Sequence[EnsembleConfidence]) -> dict[str, float]:
    """In what share of all frames the ensemble is confident of each keypoint, for the notes."""
    shares = np.concatenate([each.confident for each in found]).mean(axis=0)
    return {name: round(float(share), 4) for name, share in zip(keypoints, shares, strict=True)}


def _weighted(
    config: DistillConfig, frames: LabeledFrames, known: NDArray[np.bool_], notes: dict[str, Any]
) -> Pseudo:
    """Weigh the frames against the labeled ones; `known` (F, K) where a keypoint counts at all."""
    weight = config.pseudo.weight
    per_batch = int(np.clip(round(config.pseudo.share * config.batch_size), 1, config.batch_size - 1))
    _LOG.info(f"{per_batch} of a batch's {config.batch_size} frames are theirs, weight {weight:g}")
    notes = notes | {"per_batch": per_batch, "weight": weight}
    return Pseudo(frames, np.where(known, float(weight), 0.0), per_batch, notes)


def _choose_frames(
    kept_back: list[str],
    config: DistillConfig,
    videos: Sequence[VideoJob],
    found: Sequence[EnsembleConfidence],
    sure_px: float,
) -> tuple[list[NDArray[np.intp]], dict[str, int]]:
    """Indices of the frames of each video that are taken, away from the images that validate; and for the
    notes, how many were left out and why."""
    margin = config.pseudo.margin
    near = [
        near_labeled(kept_back, video.video.stem, len(each.xy), margin)
        for video, each in zip(videos, found, strict=True)
    ]
    chosen, alone = _choose(config, found, near, sure_px)
    left_out = {"beside_validation": int(sum(each.sum() for each in near)), "like_no_other": alone}
    _report_left_out(left_out, config, kept_back)
    return chosen, left_out | {
        "margin_frames": margin,
        "validation_not_placed": without_frame_index(kept_back),
    }


def _score_video(
    config: DistillConfig, teachers: Sequence[EnsembleMember], video: VideoJob, tables: Path, sure_px: float
) -> EnsembleConfidence:
    members = [read_predictions(own_table(teacher, video, tables).out) for teacher in teachers]
    ensemble = ensemble_of(members)
    views = ["=".join(names) for names in config.views]
    smoothed = smooth_ensemble(ensemble, "multiview" if views else "single", views)
    info = probe(video.video)
    taught = [t.package.manifest.training.get("configuration", {}).get("blank") for t in teachers]
    absence_is_known = {config.blank, *taught} == {"absent"}
    size = (info.width, info.height)
    return ensemble_confidence(members, ensemble, smoothed, config.pseudo, sure_px, size, absence_is_known)


def _labels(found: EnsembleConfidence) -> NDArray[np.float64]:
    """(F, K, 2) px; NaN where not confident."""
    return np.where(found.confident[..., None], found.xy, np.nan)


def _report_left_out(left_out: dict[str, int], config: DistillConfig, kept_back: list[str]) -> None:
    _LOG.info(
        f"left out: {left_out['beside_validation']} frames within {config.pseudo.margin} of one that "
        f"validates, {left_out['like_no_other']} with a pose like hardly any other"
    )
    if unknown := without_frame_index(kept_back):
        _LOG.info(
            f"{unknown} of {len(kept_back)} images that validate do not state in their names which frames of "
            "a video they are (VIDEO/img0123.png would): pseudo-labeled frames may be their neighbours, and "
            "the error on them too small"
        )


def _choose(
    config: DistillConfig,
    found: Sequence[EnsembleConfidence],
    near: Sequence[NDArray[np.bool_]],
    sure_px: float,
) -> tuple[list[NDArray[np.intp]], int]:
    """Indices of the frames of each video that are taken, none that is `near` one that validates; and how
    many were left out as their pose is like hardly any other."""
    confident = np.concatenate([each.confident for each in found])
    known = confident | np.concatenate([each.absent for each in found])
    candidates = np.flatnonzero((known.mean(axis=1) >= LEAST_KNOWN) & confident.any(axis=1))
    if not len(candidates):
        raise UserError(
            f"pseudo.sure_px: in no frame are the teachers confident of half of the keypoints (uncertainty "
            f"of at most {sure_px:.2f} px); set a larger one, or train the teachers further"
        )
    candidates = candidates[~np.concatenate(near)[candidates]]
    if not len(candidates):
        raise UserError(
            f"pseudo.margin: every frame that could be taken is within {config.pseudo.margin} of one that "
            "validates; set a smaller one, or name further videos"
        )
    poses = poses_of(np.concatenate([each.xy for each in found]), confident)
    alone = outliers(poses[candidates])
    candidates = candidates[~alone]
    taken = candidates[farthest_points(poses[candidates], config.pseudo.frames)]
    ends = np.cumsum([len(each.xy) for each in found])
    starts = [0, *ends[:-1]]
    chosen = [taken[(taken >= a) & (taken < b)] - a for a, b in zip(starts, ends, strict=True)]
    return chosen, int(alone.sum())


def _check_memory(job: Job, frames: int, free: int | None) -> None:
    need = frames * max(image.nbytes for image in job.frames.images)
    if free is not None and need > MEMORY_SHARE * free:
        fit = int(MEMORY_SHARE * free * frames / need)
        raise UserError(
            f"pseudo.frames: {frames} frames take {need / GIB:.1f} GiB of memory, {free / GIB:.1f} GiB are "
            f"free; set it to {fit} or less"
        )
