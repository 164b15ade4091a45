"""The truth of groups of views: smoothed from what all their cameras saw, or known to a simulated rig.

What a group used is told by the log; its epochs are computed again. The smoother has the model and the
parameters of the run's filter; it goes forward and backward within an epoch, since nothing goes on from one
to the next. Exposures of several cameras within `TOGETHER_NS` are one moment of the truth, at the time of the
last of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rt_pose.audit.recompute import ReplaySetup, logged_pose, turn_poses
from rt_pose.audit.truth import SpatialTruth, TruthInSpace, central_differences
from rt_pose.clock import NS_PER_MS
from rt_pose.offline.smooth_views import smooth_views
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.package import TrackingSpec
from rt_pose.records import GroupRecord, Observation
from rt_pose.session.read import Session
from rt_pose.types import FloatArray, FrameStamps, Pose
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.group_tracker import GroupTracker, observation_of
from rt_pose.views.groups import to_axes, tracking_spec

TOGETHER_NS = NS_PER_MS
SAME_AXES_PX = 10.0
"""So far (median) may the places that a rig knows lie on a camera's image from where that camera saw them: a
calibration errs by less, and other axes by far more."""
LEAST_MOMENTS = 2
"""Of one place there is no velocity."""


class _Exposure(NamedTuple):
    """What one camera saw at one time, as the filter in space takes it."""

    t_ns: int
    view: int
    xy: FloatArray
    """(K, 2) px."""
    cov: FloatArray
    """(K, 2, 2) px^2."""


class _KnownFrame(NamedTuple):
    """Where a rig knows the keypoints of a frame to be."""

    stamps: FrameStamps
    xyz: FloatArray
    """(K, 3) mm, in the rig's own axes."""
    xy: FloatArray
    """(K, 2) px."""


@dataclass
class _Epoch:
    """What a group used until its time went back."""

    exposures: list[_Exposure] = field(default_factory=list)
    placed: dict[int, FloatArray] = field(default_factory=dict)
    """By the time of the newest exposure, where the run's filter had the keypoints then, (K, 3)."""


@dataclass
class _History:
    """What a group used over a session."""

    tracker: GroupTracker
    cameras: list[CalibratedCamera]
    noise: dict[str, TrackingSpec]
    spec: TrackingSpec3D
    epochs: defaultdict[int, _Epoch] = field(default_factory=lambda: defaultdict(_Epoch))
    stamps: dict[int, FrameStamps] = field(default_factory=dict)
    """As of `TruthInSpace`."""
    epoch_of: dict[tuple[str, int], int] = field(default_factory=dict)
    """The group's epoch by that of a camera."""

    @classmethod
    def of(cls, setup: ReplaySetup, group: str) -> _History:
        """Begin with nothing used."""
        cameras = setup.views[group]
        noise = {camera.name: setup.tracking_of(camera.name) for camera in cameras}
        spec = tracking_spec(setup.config.views[group].tracking, cameras, noise, f"views.{group}")
        return cls(setup.group_of(group), cameras, noise, spec)

    def take(self, taken: GroupRecord, newest: Mapping[str, tuple[int, Pose]]) -> None:
        """Take in a turn of the group."""
        poses = dict(turn_poses(newest, taken, self.tracker))
        used = self.tracker.step(list(poses.items())).used
        group = self.tracker.group
        if not used or group.newest_ns is None:
            return
        stamps = self.stamps[taken.seq] = self.tracker.stamps
        epoch = self.epochs[stamps.epoch]
        for seq in used:
            pose = poses[seq]
            xy, cov, _ = observation_of(pose, self.noise[pose.camera])
            view = next(v for v, camera in enumerate(self.cameras) if camera.name == pose.camera)
            epoch.exposures.append(_Exposure(pose.stamps.t_scene_ns, view, xy, cov))
            self.epoch_of[pose.camera, pose.stamps.epoch] = stamps.epoch
        epoch.placed[group.newest_ns] = group.predict(group.newest_ns).xyz


def truths_in_space(session: Session, setup: ReplaySetup) -> tuple[TruthInSpace, TruthInSpace]:
    """Find where the animal truly was in space, for every group that judges a rule.

    Parameters
    ----------
    session
        The session, of one animal.
    setup
        What its decisions depend on.

    Returns
    -------
    tuple[TruthInSpace, TruthInSpace]
        The session smoothed in hindsight, and what the rig itself knew; a series for each group and epoch.
    """
    histories = _histories(session, setup)
    stamps = {seq: one for history in histories.values() for seq, one in history.stamps.items()}
    smoothed, known = TruthInSpace([], {}, stamps), TruthInSpace([], {}, stamps)
    frames = _known_frames(session)
    for name, history in histories.items():
        if not history.epochs:
            smoothed.reasons[name] = known.reasons[name] = f"no frame of '{name}' is in the log"
            continue
        smoothed.series += [_smoothed(name, number, history) for number in history.epochs]
        found = _known(name, history, setup, frames)
        if isinstance(found, str):
            known.reasons[name] = found
        else:
            known.series += found
    return smoothed, known


def _histories(session: Session, setup: ReplaySetup) -> dict[str, _History]:
    """By group that judges a rule, what it used; computed again, for its epochs are in no record."""
    judging = {rule.view for rule in setup.config.rules}
    found = {name: _History.of(setup, name) for name in setup.views if name in judging}
    newest: dict[str, tuple[int, Pose]] = {}
    for item in session.inputs:
        if isinstance(item, Observation):
            newest[item.camera] = item.seq, logged_pose(item)
        elif isinstance(item, GroupRecord) and item.group in found:
            found[item.group].take(item, newest)
    return found


# ------------------------------------------------------------ smoothed


def _smoothed(name: str, number: int, history: _History) -> SpatialTruth:
    """One epoch of a group, smoothed."""
    epoch = history.epochs[number]
    sequence = _sequence(epoch, len(history.cameras))
    t_ns = np.zeros(sequence.xy.shape[1], np.int64)
    t_ns[sequence.frame] = sequence.t_ns  # of several exposures of a moment that of the last
    # About these places the smoother's first pass is linear; where there is none it takes those around.
    placed = np.full((*sequence.xy.shape[1:3], 3), np.nan)
    for row, at_ns in enumerate(t_ns.tolist()):
        if at_ns in epoch.placed:
            placed[row] = epoch.placed[at_ns]
    mean, _, _ = smooth_views(history.cameras, sequence, history.spec, placed)
    source = "the session smoothed in hindsight"
    return SpatialTruth(source, name, number, t_ns, mean[..., :3], mean[..., 3:])


def _sequence(epoch: _Epoch, views: int) -> ViewSequence:
    """What was seen in an epoch, in order of time, a row a moment."""
    exposures = sorted(epoch.exposures, key=lambda one: (one.t_ns, one.view))
    rows = _moments(exposures)
    xy = np.full((views, rows[-1] + 1, *exposures[0].xy.shape), np.nan)
    cov = np.full((*xy.shape, 2), np.nan)
    for row, one in zip(rows, exposures, strict=True):
        xy[one.view, row], cov[one.view, row] = one.xy, one.cov
    view, t_ns = (np.array([getattr(one, key) for one in exposures], np.int64) for key in ("view", "t_ns"))
    return ViewSequence(view, np.array(rows, np.int64), t_ns, xy, cov, late=0)


def _moments(exposures: list[_Exposure]) -> list[int]:
    """The moment of each exposure, numbered from 0; in none of them a camera comes twice."""
    rows: list[int] = []
    begun_ns, seen = 0, set[int]()
    for one in exposures:
        if not rows or one.view in seen or one.t_ns - begun_ns > TOGETHER_NS:
            rows.append(rows[-1] + 1 if rows else 0)
            begun_ns, seen = one.t_ns, {one.view}
        else:
            rows.append(rows[-1])
            seen.add(one.view)
    return rows


# ------------------------------------------------------------ known to the rig


def _known_frames(session: Session) -> dict[str, list[_KnownFrame]]:
    """By camera, the frames of which the rig knows where the animal was in space."""
    stamps = {(frame.camera, frame.stamps.index): frame.stamps for frame in session.frames}
    found: dict[str, list[_KnownFrame]] = defaultdict(list)
    for truth in session.truths:
        of_frame = stamps.get((truth.camera, truth.index))
        if of_frame is not None and truth.xyz is not None and truth.xyz.shape[0] == 1:
            found[truth.camera].append(_KnownFrame(of_frame, truth.xyz.array()[0], truth.xy.array()[0]))
    return found


def _known(
    name: str, history: _History, setup: ReplaySetup, frames: Mapping[str, list[_KnownFrame]]
) -> list[SpatialTruth] | str:
    """What the rig knew of each epoch of a group; or why that cannot be told.

    A place in space is the same whichever camera's frame it is of. So the camera with the most frames is
    taken, since its frames are evenly spaced.
    """
    found = []
    for number in history.epochs:
        of_camera = {
            camera: [one for one in frames.get(camera.name, ()) if _epoch_of(history, camera, one) == number]
            for camera in history.cameras
        }
        camera, rows = max(of_camera.items(), key=lambda item: len(item[1]))
        rows.sort(key=lambda one: one.stamps.t_scene_ns)
        t_ns = np.array([one.stamps.t_scene_ns for one in rows], np.int64)
        later = np.diff(t_ns, prepend=t_ns[:1] - 1) > 0
        if later.sum() < LEAST_MOMENTS:
            continue
        xyz, xy = (np.stack([getattr(one, key) for one in rows])[later] for key in ("xyz", "xy"))
        xyz = to_axes(setup.config.views[name], xyz, f"views.{name}")
        off = np.linalg.norm(camera.project(xyz) - xy, axis=-1)
        off = off[np.isfinite(off)]
        if not off.size or np.median(off) > SAME_AXES_PX:
            return f"the axes of the rig's own places are not those of the calibration of '{name}'"
        velocity = central_differences(t_ns[later], xyz)
        found.append(SpatialTruth("the truth that the rig knew", name, number, t_ns[later], xyz, velocity))
    return found or "the rig knows where the animal is in the frames of its cameras, not in space"


def _epoch_of(history: _History, camera: CalibratedCamera, frame: _KnownFrame) -> int | None:
    return history.epoch_of.get((camera.name, frame.stamps.epoch))
