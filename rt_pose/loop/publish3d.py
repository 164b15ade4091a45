"""A group's tracks in space as messages: `pose3d/GROUP/` and `prediction3d/GROUP/`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rt_pose.decisions.rig_time import cause_ns
from rt_pose.loop.latency import frame_latency
from rt_pose.loop.publish import Publisher, plain_probabilities
from rt_pose.types import FrameStamps, StageStamps, Track3D

FIELDS_3D = ["x", "y", "z", "p", "sxx", "sxy", "sxz", "syy", "syz", "szz", "vx", "vy", "vz"]
_ROWS, _COLUMNS = np.triu_indices(3)


class GroupPublisher:
    """Publishes the tracks of one group; its buffer is made once."""

    def __init__(self, publisher: Publisher, group: str, shape: tuple[int, int]) -> None:
        """Make the buffer.

        Parameters
        ----------
        publisher
            The publishing socket.
        group
            Name of the group.
        shape
            N animals and K keypoints.
        """
        self._publisher, self._group = publisher, group
        self.shape = shape
        """As given."""
        self._buffer = np.empty((*shape, len(FIELDS_3D)), dtype="<f4")

    def publish(self, kind: str, track: Track3D, header: dict[str, Any], t_pub_ns: int | None = None) -> None:
        """Publish a track.

        Parameters
        ----------
        kind
            `pose3d` for the track at the newest exposure, `prediction3d` for that at the time of effect.
        track
            Positions (K, 3) mm, of several animals (N, K, 3), velocities mm/s, covariances; with views and
            confidence.
        header
            What is the same for both: times, frame, latency, errors.
        t_pub_ns
            What the message says of its publication; None for now.
        """
        assert track.views is not None
        assert track.confidence is not None
        buffer, shape, who = self._buffer, self.shape, track.individuals
        buffer[..., 0:3] = track.xyz
        buffer[..., 3] = track.confidence
        buffer[..., 4:10] = track.cov[..., _ROWS, _COLUMNS]
        buffer[..., 10:13] = track.velocity
        message = {
            "group": self._group,
            **header,
            "t_valid_ns": track.t_valid_ns,
            "lost": track.lost.reshape(shape).tolist(),
            "views": track.views.reshape(shape).tolist(),
            "shape": list(buffer.shape),
            "fields": FIELDS_3D,
        }
        if who is not None:
            message["individuals"] = self._publisher.individuals
            message["identity_p"] = plain_probabilities(who)
            message["alive"] = who.alive.tolist()
        self._publisher.send_array(f"{kind}/{self._group}/", message, buffer, t_pub_ns)


def group_header(
    camera: str,
    stamps: FrameStamps,
    stages: StageStamps,
    at_ns: int,
    budget_ms: float | None,
    late: int,
    error_px: dict[str, float | None],
) -> dict[str, Any]:
    """Make what the messages of a group's turn have in common.

    Parameters
    ----------
    camera, stamps
        Of the newest frame used.
    stages
        Times of the group's track and decision.
    at_ns
        When it was published, for its age.
    budget_ms
        Longest time from exposure to decision that meets the deadline, ms; None for none.
    late
        Observations that were too old, so far.
    error_px
        By camera, as of `Track3DRecord`.

    Returns
    -------
    dict[str, Any]
        The header, without what follows from the track.
    """
    latency_ms = frame_latency(stamps, stages).exposure_to_decision
    return {
        "camera": camera,
        "frame": stamps.index,
        "t_exposure_ns": stamps.t_exposure_ns,
        "t_scene_ns": stamps.t_scene_ns,
        "age_ns": at_ns - cause_ns(stamps),
        "deadline_met": budget_ms is None or not latency_ms > budget_ms,
        "late": late,
        "error_px": error_px,
        "latency_ms": {"exposure_to_decision": latency_ms},
    }
