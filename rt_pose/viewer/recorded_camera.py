"""What one camera of a session saw, at any time of it. No Qt in here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.decisions.rig_time import cause_ns
from rt_pose.loop.latency import frame_latency
from rt_pose.records import Observation, TrackRecord
from rt_pose.session.individuals import names_of_individuals, slot_confidence
from rt_pose.session.read import Session
from rt_pose.viewer.curves import ESTIMATE_HINT, LATENCY_HINT, Curve
from rt_pose.viewer.expressions import Expressions
from rt_pose.viewer.film import Film
from rt_pose.viewer.messages import LatencyMs, PoseHeader, PoseMessage
from rt_pose.viewer.view_state import CameraState

FIELDS = ["x", "y", "p", "sxx", "sxy", "syy", "vx", "vy"]
POSES_KEPT = 8192
BLOCK = 512
"""Frames of which expressions are computed at once."""
MEMORY_S = 8.0
"""Seconds before a block that expressions with a memory take in first."""


class RecordedCamera:
    """The frames of one camera, in order of their times."""

    def __init__(self, session: Session, camera: str) -> None:
        """Match tracks to the observations that they are of.

        Parameters
        ----------
        session
            The session.
        camera
            Name of the camera.
        """
        tracks = {track.seq: track for track in session.tracks if track.camera == camera}
        found = [(o, tracks[o.seq]) for o in session.observations if o.camera == camera and o.seq in tracks]
        self.frames = sorted(found, key=lambda pair: cause_ns(pair[0].stamps))
        self.t_ns = [cause_ns(observation.stamps) for observation, _ in self.frames]
        self.film = Film(session, camera)
        latencies = [frame_latency(o.stamps, o.stages) for o, _ in self.frames]
        pairs = [[one.image_to_decision, one.exposure_to_decision] for one in latencies]
        self.latency = np.array(pairs, np.float32).reshape(-1, 2).T
        """(2, F) ms: image to decision, exposure to decision."""
        self._session, self._camera = session, camera
        self._poses: dict[int, PoseMessage] = {}
        self._traced: Expressions | None = None
        self._blocks: dict[int, list[NDArray[np.float32]]] = {}

    def pose(self, i: int) -> PoseMessage:
        """Get the pose of a frame.

        Parameters
        ----------
        i
            Its place, from 0.

        Returns
        -------
        PoseMessage
            As it was published.
        """
        found = self._poses.get(i)
        if found is None:
            if len(self._poses) >= POSES_KEPT:
                self._poses.clear()
            found = self._poses[i] = _pose(*self.frames[i], self._session)
        return found

    def at(self, t_ns: int) -> int | None:
        """Find the frame that was the newest at a time.

        Parameters
        ----------
        t_ns
            The time, ns.

        Returns
        -------
        int | None
            Its place; None before the first one.
        """
        i = bisect_right(self.t_ns, t_ns) - 1
        return i if i >= 0 else None

    def state(self, t_ns: int) -> CameraState:
        """Make the state of the camera at a time.

        Parameters
        ----------
        t_ns
            The time, ns.

        Returns
        -------
        CameraState
            Frame and pose of the time; nothing before the first frame.
        """
        state = CameraState()
        i = self.at(t_ns)
        if i is not None:
            state.pose = self.pose(i)
            state.frame = self.film.frame(self.frames[i][0].stamps.t_arrival_ns)
            state.poses = {state.pose.header.frame: state.pose}
        return state

    def curves(
        self, expressions: Expressions, budget_ms: float | None, start_ns: int, end_ns: int
    ) -> list[Curve]:
        """Make the curves over a span; what is computed is kept until other expressions come.

        Parameters
        ----------
        expressions
            What is traced.
        budget_ms
            The budget; None for none.
        start_ns, end_ns
            The span, ns; both ends are of it.

        Returns
        -------
        list[Curve]
            A curve an expression, and last the latency.
        """
        if expressions is not self._traced:
            self._traced, self._blocks = expressions, {}
        first, last = bisect_left(self.t_ns, start_ns), bisect_right(self.t_ns, end_ns)
        t_ns = np.array(self.t_ns[first:last], np.int64)
        begun = first // BLOCK
        blocks = [
            self._block(block, expressions) for block in range(begun, max(begun, (last - 1) // BLOCK) + 1)
        ]
        curves = []
        for at, member in enumerate(expressions.members):
            values = np.concatenate([block[at] for block in blocks], axis=1)
            shown = values[:, first - begun * BLOCK : last - begun * BLOCK]
            hint = f"{member.text}\n{ESTIMATE_HINT}"
            curves.append(Curve(member.text, member.unit, t_ns, shown, hint=hint))
        latency = Curve("latency", "ms", t_ns, self.latency[:, first:last], budget_ms, LATENCY_HINT)
        return [*curves, latency]

    def _block(self, block: int, traced: Expressions) -> list[NDArray[np.float32]]:
        """The values of the expressions over `BLOCK` frames; memories begin some seconds before."""
        found = self._blocks.get(block)
        if found is not None:
            return found
        expressions = Expressions([member.text for member in traced.members], traced.scope)
        begin, end = block * BLOCK, min((block + 1) * BLOCK, len(self.frames))
        warm = begin
        if begin < end and any(member.has_memory for member in expressions.members):
            warm = bisect_left(self.t_ns, self.t_ns[begin] - round(MEMORY_S * NS_PER_S))
        channels, size = expressions.scope.individuals, max(end - begin, 0)
        made = [np.full((channels, size), np.nan, np.float32) for _ in expressions.members]
        for i in range(warm, end):
            rows = expressions.evaluate(self._camera, self.pose(i))
            if i >= begin:
                for values, row in zip(made, rows, strict=True):
                    values[: len(row), i - begin] = row[:channels]
        self._blocks[block] = made
        return made


def _pose(observation: Observation, track: TrackRecord, session: Session) -> PoseMessage:
    xy, cov = track.xy.array(), track.cov.array()
    latency = frame_latency(observation.stamps, observation.stages)
    n, k = xy.shape[:2]
    header = PoseHeader(
        v=1,
        session=session.info.id,
        seq=observation.seq,
        t_pub_ns=cause_ns(observation.stamps),
        frame=observation.stamps.index,
        shape=(n, k, len(FIELDS)),
        fields=FIELDS,
        t_exposure_ns=cause_ns(observation.stamps),
        t_valid_ns=track.t_valid_ns,
        latency_ms=LatencyMs(latency.image_to_pose, latency.image_to_decision, latency.exposure_to_decision),
        individuals=names_of_individuals(session.info.config, n) if n > 1 else [],
        identity_p=track.identity_p if len(track.identity_p) == n else [],
        alive=track.alive if len(track.alive) == n else [],
    )
    upper = np.stack([cov[..., 0, 0], cov[..., 0, 1], cov[..., 1, 1]], axis=-1)
    return PoseMessage(
        header,
        xy.astype(np.float32),
        upper.astype(np.float32),
        track.velocity.array().astype(np.float32),
        track.lost_array(),
        slot_confidence(observation, track).astype(np.float32),
    )
