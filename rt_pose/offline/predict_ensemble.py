"""Several networks' predictions of videos, smoothed to one: `rt-pose predict --model A B ...`.

Each network's own table is kept, so that it can be smoothed otherwise (`rt-pose smooth`); what is there is
not done again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.offline.ensemble import bound_notes, ensemble_of, write_smoothed
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.finish import Finish
from rt_pose.offline.members import EnsembleMember
from rt_pose.offline.predict_many import Failure, PredictionOutcome
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.offline.prediction_record import note_failure, state, write_record
from rt_pose.offline.smooth_files import smooth_ensemble
from rt_pose.package import Package

_LOG = logging.getLogger(__name__)

MEMBERS = "members"
SMOOTHER = "ensemble"
"""In a smoothed table's record, in place of an engine."""
Predict = Callable[[Package, Sequence[VideoJob], Path], PredictionOutcome]
"""Predicts the videos of one network into a folder."""


def predict_ensemble(
    members: Sequence[EnsembleMember],
    jobs: Sequence[VideoJob],
    folder: Path,
    predict: Predict,
    views: Sequence[str] = (),
    finish: Finish | None = None,
) -> PredictionOutcome:
    """Predict every video with every member, and smooth each video's predictions into its table.

    A video that a member cannot predict is a failure; the others go on.

    Parameters
    ----------
    members
        Two networks or more.
    jobs
        The videos with their tables.
    folder
        Where each member's own tables go, in folders of their names.
    predict
        Predicts the videos of one network into a folder.
    views
        Body parts seen in several views, such as paw_top=paw_bottom, for multi-view smoothing.
    finish
        Makes what lies beside the smoothed tables; None for nothing.

    Returns
    -------
    PredictionOutcome
        What became of the videos.

    Raises
    ------
    UserError
        Where there are fewer than two members.
    """
    if len(members) < 2:
        raise UserError(f"an ensemble has two networks or more, got {len(members)}")
    failed = _predict_members(members, jobs, folder, predict)
    outcome, identity = PredictionOutcome(), _identity(members, views)
    for job in jobs:
        try:
            if job.name in failed:
                raise UserError(failed[job.name])
            if state(job, identity) == "done":
                outcome.done_before += 1
            else:
                tables = [own_table(member, job, folder).out for member in members]
                _smooth(tables, job, views, identity)
                outcome.predicted.append(job.name)
            if finish is not None and finish.is_due(job):
                finish(job, members[0].package)
        except UserError as error:
            outcome.failures.append(Failure(job.name, str(error)))
            note_failure(job, identity, str(error))
    return outcome


def _predict_members(
    members: Sequence[EnsembleMember], jobs: Sequence[VideoJob], folder: Path, predict: Predict
) -> dict[str, str]:
    """Predict every video with every member; by video that one could not predict, the first reason."""
    failed: dict[str, str] = {}
    for member in members:
        _LOG.info(f"{member.name}:")
        own = [own_table(member, job, folder) for job in jobs]
        for failure in predict(member.package, own, folder / member.name).failures:
            failed.setdefault(failure.name, f"{member.name}: {failure.reason}")
    return failed


def own_table(member: EnsembleMember, job: VideoJob, folder: Path) -> VideoJob:
    """Make the job of one member's own table.

    Parameters
    ----------
    member
        The network.
    job
        The video.
    folder
        As of `predict_ensemble`.

    Returns
    -------
    VideoJob
        The same video, with the member's table.
    """
    return VideoJob(job.video, job.name, (folder / member.name / job.name).with_suffix(".csv"))


def _smooth(tables: list[Path], job: VideoJob, views: Sequence[str], identity: str) -> None:
    ensemble = ensemble_of([read_predictions(table) for table in tables])
    smoothed = smooth_ensemble(ensemble, "multiview" if views else "single", views)
    write_smoothed(job.out, ensemble, smoothed)
    write_record(job, identity, SMOOTHER, len(ensemble.frames))
    sd = np.sqrt(np.median(smoothed.var[:, ~ensemble.never_seen].sum(axis=-1)))
    _LOG.info(
        f"{job.name}: {len(tables)} members smoothed, {len(ensemble.frames)} frames, posterior standard "
        f"deviation {sd:.2f} px (median)"
    )
    for note in bound_notes(smoothed):
        _LOG.info(f"{job.name}: {note}")


def _identity(members: Sequence[EnsembleMember], views: Sequence[str]) -> str:
    """Hash of all that a smoothed table is made with, in place of a package's own."""
    parts = [*(member.package.sha256 for member in members), *views]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
