"""Tracks in space as they are exported: those of a group of cameras, with the cameras themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.export.times import exposure_times
from rt_pose.session.group_tracks import GroupTrack, group_tracks
from rt_pose.session.read import Session
from rt_pose.types import FloatArray, ViewsInfo
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.described import described_cameras

MOMENTS = ("xx", "xy", "xz", "yy", "yz", "zz")
"""Of a covariance, in the order of its six numbers."""
UPPER = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])


@dataclass
class SpatialPoses:
    """F times of one animal with K keypoints in space, as V cameras saw it."""

    group: str
    info: ViewsInfo
    cameras: list[CalibratedCamera]
    """V of them, in the axes of the tracks."""
    keypoints: list[str]
    skeleton: list[tuple[int, int]]
    """Bones, as pairs of keypoints' numbers."""
    t_s: FloatArray
    """(F,) s from the recording's first frame, ascending: exposures of the newest observation."""
    xyz: FloatArray
    """(F, K, 3) in the unit of `info`; NaN where the keypoint was lost."""
    confidence: FloatArray
    """(F, K) 0..1, as published."""
    covariance: FloatArray
    """(F, K, 6): sxx, sxy, sxz, syy, syz, szz."""
    velocity: FloatArray
    """(F, K, 3) unit/s."""
    velocity_var: FloatArray
    """(F, K, 3) variances."""
    views: NDArray[np.int64]
    """(F, K) how many cameras saw it within the gate just before."""
    error_px: FloatArray
    """(F, K) root mean square of the distances from what the cameras saw at that time; NaN where none did."""
    same_time: int = 0
    """Tracks at the very time of another one: of these the last counts, which is of the most observations."""


def spatial_poses(session: Session, group: str, zero_ns: int) -> SpatialPoses | None:
    """Collect what a group has placed in space.

    Parameters
    ----------
    session
        The session.
    group
        Name of the group.
    zero_ns
        Host time at which the export's times begin.

    Returns
    -------
    SpatialPoses | None
        A row for each exposure at which something was decided; None where the log holds no track of it.

    Raises
    ------
    UserError
        Where the session does not describe its cameras.
    """
    turns = group_tracks(session, group)
    info = session.info.views[group]
    cameras = described_cameras(info)
    if not turns:
        return None
    t_ns = _times(session, info.cameras, turns)
    order = np.argsort(t_ns, kind="stable")
    order = order[np.diff(t_ns[order], append=t_ns[order[-1]] + 1) > 0]
    kept = [turns[i] for i in order]
    tracks = [turn.track for turn in kept]
    keypoints = info.keypoints
    index = {name: k for k, name in enumerate(keypoints)}
    cov = np.stack([track.cov.array() for track in tracks])
    poses = SpatialPoses(
        group=group,
        info=info,
        cameras=list(cameras.values()),
        keypoints=keypoints,
        skeleton=[(index[a], index[b]) for a, b in session.info.package.skeleton],
        t_s=(t_ns[order] - zero_ns) / NS_PER_S,
        xyz=np.stack([track.xyz.array() for track in tracks]),
        confidence=np.stack([track.p.array() for track in tracks]),
        covariance=cov[..., UPPER[0], UPPER[1]],
        velocity=np.stack([track.velocity.array() for track in tracks]),
        velocity_var=cov[..., [3, 4, 5], [3, 4, 5]],
        views=np.array([track.views for track in tracks], np.int64),
        error_px=np.stack([_errors(turn, cameras) for turn in kept]),
        same_time=len(turns) - len(kept),
    )
    lost = np.array([track.lost for track in tracks], bool)
    for values in (poses.xyz, poses.covariance, poses.velocity, poses.velocity_var, poses.error_px):
        values[lost] = np.nan
    return poses


def _times(session: Session, cameras: Sequence[str], turns: list[GroupTrack]) -> NDArray[np.int64]:
    """(T,) host time of the newest exposure of each turn, ns."""
    t_ns: dict[int, int] = {}
    for camera in cameras:
        seen = [one for one in session.observations if one.camera == camera]
        if seen:
            found, _ = exposure_times([one.stamps for one in seen])
            t_ns |= dict(zip((one.seq for one in seen), found.tolist(), strict=True))
    return np.array([t_ns[turn.newest.seq] for turn in turns], np.int64)


def _errors(turn: GroupTrack, cameras: dict[str, CalibratedCamera]) -> FloatArray:
    """(K,) px: how far what was seen in a turn lies from the track at that exposure."""
    xyz, velocity = turn.track.xyz.array(), turn.track.velocity.array()
    squares = []
    for seen in turn.used:
        if seen.camera in cameras:
            dt_s = (seen.stamps.t_scene_ns - turn.track.t_valid_ns) / NS_PER_S
            expected = cameras[seen.camera].project(xyz + dt_s * velocity)
            squares.append(np.square(expected - seen.xy.array()[0]).sum(axis=-1))
    if not squares:
        return np.full(len(xyz), np.nan)
    found = np.array(squares)
    known = np.isfinite(found)
    count = known.sum(axis=0)
    mean: FloatArray = np.where(known, found, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, np.sqrt(mean), np.nan)
