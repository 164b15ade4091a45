"""`rt-pose smooth`: prediction files of several networks to one, in the ensemble Kalman smoother's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.files import check_output
from rt_pose.offline.ensemble import Ensemble, SmoothedEnsemble, ensemble_of, smooth_single, write_smoothed
from rt_pose.offline.latents import smooth_multiview, smooth_pupil
from rt_pose.offline.pose_files import read_pose_file


def smooth_files(files: Sequence[Path], out: Path, mode: str, parts: Sequence[str]) -> list[str]:
    """Smooth the prediction files of several networks into one.

    Parameters
    ----------
    files
        The members' files, of one video and skeleton.
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
    ensemble = ensemble_of([read_pose_file(file) for file in files])
    smoothed = smooth_ensemble(ensemble, mode, parts)
    write_smoothed(out, ensemble, smoothed)
    strengths = ", ".join(f"{q:.3g}" for q in smoothed.q)
    never = [name for name, gone in zip(ensemble.keypoints, ensemble.never_seen, strict=True) if gone]
    return [
        *ensemble.notes,
        *([f"never seen, so left blank: {', '.join(never)}"] if never else []),
        f"{len(files)} members, {len(ensemble.frames) - len(ensemble.between)} frames, "
        f"{len(ensemble.keypoints)} keypoints",
        f"strength of movement (px^2/frame^3): {strengths}",
    ]


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
