"""The deciding half of the loop, rebuilt from what a session says of it and fed with its logged inputs.

Replay, changed parameters and poses found again all go through here, so that there is one place that knows
which input does what. An input that this program does not know is reported, never passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from rt_pose.config.build import build
from rt_pose.config.check import MOST_INDIVIDUALS
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.protocol import ORDERS as PROTOCOL_ORDERS
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import NotComparableError, UserError
from rt_pose.outputs.actuators import command_for
from rt_pose.package import DriftSpec, TrackingSpec
from rt_pose.package.manifest_check import drift_faults, tracking_faults
from rt_pose.records import ControlRecord, GroupRecord, Observation
from rt_pose.rules.semantics import CURRENT, FIRST
from rt_pose.session.read import INFO_NAME, Session
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.drift import DriftMonitor
from rt_pose.tracking.individuals import Tracker, make_tracker
from rt_pose.tracking.pose_prior import with_origin
from rt_pose.types import Command, Edge, Event, Pose, Track, Track3D, confidence_of

if TYPE_CHECKING:
    from rt_pose.decisions.decide import Rule
    from rt_pose.views.camera import CalibratedCamera
    from rt_pose.views.group_tracker import GroupTracker, GroupTurn

WITHOUT_EFFECT = ("start", "stop")
"""Orders that change no decision."""


@dataclass
class ReplaySetup:
    """What the decisions of a session depend on besides its inputs."""

    config: RunConfig
    tracking: TrackingSpec
    keypoints: list[str]
    cameras: list[str]
    delays_ms: dict[str, float] = field(default_factory=dict)
    """Delay of each output, from the command to the effect."""
    semantics: int = CURRENT
    """What the rules meant to it: see `rt_pose.rules.semantics`."""
    own_tracking: dict[str, TrackingSpec] = field(default_factory=dict)
    """By camera, of those that have a model of their own."""
    origins: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By camera, where on the sensor its pose prior and its drift took the frames to lie, px."""
    drift: dict[str, DriftSpec] = field(default_factory=dict)
    """By camera, of those whose poses were compared with the calibration recordings."""
    frame_px: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By camera, width and height of its frames; what several individuals are tracked in."""
    views: dict[str, list[CalibratedCamera]] = field(default_factory=dict)
    """By group of views, its cameras as the session describes them."""

    @classmethod
    def of(cls, session: Session) -> ReplaySetup:
        """Get the setup with which a session ran.

        Parameters
        ----------
        session
            The session.

        Returns
        -------
        ReplaySetup
            From the session's own description.

        Raises
        ------
        UserError
            Where this program cannot read its description, or does not know what its rules meant.
        """
        info = session.info
        if not FIRST <= info.semantics <= CURRENT:
            raise NotComparableError(
                f"session {session.path}: its rules have the meaning number {info.semantics}, this program "
                f"knows {FIRST} to {CURRENT}; replay it with the rt-pose that wrote it "
                f"({info.versions.get('rt-pose')})"
            )
        spec = _read_tracking(session, info.package.tracking)
        own = {name: _read_tracking(session, model.tracking) for name, model in info.own_models.items()}
        unknown = sorted({seen.camera for seen in session.observations} - set(info.cameras))
        if unknown:
            raise UserError(
                f"session {session.path}: its log holds observations of the cameras {', '.join(unknown)}; "
                f"its {INFO_NAME} describes {', '.join(info.cameras) or 'none'}"
            )
        config = _read_config(session)
        return cls(
            config=config,
            tracking=spec,
            keypoints=info.package.keypoints,
            cameras=list(info.cameras),
            delays_ms={name: output.delay_ms for name, output in info.outputs.items()},
            semantics=info.semantics,
            own_tracking=own,
            origins=info.prior_origins,
            drift=_drift_specs(session),
            frame_px={name: (camera.width, camera.height) for name, camera in info.cameras.items()},
            views=_read_views(session, config),
        )

    def tracking_of(self, camera: str) -> TrackingSpec:
        """Look up the filter parameters of a camera.

        Parameters
        ----------
        camera
            Name of the camera.

        Returns
        -------
        TrackingSpec
            Those of its own model, or the run's, for poses in px of its sensor.
        """
        own = self.own_tracking.get(camera, self.tracking)
        return with_origin(own, self.origins.get(camera, (0, 0)))

    def tracker_of(self, camera: str) -> Tracker:
        """Make the tracker of a camera, as the loop made it.

        Parameters
        ----------
        camera
            Name of the camera.

        Returns
        -------
        Tracker
            For as many individuals as the run tracked, none of them seen yet.
        """
        count, frame_px = self.config.individual_count, self.frame_px.get(camera, (1, 1))
        return make_tracker(self.tracking_of(camera), count, len(self.keypoints), frame_px)

    def group_of(self, name: str) -> GroupTracker:
        """Make the filter of a group of views, as the loop made it.

        Parameters
        ----------
        name
            Name of the group.

        Returns
        -------
        GroupTracker
            With no track.
        """
        from rt_pose.views.groups import make_group

        cameras = self.views[name]
        noise = {camera.name: self.tracking_of(camera.name) for camera in cameras}
        return make_group(name, self.config.views[name], cameras, noise, self.config.individual_count)


def _read_views(session: Session, config: RunConfig) -> dict[str, list[CalibratedCamera]]:
    """The cameras of each group of views; UserError where a session does not describe them."""
    if not config.views:
        return {}
    from rt_pose.views.described import described_cameras

    found = {}
    for name, group in config.views.items():
        info = session.info.views.get(name)
        cameras = {} if info is None else described_cameras(info)
        if cameras.keys() != group.camera_names.keys() or not cameras.keys() <= session.info.cameras.keys():
            raise UserError(
                f"session {session.path}: {INFO_NAME} does not describe the cameras of views '{name}' as its "
                "configuration has them"
            )
        found[name] = [cameras[camera] for camera in group.camera_names]
    return found


def _read_config(session: Session) -> RunConfig:
    config = build(RunConfig, session.info.config, f"session {session.path}")
    if not 1 <= config.individual_count <= MOST_INDIVIDUALS:
        raise UserError(
            f"session {session.path}: {INFO_NAME}: individuals: expected 1 to {MOST_INDIVIDUALS}, got "
            f"{config.individual_count}"
        )
    return config


def _read_tracking(session: Session, plain: dict[str, Any]) -> TrackingSpec:
    """Parameters of the filter as a session describes them; compiled code reads them by keypoint's number."""
    where = f"session {session.path}: {INFO_NAME}: the model's `tracking`"
    try:
        spec = msgspec.convert(plain, TrackingSpec)
    except msgspec.ValidationError as error:
        raise UserError(f"{where} cannot be read: {error}") from error
    faults = list(tracking_faults(msgspec.to_builtins(spec), len(session.info.package.keypoints)))
    if faults:
        raise UserError(f"{where}: {'; '.join(faults)}")
    return spec


@dataclass
class RecomputedFrame:
    """What came out of one observation."""

    track: Track
    events: list[Event]
    commands: list[Command]
    """Commands of the events that fired."""


@dataclass
class RecomputedGroup:
    """What came out of a turn of a group of views."""

    turn: GroupTurn
    track: Track3D | None
    """None where nothing was used."""
    events: list[Event]
    commands: list[Command]
    """Commands of the events that fired."""


def logged_pose(seen: Observation) -> Pose:
    """Get the pose that the loop took into its filter.

    Parameters
    ----------
    seen
        The record of the observation.

    Returns
    -------
    Pose
        Positions (D, K, 2) px, covariances (D, K, 2, 2) px^2, confidences (D, K).
    """
    return Pose(seen.camera, seen.stamps, seen.xy.array(), seen.cov.array(), seen.confidence.array())


def turn_poses(
    newest: Mapping[str, tuple[int, Pose]], taken: GroupRecord, group: GroupTracker
) -> list[tuple[int, Pose]]:
    """Get the poses that a group of views took in, or found to be too old, in a turn.

    Parameters
    ----------
    newest
        By camera, number and pose of its newest observation.
    taken
        The record of what the group took in.
    group
        The group's filter.

    Returns
    -------
    list[tuple[int, Pose]]
        Those that are there: a log may lack some.
    """
    wanted = {*taken.used, *taken.late}
    return [one for one in newest.values() if one[0] in wanted and one[1].camera in group]


def _drift_specs(session: Session) -> dict[str, DriftSpec]:
    """What was compared in a session; UserError where that is not valid."""
    info = session.info
    if info.config.get("drift") == "off":
        return {}
    own = {name: model.drift for name, model in info.own_models.items()}
    specs = {name: own.get(name, info.package.drift) for name in info.cameras}
    found = {name: spec for name, spec in specs.items() if spec is not None}
    for spec in found.values():
        fault = next(drift_faults(msgspec.to_builtins(spec), len(info.package.keypoints)), None)
        if fault is not None:
            raise UserError(f"session {session.path}: session.json is damaged: {fault}")
    return found


class DecisionReplay:
    """Filters and rules of a run, stepped through its inputs in the order in which the loop took them."""

    def __init__(self, setup: ReplaySetup) -> None:
        """Begin as the run did: disarmed, with no track.

        Parameters
        ----------
        setup
            What the decisions depend on.
        """
        rules = RuleSet.of(setup.config, setup.keypoints, setup.delays_ms, setup.cameras, setup.semantics)
        self._rules, self._protocol, self._lines = rules, rules.protocol, rules.states.inputs
        self._armed = False
        self._trackers = {name: setup.tracker_of(name) for name in setup.cameras}
        count = len(setup.cameras) + len(setup.views)
        self._deciders = {name: rules.decider(i, count) for i, name in enumerate(setup.cameras)}
        self.drift = {
            name: DriftMonitor(spec, setup.origins.get(name, (0, 0))) for name, spec in setup.drift.items()
        }
        """By camera."""
        self._groups = {name: setup.group_of(name) for name in setup.views}
        self._group_deciders = {
            name: rules.view_decider(name, len(setup.cameras) + i, count)
            for i, name in enumerate(setup.views)
        }
        self._poses: dict[str, tuple[int, Pose]] = {}
        """By camera, number and pose of its newest observation."""

    def order(self, control: ControlRecord) -> str:
        """Carry an order out.

        Parameters
        ----------
        control
            The record of the order.

        Returns
        -------
        str
            What is wrong with it; empty where nothing is.
        """
        if control.do in ("arm", "disarm", "emergency"):
            self._armed = control.do == "arm"
            if not self._armed:
                self._rules.disarm()
        elif control.do in PROTOCOL_ORDERS:
            try:
                self._protocol.order(control.do, control.args)
            except UserError as error:
                return str(error)
        elif control.do not in WITHOUT_EFFECT:
            return f"the order '{control.do}' is not known to this program; decisions after it may differ"
        return ""

    def take(self, edge: Edge) -> None:
        """Take an edge in.

        Parameters
        ----------
        edge
            A line of an input that went on or off.
        """
        self._lines.take(edge)

    def observe(self, seen: Observation) -> RecomputedFrame:
        """Decide on an observation at the time at which it was judged.

        Parameters
        ----------
        seen
            The record of the observation.

        Returns
        -------
        RecomputedFrame
            Track, events and commands.

        Raises
        ------
        UserError
            Where it is not of as many keypoints as the session describes.
        """
        pose = logged_pose(seen)
        tracker = self._trackers[seen.camera]
        shapes, k = [pose.xy.shape, pose.cov.shape, pose.confidence.shape], tracker.shape[1]
        rows = (1,) if isinstance(tracker, CausalFilter) else pose.xy.shape[:1]
        if shapes != [(*rows, k, 2), (*rows, k, 2, 2), (*rows, k)]:
            raise UserError(
                f"input {seen.seq}: the log holds arrays of {shapes}; {k} keypoints are described"
            )
        track = tracker.step(pose)
        decided = self._deciders[seen.camera].decide(
            *(tracker, seen.camera, pose.stamps, seen.t_judged_ns, self._armed),
            confidence=confidence_of(pose, track),
        )
        if (monitor := self.drift.get(seen.camera)) is not None:
            monitor.step(pose, track, tracker)
        self._poses[seen.camera] = seen.seq, pose
        return RecomputedFrame(track, [event for event, _ in decided], _commands(decided))

    def observe_group(self, taken: GroupRecord) -> RecomputedGroup:
        """Let a group of views take in the observations that it took in, and decide when it was judged.

        Parameters
        ----------
        taken
            The record of what the group took in; its observations were observed before.

        Returns
        -------
        RecomputedGroup
            Track, events and commands.

        Raises
        ------
        UserError
            Where the session describes no such group.
        """
        tracker = self._groups.get(taken.group)
        if tracker is None:
            raise UserError(f"input {taken.seq}: the session describes no group of views '{taken.group}'")
        turn = tracker.step(turn_poses(self._poses, taken, tracker))
        if not turn.used:
            return RecomputedGroup(turn, None, [], [])
        group, decider = tracker.group, self._group_deciders[taken.group]
        track = group.predict(group.newest_ns or 0)
        decided: list[tuple[Event, Rule]] = []
        if decider is not None and taken.t_judged_ns:  # 0 where the run itself judged nothing
            decided = decider.decide(
                group, taken.group, tracker.stamps, taken.t_judged_ns, self._armed, track.confidences
            )
        return RecomputedGroup(turn, track, [event for event, _ in decided], _commands(decided))


def _commands(decided: list[tuple[Event, Rule]]) -> list[Command]:
    """Those of the events that fired."""
    return [command_for(event, rule) for event, rule in decided if event.outcome == "fired"]
