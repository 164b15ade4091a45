"""From the teachers' tables of videos to pseudo-labeled frames, written where a person can look at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.ensemble import ensemble_of
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.members import Member
from rt_pose.offline.predict_ensemble import own_table
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.offline.smooth_files import smooth_ensemble
from rt_pose.video import probe
from train.data.pseudo import TABLE, Chosen, Pseudo, pseudo_labeled, write_pseudo_labels
from train.data.sheet import draw_sheet
from train.data.variety import farthest_points, poses_of
from train.distill_config import DistillConfig
from train.fit import Job
from train.memory import GIB, free_memory
from train.progress import Say
from train.ranks import rank
from train.sureness import Sureness, in_words, sureness

SHEET = "pseudo-labels.png"
LEAST_KNOWN = 0.5
"""Share of the keypoints that must be sure or absent in a frame that is taken."""
MEMORY_SHARE = 0.5
"""Of what is free, that pseudo-labeled frames may take."""


def make_pseudo_labels(
    config: DistillConfig,
    job: Job,
    teachers: Sequence[Member],
    videos: Sequence[VideoJob],
    tables: Path,
    sure_px: float,
    say: Say,
) -> Pseudo:
    """Judge the teachers' tables in `tables`/NAME, choose frames, and write them beside `tables`.

    Of several processes that train together all come to the same frames, and the first writes them. Says the
    share of frames in which each keypoint is sure. UserError where the teachers agree on too little.
    """
    out = tables.parent
    found = [_judged(config, teachers, video, tables, sure_px) for video in videos]
    for line in (f"of {sum(len(each.xy) for each in found)} frames:", *in_words(job.frames.keypoints, found)):
        say(line)
    chosen = _choose(config, found, sure_px)
    _check_memory(job, sum(len(indices) for indices in chosen), free_memory("cpu"))
    frames = pseudo_labeled(
        [
            Chosen(video.video, str(Path(video.name).with_suffix("")), indices, _labels(each)[indices])
            for video, each, indices in zip(videos, found, chosen, strict=True)
            if len(indices)
        ],
        job.frames.keypoints,
        job.spec.channels,
    )
    if rank(config) == 0:
        write_pseudo_labels(frames, out)
        draw_sheet(config, out, out / SHEET, frames)
    known = np.concatenate([(each.sure | each.absent)[at] for each, at in zip(found, chosen, strict=True)])
    pseudo = config.pseudo
    per_batch = int(np.clip(round(pseudo.share * config.batch_size), 1, config.batch_size - 1))
    say(
        f"{len(frames)} frames are pseudo-labeled, {known.mean():.0%} of their keypoints known: "
        f"{out / TABLE}; a few of them drawn: {out / SHEET}"
    )
    say(f"{per_batch} of a batch's {config.batch_size} frames are theirs, weight {pseudo.weight:g}")
    sure = np.concatenate([each.sure for each in found]).mean(axis=0)
    told = {
        "teachers": {teacher.name: teacher.package.sha256 for teacher in teachers},
        "frames": len(frames),
        "sure_px": sure_px,
        "sure": {name: round(float(s), 4) for name, s in zip(job.frames.keypoints, sure, strict=True)},
        "per_batch": per_batch,
        "weight": pseudo.weight,
    }
    return Pseudo(frames, known * pseudo.weight, per_batch, told)


def _judged(
    config: DistillConfig, teachers: Sequence[Member], video: VideoJob, tables: Path, sure_px: float
) -> Sureness:
    members = [read_predictions(own_table(teacher, video, tables).out) for teacher in teachers]
    ensemble = ensemble_of(members)
    views = ["=".join(names) for names in config.views]
    smoothed = smooth_ensemble(ensemble, "multiview" if views else "single", views)
    info = probe(video.video)
    taught = [t.package.manifest.training.get("configuration", {}).get("blank") for t in teachers]
    absence_is_known = {config.blank, *taught} == {"absent"}
    size = (info.width, info.height)
    return sureness(members, ensemble, smoothed, config.pseudo, sure_px, size, absence_is_known)


def _labels(found: Sureness) -> NDArray[np.float64]:
    """(F, K, 2) NaN where not sure."""
    return np.where(found.sure[..., None], found.xy, np.nan)


def _choose(config: DistillConfig, found: Sequence[Sureness], sure_px: float) -> list[NDArray[np.intp]]:
    """Indices of the frames of each video that are taken."""
    sure = np.concatenate([each.sure for each in found])
    known = sure | np.concatenate([each.absent for each in found])
    candidates = np.flatnonzero((known.mean(axis=1) >= LEAST_KNOWN) & sure.any(axis=1))
    if not len(candidates):
        raise UserError(
            f"pseudo.sure_px: in no frame are the teachers sure of half of the keypoints (doubt of at most "
            f"{sure_px:.2f} px); set a larger one, or train the teachers further"
        )
    poses = poses_of(np.concatenate([each.xy for each in found]), sure)
    taken = candidates[farthest_points(poses[candidates], config.pseudo.frames)]
    ends = np.cumsum([len(each.xy) for each in found])
    starts = [0, *ends[:-1]]
    return [taken[(taken >= a) & (taken < b)] - a for a, b in zip(starts, ends, strict=True)]


def _check_memory(job: Job, frames: int, free: int | None) -> None:
    need = frames * max(image.nbytes for image in job.frames.images)
    if free is not None and need > MEMORY_SHARE * free:
        fit = int(MEMORY_SHARE * free * frames / need)
        raise UserError(
            f"pseudo.frames: {frames} frames take {need / GIB:.1f} GiB of memory, {free / GIB:.1f} GiB are "
            f"free; set it to {fit} or less"
        )
