"""From the poses of a turn's frames to a group's tracks in space, live and in replay alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from rt_pose.package import TrackingSpec
from rt_pose.tracking.individuals import choose_detections
from rt_pose.tracking.observation_noise import error_covariance
from rt_pose.types import FloatArray, FrameStamps, Pose
from rt_pose.views.individual_group import IndividualViewGroup
from rt_pose.views.live import ViewGroup


@dataclass(slots=True)
class GroupTurn:
    """What a group took in of one turn; frames go by their sequence numbers among the loop's inputs."""

    used: list[int] = field(default_factory=list)
    """In the order in which they were used."""
    late: list[int] = field(default_factory=list)
    """Too old."""
    error_px: list[float | None] = field(default_factory=list)
    """By camera, as of `Track3DRecord`."""
    finding_changed: bool = False
    """Whether the check of the calibration says something else than before."""
    detection: list[list[int]] = field(default_factory=list)
    """Of several animals, as of `Track3DRecord`."""


class GroupTracker:
    """A group of views, fed with the poses of its cameras' frames."""

    def __init__(self, group: ViewGroup, noise: Mapping[str, TrackingSpec]) -> None:
        """Keep what observations are made with.

        Parameters
        ----------
        group
            The group.
        noise
            By camera, the parameters of its filter in the plane: what its network's covariances and
            confidences mean.
        """
        self.group = group
        self.newest: Pose | None = None
        """The pose with the newest exposure that was used."""
        self._views = {camera.name: v for v, camera in enumerate(group.cameras)}
        self._noise = [noise[camera.name] for camera in group.cameras]

    def __contains__(self, camera: str) -> bool:
        """Tell whether a camera of the run is one of the group's."""
        return camera in self._views

    def step(self, poses: Sequence[tuple[int, Pose]]) -> GroupTurn:
        """Take in the poses of a turn, in the order of their exposures.

        Parameters
        ----------
        poses
            Sequence number and pose of each frame; at most one of each camera, all of them of cameras of the
            group. Of several animals these are the detections as the network found them: the identities that
            the camera's own tracker gives them are its own.

        Returns
        -------
        GroupTurn
            What came of each.
        """
        group, turn, used = self.group, GroupTurn(), set()
        group.begin_turn()
        for seq, pose in sorted(poses, key=self._order):
            view, stamps, epoch = self._views[pose.camera], pose.stamps, group.epoch
            if not self._observe(view, pose, turn):
                turn.late.append(seq)
                continue
            turn.used.append(seq)
            used.add(view)
            if (
                self.newest is None
                or epoch != group.epoch
                or stamps.t_scene_ns >= self.newest.stamps.t_scene_ns
            ):
                self.newest = pose
        errors = group.error_px.tolist()
        turn.error_px = [
            error if v in used and math.isfinite(error) else None for v, error in enumerate(errors)
        ]
        if turn.used and group.newest_ns is not None:
            turn.finding_changed = group.check.advance(group.newest_ns)
        return turn

    @property
    def stamps(self) -> FrameStamps:
        """Stamps of the newest frame that was used, in the group's own count of epochs."""
        assert self.newest is not None
        return msgspec.structs.replace(self.newest.stamps, epoch=self.group.epoch)

    def _observe(self, view: int, pose: Pose, turn: GroupTurn) -> bool:
        """Give the group what a camera saw; whether it was used."""
        group, noise, stamps = self.group, self._noise[view], pose.stamps
        if not isinstance(group, IndividualViewGroup):
            return group.observe(view, stamps.t_scene_ns, *observation_of(pose, noise), stamps.epoch)
        rows = choose_detections(pose, group.most_detections)
        seen = _as_observed(pose.xy[rows], pose.cov[rows], pose.confidence[rows], noise)
        if not group.observe(view, stamps.t_scene_ns, *seen, stamps.epoch):
            return False
        turn.detection.append([-1 if d < 0 else int(rows[d]) for d in group.found.tolist()])
        return True

    def _order(self, item: tuple[int, Pose]) -> tuple[int, int]:
        pose = item[1]
        return pose.stamps.t_scene_ns, self._views[pose.camera]


def observation_of(pose: Pose, noise: TrackingSpec) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Make the observation of a pose, as the filter in space takes it.

    Parameters
    ----------
    pose
        The pose of one animal.
    noise
        What the network's covariances and confidences mean.

    Returns
    -------
    tuple[FloatArray, FloatArray, FloatArray]
        (K, 2) px, NaN where a keypoint counts as not seen; (K, 2, 2) px^2 covariances of the error; (K,)
        confidences.
    """
    return _as_observed(pose.xy[0], pose.cov[0], pose.confidence[0], noise)


def _as_observed(
    xy: FloatArray, cov: FloatArray, confidence: FloatArray, noise: TrackingSpec
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Keypoints (..., K) as of `observation_of`."""
    seen = np.where((confidence >= noise.min_confidence)[..., None], xy, np.nan)
    return seen, error_covariance(cov, noise), confidence
