"""What one group of cameras of a session placed in space, at any time of it. No Qt in here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque

import numpy as np
from numpy.typing import NDArray

from rt_pose.decisions.rig_time import cause_ns
from rt_pose.session.group_tracks import GroupTrack, group_tracks, individuals_in_space
from rt_pose.session.read import Session
from rt_pose.viewer.curves import Curve
from rt_pose.viewer.group_curves import group_curves
from rt_pose.viewer.group_sample import FIXED, sample
from rt_pose.viewer.group_state import FARTHEST_NS, Group, GroupState
from rt_pose.viewer.messages import GroupBody, LatencyMs, Pose3DHeader, Pose3DMessage
from rt_pose.viewer.recorded_camera import POSES_KEPT

FIELDS = ["x", "y", "z", "p", "sxx", "sxy", "sxz", "syy", "syz", "szz", "vx", "vy", "vz"]


class RecordedGroup:
    """The turns of one group, in order of their times."""

    def __init__(self, session: Session, name: str) -> None:
        """Bring its tracks and their observations together.

        Parameters
        ----------
        session
            The session.
        name
            Name of the group.
        """
        self.group = Group.of(session.info.views[name])
        self._session_id, self._animals = session.info.id, individuals_in_space(session, name)
        self.turns = sorted(group_tracks(session, name), key=_time_of)
        self.t_ns = [_time_of(turn) for turn in self.turns]
        """Exposures of the newest observations, ns."""
        turns = [one for one in session.groups if one.group == name]
        self._counted_ns = [one.t_ns for one in turns]
        counts = np.array([[len(one.used), len(one.late)] for one in turns], np.int64).reshape(-1, 2)
        self._counts = np.vstack([np.zeros((1, 2), np.int64), counts.cumsum(axis=0)])
        self._poses: dict[int, Pose3DMessage] = {}
        self._samples = _samples(self.turns, len(self.group.info.cameras))
        """(3 + V, S)."""

    def pose(self, i: int) -> Pose3DMessage:
        """Get what was placed in a turn.

        Parameters
        ----------
        i
            Its place, from 0.

        Returns
        -------
        Pose3DMessage
            As it was published.
        """
        found = self._poses.get(i)
        if found is None:
            if len(self._poses) >= POSES_KEPT:
                self._poses.clear()
            found = self._poses[i] = _pose(self.turns[i], self._session_id, self._animals)
        return found

    def state(self, t_ns: int) -> GroupState:
        """Make the state of the group at a time.

        Parameters
        ----------
        t_ns
            The time, ns.

        Returns
        -------
        GroupState
            The newest pose of the time, and those that pictures of the time may be of.
        """
        last = bisect_right(self.t_ns, t_ns)
        first = bisect_left(self.t_ns, t_ns - 2 * FARTHEST_NS)
        poses = [self.pose(i) for i in range(first, last)]
        return GroupState(poses[-1] if poses else None, None, deque(poses))

    def curves(self, budget_ms: float | None, start_ns: int, end_ns: int) -> list[Curve]:
        """Make the curves over a span.

        Parameters
        ----------
        budget_ms
            The budget; None for none.
        start_ns, end_ns
            The span, ns; both ends are of it.

        Returns
        -------
        list[Curve]
            See `group_curves`.
        """
        first, last = bisect_left(self.t_ns, start_ns), bisect_right(self.t_ns, end_ns)
        t_ns = np.array(self.t_ns[first:last], np.int64)
        return group_curves(
            t_ns, self._samples[:, first:last], self.group.info, budget_ms, *self._animals[:1]
        )

    def figures(self, t_ns: int) -> GroupBody:
        """Compute what the group had come to at a time.

        Parameters
        ----------
        t_ns
            The time, ns.

        Returns
        -------
        GroupBody
            Counts, and the reprojection errors of the turn of each camera that was the newest.
        """
        used, late = self._counts[bisect_right(self._counted_ns, t_ns)].tolist()
        names = self.group.info.cameras
        errors: dict[str, float | None] = dict.fromkeys(names)
        last = bisect_right(self.t_ns, t_ns)
        for i in range(max(0, last - len(names)), last):
            found = zip(names, self.turns[i].track.error_px, strict=False)
            errors |= {name: px for name, px in found if px is not None}
        return GroupBody(used=used, late=late, restarts=None, error_px=errors)


def _samples(turns: list[GroupTrack], views: int) -> NDArray[np.float32]:
    found = np.empty((len(turns), FIXED + views), np.float32)
    before: NDArray[np.float32] | None = None
    for i, turn in enumerate(turns):
        track = turn.track
        errors = [*track.error_px, *[None] * views][:views]
        place, velocity = track.xyz.array().reshape(-1, 3)[0], track.velocity.array().reshape(-1, 3)[0]
        found[i] = before = sample(place, velocity, track.lost[0], turn.to_decision_ms, errors, before)
    return found.T


def _time_of(turn: GroupTrack) -> int:
    return cause_ns(turn.newest.stamps)


def _pose(turn: GroupTrack, session: str, animals: list[str]) -> Pose3DMessage:
    track = turn.track
    cov = track.cov.array().reshape(-1, 6, 6)[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    n = max(1, len(track.alive))
    k = len(track.lost) // n
    header = Pose3DHeader(
        v=1,
        session=session,
        seq=track.seq,
        t_pub_ns=_time_of(turn),
        shape=(n, k, len(FIELDS)),
        fields=FIELDS,
        t_exposure_ns=_time_of(turn),
        t_valid_ns=track.t_valid_ns,
        lost=[track.lost[who * k : (who + 1) * k] for who in range(n)],
        views=[track.views[who * k : (who + 1) * k] for who in range(n)],
        individuals=animals,
        identity_p=track.identity_p,
        alive=track.alive,
        latency_ms=LatencyMs(exposure_to_decision=turn.to_decision_ms),
    )
    return Pose3DMessage(
        header,
        track.xyz.array().astype(np.float32).reshape(-1, 3),
        cov.astype(np.float32),
        track.velocity.array().astype(np.float32).reshape(-1, 3),
        np.array(track.lost, bool),
        track.p.array().astype(np.float32).ravel(),
    )
