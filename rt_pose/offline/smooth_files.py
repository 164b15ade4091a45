"""`rt-pose smooth`: prediction files of several networks to one, in the ensemble Kalman smoother's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.files import check_output
from rt_pose.offline.alignment import align
from rt_pose.offline.ensemble import (
    Ensemble,
    SmoothedEnsemble,
    bound_notes,
    combine,
    smooth_single,
    smoothed_rows,
    write_smoothed,
)
from rt_pose.offline.latents import smooth_multiview, smooth_pupil
from rt_pose.offline.one_view import check_one_view
from rt_pose.offline.pose_files import read_pose_file
from rt_pose.offline.prediction_files import SMOOTHED_FIELDS, Predictions, write_table
from rt_pose.offline.smooth_alone import smooth_alone


def smooth_files(files: Sequence[Path], out: Path, mode: str, parts: Sequence[str]) -> list[str]:
    """Smooth the prediction files of several networks, or of one, into one.

    Parameters
    ----------
    files
        The members' files, of one video, camera and skeleton. Files that hold the same positions are one.
    out
        The file to write; none of `files`.
    mode
        "single", "multiview" or "pupil".
    parts
        For "multiview" each part such as paw_top=paw_bottom, all in the same views; for "pupil" top=KEYPOINT
        and so on.

    Returns
    -------
    list[str]
        Lines that report what was chosen.

    Raises
    ------
    UserError
        Where the files do not belong together, or a name is not known; before anything is written.
    """
    check_output(out, files, overwrite=True)
    members = [read_pose_file(file, several=True) for file in files]
    if crowded := [member for member in members if member.individuals]:
        return _smooth_animals(crowded[0], out, alone=len(files) == 1 and mode == "single" and not parts)
    different, notes = _different(members)
    if len(different) == 1:
        members = different
    together = align(members)
    check_one_view(together, [member.source for member in members])
    ensemble = combine(together)
    if len(members) == 1 and mode == "single" and not parts:
        smoothed, own = smooth_alone(ensemble)
    else:
        smoothed, own = smooth_ensemble(ensemble, mode, parts), []
    write_smoothed(out, ensemble, smoothed)
    strengths = ", ".join(f"{q:.3g}" for q in smoothed.q)
    never = [name for name, gone in zip(ensemble.keypoints, ensemble.never_seen, strict=True) if gone]
    return [
        *notes,
        *ensemble.notes,
        *([f"never seen, so left blank: {', '.join(never)}"] if never else []),
        f"{len(members)} member{'s' * (len(members) > 1)}, {len(ensemble.frames) - len(ensemble.between)} "
        f"frames, {len(ensemble.keypoints)} keypoints",
        *own,
        f"strength of movement (px^2/frame^3): {strengths}",
        *bound_notes(smoothed),
    ]


def _smooth_animals(table: Predictions, out: Path, *, alone: bool) -> list[str]:
    """Smooth each animal of a table by itself, from the first to the last frame that has it."""
    if not alone:
        raise UserError(
            f"smoothing: {table.source} holds {len(table.individuals)} animals; expected it by itself and "
            "without `--parts` or another `--mode`: rows of several networks are in no common order"
        )
    values = np.full((*table.likelihood.shape, len(SMOOTHED_FIELDS)), np.nan)  # (F, N, K, 9)
    row_of = {frame: row for row, frame in enumerate(table.frames)}
    lines = [
        f"{len(table.individuals)} animals, {len(table.frames)} frames, {len(table.keypoints)} keypoints, "
        "each animal by itself; where the file exchanges two, it is as wrong"
    ]
    for n, name in enumerate(table.individuals):
        seen = np.flatnonzero(np.isfinite(table.xy[:, n]).all(axis=-1).any(axis=-1))
        if not len(seen):
            lines.append(f"{name}: never seen, so left blank")
            continue
        own = slice(int(seen[0]), int(seen[-1]) + 1)
        frames, poses = table.frames[own], (table.xy[own, n], table.likelihood[own, n])
        ensemble = combine(align([Predictions(table.keypoints, frames, *poses, f"{table.source}, {name}")]))
        smoothed, notes = smooth_alone(ensemble)
        cells, columns = smoothed_rows(ensemble, smoothed)
        values[[row_of[cell] for cell in cells], n] = columns
        lines += [f"{name}: {note}" for note in [*notes, *bound_notes(smoothed)]]
    rows = zip(table.frames, values, strict=True)
    write_table(out, table.keypoints, SMOOTHED_FIELDS, rows, individuals=table.individuals)
    return lines


def _different(members: list[Predictions]) -> tuple[list[Predictions], list[str]]:
    """Members without those that hold another's positions, and a line for each of these."""
    kept: list[Predictions] = []
    notes = []
    for member in members:
        twin = next((other for other in kept if _same(member, other)), None)
        if twin is None:
            kept.append(member)
        else:
            notes.append(
                f"{member.source} holds the positions of {twin.source}, so it says nothing of their errors; "
                "give each network once"
            )
    return kept, notes


def _same(one: Predictions, other: Predictions) -> bool:
    named_alike = one.keypoints == other.keypoints and one.frames == other.frames
    return named_alike and np.array_equal(one.xy, other.xy, equal_nan=True)


def smooth_ensemble(ensemble: Ensemble, mode: str, parts: Sequence[str]) -> SmoothedEnsemble:
    """Smooth an ensemble by a mode and its parts, as `smooth_files` takes them.

    Parameters
    ----------
    ensemble
        The combined predictions.
    mode
        "single", "multiview" or "pupil".
    parts
        Parts of the mode.

    Returns
    -------
    SmoothedEnsemble
        Smoothed positions and variances.

    Raises
    ------
    UserError
        Where mode, parts or a name are not valid.
    """
    if mode == "single":
        if parts:
            raise UserError("--parts: only `--mode multiview` and `--mode pupil` have parts")
        return smooth_single(ensemble)
    if not parts:
        example = "paw_top=paw_bottom" if mode == "multiview" else "top=pupil_top_r bottom=pupil_bottom_r ..."
        raise UserError(f"--mode {mode} needs `--parts`, such as {example}")
    names = [[name.strip() for name in part.split("=")] for part in parts]
    if mode == "multiview":
        return smooth_multiview(ensemble, names)
    if any(len(part) != 2 for part in names):
        raise UserError("--parts of a pupil: expected top=KEYPOINT bottom=... left=... right=...")
    return smooth_pupil(ensemble, {place: name for place, name in names})[0]
