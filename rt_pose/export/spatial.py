"""Tracks in space as they are exported: those of a group of cameras, with the cameras themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.export.times import exposure_times
from rt_pose.records import ArrayData
from rt_pose.session.group_tracks import GroupTrack, group_tracks, individuals_in_space
from rt_pose.session.read import Session
from rt_pose.types import FloatArray, ViewsInfo
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.described import described_cameras

MOMENTS = ("xx", "xy", "xz", "yy", "yz", "zz")
"""Of a covariance, in the order of its six numbers."""
UPPER = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])


@dataclass
class SpatialPoses:
    """F times of one animal with K keypoints in space, as V cameras saw it; each of several has its own."""

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
    individual: str = ""
    """Which of several animals; empty where there is one."""
    number: int = 0
    """Of its slot."""
    identity_p: FloatArray | None = None
    """(F,) probability that its slot still holds who it held at its birth; NaN where it is empty."""

    @property
    def name(self) -> str:
        """Of the group, with the animal's where there are several."""
        return f"{self.group}/{self.individual}" if self.individual else self.group


def spatial_poses(session: Session, group: str, zero_ns: int) -> list[SpatialPoses]:
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
    list[SpatialPoses]
        Of each animal a row for each exposure at which something was decided; none where the log holds no
        track of the group.

    Raises
    ------
    UserError
        Where the session does not describe its cameras.
    """
    turns = group_tracks(session, group)
    info = session.info.views[group]
    if not turns:
        return []
    t_ns = _times(session, info.cameras, turns)
    order = np.argsort(t_ns, kind="stable")
    order = order[np.diff(t_ns[order], append=t_ns[order[-1]] + 1) > 0]
    kept, names = [turns[i] for i in order], individuals_in_space(session, group)
    t_s, same_time = (t_ns[order] - zero_ns) / NS_PER_S, len(turns) - len(kept)
    return [_animal(session, group, kept, t_s, same_time, n, name) for n, name in enumerate(names or [""])]


def _animal(
    session: Session, group: str, kept: list[GroupTrack], t_s: FloatArray, same_time: int, n: int, name: str
) -> SpatialPoses:
    """What was placed of the animal of one slot; its name is empty where it is the only one."""
    info = session.info.views[group]
    cameras, keypoints = described_cameras(info), info.keypoints
    index = {keypoint: k for k, keypoint in enumerate(keypoints)}
    tracks = [turn.track for turn in kept]
    rows = slice(n * len(keypoints), (n + 1) * len(keypoints))

    def own(array: ArrayData) -> FloatArray:
        return array.array()[n] if name else array.array()

    cov = np.stack([own(track.cov) for track in tracks])
    poses = SpatialPoses(
        group=group,
        info=info,
        cameras=list(cameras.values()),
        keypoints=keypoints,
        skeleton=[(index[a], index[b]) for a, b in session.info.package.skeleton],
        t_s=t_s,
        xyz=np.stack([own(track.xyz) for track in tracks]),
        confidence=np.stack([own(track.p) for track in tracks]),
        covariance=cov[..., UPPER[0], UPPER[1]],
        velocity=np.stack([own(track.velocity) for track in tracks]),
        velocity_var=cov[..., [3, 4, 5], [3, 4, 5]],
        views=np.array([track.views[rows] for track in tracks], np.int64),
        error_px=np.stack([_errors(turn, cameras, n) for turn in kept]),
        same_time=same_time,
        individual=name,
        number=n,
        identity_p=np.array([track.identity_p[n] for track in tracks], np.float64) if name else None,
    )
    lost = np.array([track.lost[rows] for track in tracks], bool)
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


def _errors(turn: GroupTrack, cameras: dict[str, CalibratedCamera], n: int) -> FloatArray:
    """(K,) px: how far what was seen of an animal in a turn lies from its track at that exposure."""
    track = turn.track
    xyz, velocity, several = track.xyz.array(), track.velocity.array(), bool(track.alive)
    if several:
        xyz, velocity = xyz[n], velocity[n]
    rows = dict(zip(turn.turn.used, track.detection, strict=False))
    squares = []
    for seen in turn.used:
        row = rows[seen.seq][n] if several else 0
        if seen.camera in cameras and row >= 0:
            dt_s = (seen.stamps.t_scene_ns - track.t_valid_ns) / NS_PER_S
            expected = cameras[seen.camera].project(xyz + dt_s * velocity)
            squares.append(np.square(expected - seen.xy.array()[row]).sum(axis=-1))
    if not squares:
        return np.full(len(xyz), np.nan)
    found = np.array(squares)
    known = np.isfinite(found)
    count = known.sum(axis=0)
    mean: FloatArray = np.where(known, found, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, np.sqrt(mean), np.nan)
