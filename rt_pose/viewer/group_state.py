"""What is known of the groups of cameras that see animals in space; no Qt in here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.types import FloatArray, ViewsInfo
from rt_pose.viewer.group_sample import sample
from rt_pose.viewer.messages import GroupBody, Pose3DMessage, PoseHeader, PoseMessage
from rt_pose.viewer.orthographic import Projection, Surroundings
from rt_pose.viewer.trace import Trace, time_of
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.described import described_cameras

POSES_KEPT = 512
"""Poses kept to be matched with the slower frames."""
FARTHEST_NS = 100 * NS_PER_MS
"""A pose is drawn on a picture that was exposed at most this long before or after it."""


@dataclass
class Group:
    """A group of cameras, as the session describes it."""

    info: ViewsInfo
    cameras: dict[str, CalibratedCamera]
    """By name; none where this program cannot read them."""

    @classmethod
    def of(cls, info: ViewsInfo) -> Group:
        """Make what is drawn by.

        Parameters
        ----------
        info
            The session's description.

        Returns
        -------
        Group
            Without cameras where their numbers cannot be right.
        """
        try:
            return cls(info, described_cameras(info))
        except UserError:
            return cls(info, {})

    @property
    def upright(self) -> bool:
        """Whether z is the height above the floor."""
        return self.info.up is not None

    @property
    def surroundings(self) -> Surroundings:
        """Where its cameras look."""
        return Surroundings.of(self.cameras.values(), self.upright)


@dataclass
class GroupState:
    """The newest of one group."""

    pose: Pose3DMessage | None = None
    prediction: Pose3DMessage | None = None
    recent: deque[Pose3DMessage] = field(default_factory=lambda: deque(maxlen=POSES_KEPT))
    """Oldest first."""
    trace: Trace | None = None
    """Samples of `rt_pose.viewer.group_sample`; None before the first."""
    _newest: NDArray[np.float32] | None = None

    def take(self, kind: str, pose: Pose3DMessage) -> None:
        """Take a message in.

        Parameters
        ----------
        kind
            `pose3d` or `prediction3d`.
        pose
            The message.
        """
        if kind == "prediction3d":
            self.prediction = pose
            return
        self.pose = pose
        self.recent.append(pose)
        header = pose.header
        latency_ms = header.latency_ms.exposure_to_decision
        errors = list(header.error_px.values())
        row = sample(pose.xyz[0], pose.velocity[0], bool(pose.lost[0]), latency_ms, errors, self._newest)
        if self.trace is None or self.trace.channels != len(row):
            self.trace = Trace(len(row))
        self.trace.append(time_of(pose), row)
        self._newest = row

    def near(self, t_ns: int) -> Pose3DMessage | None:
        """Find the pose nearest to a time.

        Parameters
        ----------
        t_ns
            Time of an exposure, ns.

        Returns
        -------
        Pose3DMessage | None
            None where none is within `FARTHEST_NS`.
        """
        found: Pose3DMessage | None = None
        nearest = FARTHEST_NS
        for pose in reversed(self.recent):
            distance = abs(time_of(pose) - t_ns)
            if distance <= nearest:
                found, nearest = pose, distance
            elif found is not None or time_of(pose) < t_ns:
                break  # those before are further away
        return found


def pose_age_ns(state: GroupState | None, now_ns: int) -> int | None:
    """Compute the age of what is shown of a group: from its exposure to now.

    Parameters
    ----------
    state
        What is known of the group.
    now_ns
        Host time now, ns.

    Returns
    -------
    int | None
        The age, ns; None where nothing is shown.
    """
    return None if state is None or state.pose is None else now_ns - time_of(state.pose)


def reproject(camera: CalibratedCamera, pose: Pose3DMessage, t_ns: int) -> FloatArray:
    """Find where a camera should see the keypoints.

    Parameters
    ----------
    camera
        The camera.
    pose
        The keypoints in space.
    t_ns
        Exposure of the camera's picture, ns: keypoints are carried on to it with their velocities.

    Returns
    -------
    FloatArray
        (M, 2) px; NaN of one that is lost, or outside of what the lens can show.
    """
    dt_s = (t_ns - time_of(pose)) / NS_PER_S
    xyz = pose.xyz.astype(np.float64) + dt_s * pose.velocity.astype(np.float64)
    return camera.project(np.where(pose.lost[:, None], np.nan, xyz))


def flatten(pose: Pose3DMessage, projection: Projection) -> PoseMessage:
    """Project keypoints in space onto a pane, where they are drawn as those of a camera are.

    Parameters
    ----------
    pose
        The keypoints in space.
    projection
        The direction in which they are looked at.

    Returns
    -------
    PoseMessage
        Places, covariances and velocities in the unit of the group.
    """
    given, (n, k) = pose.header, pose.header.shape[:2]
    header = PoseHeader(
        v=given.v,
        session=given.session,
        seq=given.seq,
        t_pub_ns=given.t_pub_ns,
        frame=given.seq,
        shape=(n, k, 0),
        fields=[],
        t_exposure_ns=given.t_exposure_ns,
        individuals=given.individuals,
        identity_p=given.identity_p,
        alive=given.alive,
    )
    return PoseMessage(
        header,
        projection.project(pose.xyz.astype(np.float64)).astype(np.float32).reshape(n, k, 2),
        projection.project_cov(pose.cov.astype(np.float64)).astype(np.float32).reshape(n, k, 3),
        projection.project(pose.velocity.astype(np.float64)).astype(np.float32).reshape(n, k, 2),
        pose.lost.reshape(n, k),
        pose.confidence.reshape(n, k),
    )


def reprojection(
    groups: Mapping[str, Group], states: Mapping[str, GroupState], camera: str, t_ns: int | None
) -> FloatArray | None:
    """Find where a camera should see what its group has placed in space.

    Parameters
    ----------
    groups, states
        By name.
    camera
        Name of the camera.
    t_ns
        Exposure of what is shown of it, ns; None for nothing.

    Returns
    -------
    FloatArray | None
        (M, 2) px; None of a camera without a group, and where the group has placed nothing at that time.
    """
    for name, group in groups.items():
        calibrated, state = group.cameras.get(camera), states.get(name)
        if calibrated is None or state is None or t_ns is None:
            continue
        pose = state.near(t_ns)
        return None if pose is None else reproject(calibrated, pose, t_ns)
    return None


def describe_group(found: GroupBody | None) -> str:
    """Describe what a group has come to.

    Parameters
    ----------
    found
        Its figures; None where they are not known.

    Returns
    -------
    str
        For the foot of its pane.
    """
    if found is None:
        return ""
    errors = [f"{name} {'–' if px is None else f'{px:.1f}'}" for name, px in found.error_px.items()]
    lines = [f"reprojection error, px: {', '.join(errors)}"] if errors else []
    again = "" if found.restarts is None else f", {found.restarts:,} restarts"
    lines.append(f"{found.used:,} observations used, {found.late:,} late{again}")
    lines += [f"no longer fits the calibration: {', '.join(found.wrong)}"] if found.wrong else []
    return "\n".join(lines)


def describe_in_space(pose: Pose3DMessage, who: int, k: int, names: list[str], unit: str) -> str:
    """Describe a keypoint in space.

    Parameters
    ----------
    pose
        What is shown.
    who, k
        Numbers of the animal and of the keypoint.
    names
        Names of the keypoints.
    unit
        Of lengths.

    Returns
    -------
    str
        Name, place, speed, uncertainty, and how many cameras saw it lately.
    """
    name, m = names[k] if k < len(names) else str(k), who * pose.header.shape[1] + k
    if pose.header.individuals:
        name = f"{pose.header.individuals[who]}.{name}"
    place = ", ".join(f"{value:.1f}" for value in pose.xyz[m].tolist())
    spread = float(np.sqrt(np.maximum(pose.cov[m, [0, 3, 5]].mean(), 0.0)))
    lines = [
        f"{name} (lost)" if pose.lost[m] else name,
        f"{place} {unit} ± {spread:.2g} {unit}",
        f"speed {float(np.linalg.norm(pose.velocity[m])):.0f} {unit}/s",
    ]
    if pose.header.views:
        lines.append(f"seen by {pose.header.views[who][k]} cameras")
    return "\n".join(lines)
