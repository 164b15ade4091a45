"""Poses that several cameras recorded, brought together: prediction files, one a camera, or a session.

Rows of files are put together by their frame numbers, which must be of frames that were exposed together.
Frames of a session are put together by their exposures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rt_pose.audit.recompute import ReplaySetup
from rt_pose.errors import UserError
from rt_pose.offline.poses_csv import read_covariances, read_poses
from rt_pose.records import Observation
from rt_pose.session.read import Session
from rt_pose.tracking.observation_noise import error_covariance
from rt_pose.types import FloatArray
from rt_pose.views.view_poses import ViewPoses, split_names

COVARIANCE_ENDING = "_covariance.csv"


def read_view_poses(given: Sequence[str], min_confidence: float) -> ViewPoses:
    """Read what several cameras saw.

    Parameters
    ----------
    given
        CAMERA=FILE of each camera, a file of predictions or labels of any program; or the folder of one
        session. Where every file is a CSV with its covariances beside it, as `rt-pose predict --covariance`
        writes them, these are read too.
    min_confidence
        A keypoint of less counts as not seen.

    Returns
    -------
    ViewPoses
        The poses.

    Raises
    ------
    UserError
        Where a file cannot be read, they have no keypoint in common, or there is no frame of two cameras.
    """
    where = "--poses"
    if len(given) == 1 and Path(given[0]).is_dir():
        poses, where = _of_session(Path(given[0]), min_confidence), f"session {given[0]}"
    else:
        files = {name: Path(file) for name, file in split_names(given, where).items()}
        if len(files) < 2:
            raise UserError(
                f"{where}: expected CAMERA=FILE of two cameras or more, or the folder of a session"
            )
        poses = _of_files(files, min_confidence)
    if not poses.points().size:
        raise UserError(
            f"{where}: no keypoint was seen by two cameras in one frame; do the frames' numbers agree? "
            "Perhaps give a lower --min-confidence"
        )
    return poses


def _of_files(files: dict[str, Path], min_confidence: float) -> ViewPoses:
    tables = {name: read_poses(file) for name, file in files.items()}
    first, *others = tables.values()
    keypoints = [name for name in first.keypoints if all(name in table.keypoints for table in others)]
    if not keypoints:
        listed = "; ".join(f"{name}: {', '.join(table.keypoints)}" for name, table in tables.items())
        raise UserError(f"--poses: the files have no keypoint in common ({listed})")
    count = max(len(table.xy) for table in tables.values())
    xy = np.full((len(tables), count, len(keypoints), 2), np.nan)
    cov = _covariances(files, keypoints, count)
    for v, table in enumerate(tables.values()):
        order = [table.keypoints.index(name) for name in keypoints]
        sure = table.likelihood[:, order] >= min_confidence
        xy[v, : len(table.xy)] = np.where(sure[..., None], table.xy[:, order], np.nan)
    rows = np.flatnonzero(np.isfinite(xy).any(axis=(0, 2, 3)))
    return ViewPoses(
        list(tables), keypoints, rows.tolist(), xy[:, rows], None if cov is None else cov[:, rows]
    )


def _covariances(files: dict[str, Path], keypoints: list[str], count: int) -> FloatArray | None:
    tables = [file.with_name(f"{file.stem}{COVARIANCE_ENDING}") for file in files.values()]
    if not all(table.is_file() for table in tables):
        return None
    return np.stack([read_covariances(table, keypoints, count) for table in tables])


def _of_session(path: Path, min_confidence: float) -> ViewPoses:
    session = Session.read(path)
    setup = ReplaySetup.of(session)
    seen = {name: [one for one in session.observations if one.camera == name] for name in setup.cameras}
    seen = {name: found for name, found in seen.items() if found}
    if len(seen) < 2:
        raise UserError(f"session {path}: poses of {len(seen)} cameras are in it, two or more are needed")
    if any(one.xy.shape[0] != 1 for found in seen.values() for one in found):
        raise UserError(
            f"session {path}: several animals were tracked, and recordings of one are placed; a run with "
            "`views` places several itself"
        )
    base = max(seen, key=lambda name: len(seen[name]))
    rows = _together(seen, base)
    xy = np.full((len(seen), len(seen[base]), len(setup.keypoints), 2), np.nan)
    cov = np.full((*xy.shape, 2), np.nan)
    t_ns = np.full(xy.shape[:2], -1, np.int64)
    for v, (name, found) in enumerate(seen.items()):
        tracking = setup.tracking_of(name)
        for row, one in zip(rows[name], found, strict=True):
            if row >= 0:
                sure = one.confidence.array()[0] >= min_confidence
                xy[v, row] = np.where(sure[:, None], one.xy.array()[0], np.nan)
                cov[v, row] = error_covariance(one.cov.array()[0], tracking)
                t_ns[v, row] = _time(one)
    sizes = {
        name: (info.width, info.height)
        for name, info in session.info.cameras.items()
        if info.offset_xy == (0, 0)
    }
    numbers = [one.stamps.index for one in seen[base]]
    return ViewPoses(list(seen), setup.keypoints, numbers, xy, cov, sizes, t_ns)


def _together(seen: dict[str, list[Observation]], base: str) -> dict[str, list[int]]:
    """The frame of one camera that each camera's frames were exposed with; -1 where there is none."""
    times = {name: np.array([_time(one) for one in found], np.int64) for name, found in seen.items()}
    at = times[base]
    order = np.argsort(at, kind="stable")
    tolerance = float(np.median(np.diff(at[order]))) / 2 if len(at) > 1 else 0.0
    rows = {}
    for name, own in times.items():
        after = np.searchsorted(at[order], own).clip(1, max(len(at) - 1, 1))
        pair = np.stack([order[after - 1], order[np.minimum(after, len(at) - 1)]])
        distance = np.abs(at[pair] - own)
        nearest = pair[distance.argmin(axis=0), np.arange(len(own))]
        rows[name] = np.where(distance.min(axis=0) <= tolerance, nearest, -1).tolist()
    return rows


def _time(seen: Observation) -> int:
    exposed = seen.stamps.t_exposure_ns
    return seen.stamps.t_scene_ns if exposed is None else exposed
