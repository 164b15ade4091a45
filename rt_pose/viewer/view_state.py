"""What the viewer knows, message by message; no Qt and no socket in here."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.session.individuals import names_of_individuals
from rt_pose.viewer.expressions import Expressions, Scope, default_expression
from rt_pose.viewer.group_state import Group, GroupState
from rt_pose.viewer.messages import (
    EventBody,
    EventHeader,
    FrameMessage,
    Meta,
    Pose3DMessage,
    PoseMessage,
    StatsBody,
    StatsHeader,
    WireMessage,
)
from rt_pose.viewer.placement import zones_of_rules
from rt_pose.viewer.trace import Trace, time_of

POSES_KEPT = 256
"""Poses kept to be matched with the slower frames."""
RECENT_KEPT = 2048
"""Poses kept to compute an expression of the last seconds as soon as it is chosen."""
EVENTS_KEPT = 1024
LIT_NS = 400 * NS_PER_MS
"""How long the zones of a rule are lit after its event."""
STALE_NS = 500 * NS_PER_MS
GONE_NS = 2 * NS_PER_S
"""`stats` comes twice a second: after this long without a message the publisher is taken for gone."""


@dataclass
class CameraState:
    """The newest of one camera."""

    pose: PoseMessage | None = None
    frame: FrameMessage | None = None
    poses: dict[int, PoseMessage] = field(default_factory=dict)
    """By frame index, oldest first, at most `POSES_KEPT`."""
    predictions: dict[int, PoseMessage] = field(default_factory=dict)
    recent: deque[PoseMessage] = field(default_factory=lambda: deque(maxlen=RECENT_KEPT))
    """Oldest first."""
    traces: list[Trace] = field(default_factory=list)
    """One an expression, with a channel an individual."""
    latency: Trace = field(default_factory=lambda: Trace(2))
    """ms: image to decision, exposure to decision."""

    def shown_pose(self) -> PoseMessage | None:
        """Choose the pose of the frame that is shown, so that keypoints lie on the pixels they were found in.

        Returns
        -------
        PoseMessage | None
            That pose; the newest where there are no frames, or where that frame's own was lost.
        """
        if self.frame is None:
            return self.pose
        return self.poses.get(self.frame.header.frame, self.pose)


class ViewState:
    """The session as its messages describe it. A new session id resets it."""

    def __init__(self, expressions: Sequence[str] = ()) -> None:
        """Begin with nothing known.

        Parameters
        ----------
        expressions
            What is traced, as written; the speed of the first keypoint where there is none.
        """
        self.received_ns: int | None = None
        """When the last message came, of any kind."""
        self.chosen = list(expressions)
        """The expressions that were chosen; the default one where there is none."""
        self._reset(None)

    def _reset(self, session: str | None) -> None:
        self.session = session
        self.meta: Meta | None = None
        self.stats: StatsBody | None = None
        self.cameras: dict[str, CameraState] = {}
        self.groups: dict[str, Group] = {}
        """Groups of cameras that see animals in space."""
        self.group_states: dict[str, GroupState] = {}
        self.events: deque[EventBody] = deque(maxlen=EVENTS_KEPT)
        self.gaps = 0
        self.pose_received_ns: int | None = None
        self.expressions: Expressions | None = None
        self.expression_problem = ""
        """Why the chosen expressions are not traced; empty where they are."""
        self._individuals = 1
        self._zones_of: dict[str, list[str]] = {}
        self._lit_ns: dict[str, int] = {}
        """By zone, when an event of a rule that names it came."""
        self._last_seq: dict[str, int] = {}

    def apply(self, message: WireMessage, now_ns: int) -> None:
        """Take one message in, in the order of arrival.

        Parameters
        ----------
        message
            The message; one of another session resets the state.
        now_ns
            Host time now, ns.
        """
        header = message.header
        if header.session != self.session:
            self._reset(header.session)
        self.received_ns = now_ns
        last = self._last_seq.get(message.topic)
        if last is not None and header.seq > last + 1:
            self.gaps += header.seq - last - 1
        self._last_seq[message.topic] = header.seq
        body = message.body
        if isinstance(body, PoseMessage):
            self._pose(message.kind, message.name, body, now_ns)
        elif isinstance(body, Pose3DMessage):
            self.group_states.setdefault(message.name, GroupState()).take(message.kind, body)
        elif isinstance(body, FrameMessage):
            self._camera(message.name).frame = body
        elif isinstance(body, EventHeader):
            self._event(body.event, now_ns)
        elif isinstance(body, StatsHeader):
            self.stats = body.stats
        elif isinstance(body, Meta):
            self._meta(body)

    def choose_expressions(self, texts: Sequence[str]) -> None:
        """Choose what is traced; of the last seconds it is computed at once.

        Parameters
        ----------
        texts
            Expressions of the rules' language; the default one where there is none.

        Raises
        ------
        UserError
            Where one cannot be traced; what was traced before goes on.
        """
        if self.meta is not None:
            self._bind(texts)
        self.chosen = list(texts)

    def connected(self, now_ns: int) -> bool:
        """Check whether a message has come within `GONE_NS`.

        Parameters
        ----------
        now_ns
            Host time now, ns.

        Returns
        -------
        bool
            Whether one has.
        """
        return self.received_ns is not None and now_ns - self.received_ns <= GONE_NS

    def stale(self, camera: str, now_ns: int) -> bool:
        """Check whether what is shown is older than `STALE_NS`, or nothing new has come for so long.

        Parameters
        ----------
        camera
            Name of the camera that is shown.
        now_ns
            Host time now, ns.

        Returns
        -------
        bool
            Whether it is stale.
        """
        if self.pose_received_ns is None or now_ns - self.pose_received_ns > STALE_NS:
            return True
        age_ns = self.age_ns(camera, now_ns)
        return age_ns is None or age_ns > STALE_NS

    def age_ns(self, camera: str, now_ns: int) -> int | None:
        """Compute the age of what is shown: from its exposure to now.

        Where no exposure is known, the age is from its publication.

        Parameters
        ----------
        camera
            Name of the camera that is shown.
        now_ns
            Host time now, ns.

        Returns
        -------
        int | None
            The age, ns; None where nothing is shown.
        """
        state = self.cameras.get(camera)
        shown = state and (state.frame or state.pose)
        return now_ns - time_of(shown) if shown else None

    def lit_zones(self, now_ns: int) -> set[str]:
        """Find the zones whose rules have just acted, or may have: a control looks the same.

        Parameters
        ----------
        now_ns
            Host time now, ns.

        Returns
        -------
        set[str]
            Their names.
        """
        return {zone for zone, since_ns in self._lit_ns.items() if now_ns - since_ns <= LIT_NS}

    def keypoint_names(self) -> list[str]:
        """List the names of the keypoints.

        Returns
        -------
        list[str]
            The names in `meta`; none until it has come.
        """
        return self.meta.keypoints if self.meta is not None else []

    def individual_names(self) -> list[str]:
        """List the names of several individuals.

        Returns
        -------
        list[str]
            In the order of their slots; none where there is one.
        """
        if self.meta is None or self._individuals == 1:
            return []
        return names_of_individuals(self.meta.config, self._individuals)

    def _camera(self, name: str) -> CameraState:
        return self.cameras.setdefault(name, CameraState())

    def _meta(self, meta: Meta) -> None:
        before, self.meta = self.meta, meta
        for name in meta.cameras:
            self._camera(name)
        if before is None or before.views != meta.views:
            self.groups = {name: Group.of(info) for name, info in meta.views.items()}
        # It is sent repeatedly; only a difference costs a new binding.
        if before is None or (before.keypoints, before.zones, before.config) != (
            meta.keypoints,
            meta.zones,
            meta.config,
        ):
            self._zones_of = zones_of_rules(meta)
            self._bind_chosen()

    def _bind_chosen(self) -> None:
        self.expression_problem = ""
        try:
            self._bind(self.chosen)
        except UserError as error:
            self.expression_problem = str(error)
            self._bind(())

    def _bind(self, texts: Sequence[str]) -> None:
        assert self.meta is not None
        if not texts and self.meta.keypoints:
            texts = [default_expression(self.meta.keypoints[0])]
        self.expressions = Expressions(texts, Scope.of(self.meta, self._individuals))
        for name, camera in self.cameras.items():
            camera.traces = []
            for pose in camera.recent:
                self._trace(name, camera, pose)

    def _pose(self, kind: str, name: str, pose: PoseMessage, now_ns: int) -> None:
        camera = self._camera(name)
        if kind == "prediction":
            _keep(camera.predictions, pose)
            return
        self.pose_received_ns = now_ns
        camera.pose = pose
        _keep(camera.poses, pose)
        if len(pose.lost) > self._individuals:
            self._individuals = len(pose.lost)
            if self.meta is not None:
                self._bind_chosen()
        camera.recent.append(pose)
        self._trace(name, camera, pose)
        latency = pose.header.latency_ms
        camera.latency.append(
            time_of(pose),
            np.array([latency.image_to_decision, latency.exposure_to_decision], dtype=np.float32),
        )

    def _trace(self, name: str, camera: CameraState, pose: PoseMessage) -> None:
        if self.expressions is None:
            return
        if not camera.traces:
            camera.traces = [Trace(self._individuals) for _ in self.expressions.members]
        for trace, values in zip(camera.traces, self.expressions.evaluate(name, pose), strict=True):
            row = np.full(trace.channels, np.nan, np.float32)
            row[: len(values)] = values[: trace.channels]
            trace.append(time_of(pose), row)

    def _event(self, event: EventBody, now_ns: int) -> None:
        # The operator must not learn which trials are controls.
        if event.outcome == "withheld":
            return
        self.events.append(event)
        if event.outcome in ("fired", "decided"):
            for zone in self._zones_of.get(event.rule, []):
                self._lit_ns[zone] = now_ns


def _keep(poses: dict[int, PoseMessage], pose: PoseMessage) -> None:
    poses.pop(pose.header.frame, None)
    poses[pose.header.frame] = pose
    if len(poses) > POSES_KEPT:
        del poses[next(iter(poses))]
