"""`--hindsight`: each rule scored against what truly happened.

An episode is a span of truth over which the rule's condition holds at the mean, gaps shorter than the
tolerance bridged, and at least the rule's `hold` long. Its onset is when the condition with its hold is met.
An event belongs to the nearest episode of its rule, camera and individual if the time of its effect lies no
further than the tolerance before the episode's onset or after its end. The first event of an episode makes
it a hit, the others are repeats; an episode without an event is a miss, an event without an episode a false
alarm. Whether an event fired, was withheld or suppressed does not matter to that, and is counted beside it;
an event suppressed because a keypoint was lost is no detection. Times are resolved to a frame of the truth.

Several cameras are judged together where the run judged them together, for a rule of any of them or of all:
then there is one truth of the rig, in the rig's time, and all events of the rule belong to it. So are several
animals, for a rule of any of them. A rule in space is judged on the truth of its group of views, in space.
What cannot be scored says why.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_pose.audit.aimed_shots import AimedShots, aimed_shots
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.rig_truth import CameraTruth, RigTimes, camera_truth, combine
from rt_pose.audit.truth import SpatialTruth, TruthInSpace, TruthSeries
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.check import EVERY_CAMERA
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.decisions.rule_state import individual_groups
from rt_pose.delivery import deliveries
from rt_pose.rules.semantics import ONE_RIG
from rt_pose.session.read import Session
from rt_pose.types import FloatArray

TOLERANCE_MS = 100.0
LOST = "lost"
ANY = -1


@dataclass(slots=True)
class Episode:
    """A span over which a condition truly held, in scene time."""

    start_ns: int
    onset_ns: int
    """The start, later by the rule's hold."""
    end_ns: int
    from_before: bool
    """Whether it held at the first frame already, so that its onset is not known."""


@dataclass(slots=True)
class Scored:
    """An event with its verdict."""

    t_effect_ns: int
    """Scene time of its effect."""
    outcome: str
    reason: str
    verdict: str
    """hit, repeat, false alarm, or lost (no detection)."""
    delay_ms: float | None = None
    """From the onset to the effect, of a hit whose onset is known; below 0 where the effect came first."""
    delivery: str = ""
    """What became of its command (`rt_pose.delivery`), where it fired."""


@dataclass
class Curve:
    """One rule over one series of truth."""

    rule: str
    camera: str
    individual: int
    """Its number; `ANY` where any of several will do."""
    t_ns: NDArray[np.int64]
    value: FloatArray
    """(F,) the rule's first quantity."""
    episodes: list[Episode]
    missed: list[Episode]
    events: list[Scored]
    line: NDArray[np.int64] | None = None
    """(F,) number of the camera of each value, where several cameras are judged together."""
    in_space: bool = False
    """Whether it is of a group of views, whose name stands for the camera."""
    unknown: bool = False
    """Whether nowhere in the truth all keypoints of the rule are known."""

    @property
    def says(self) -> str:
        """Of what it is, for people."""
        if self.in_space:
            return f"views {self.camera}, in space"
        who = "any individual" if self.individual == ANY else f"individual {self.individual}"
        return f"camera {self.camera}, {who}"


@dataclass
class Score:
    """All curves of one rule."""

    rule: str
    curves: list[Curve] = field(default_factory=list)
    aimed: AimedShots | None = None
    """Of a rule that aims light: its shots."""
    unscored: str = ""
    """Why it was not scored; empty where it was."""
    left_out: int = 0
    """Events at a time of which the truth, or the log, says nothing."""

    def count(self, verdict: str) -> int:
        """Count the events of a verdict.

        Parameters
        ----------
        verdict
            hit, repeat, false alarm or lost.

        Returns
        -------
        int
            Over all curves.
        """
        return sum(e.verdict == verdict for e in self.events)

    @property
    def events(self) -> list[Scored]:
        """Events of all curves."""
        return [event for curve in self.curves for event in curve.events]

    @property
    def seconds(self) -> float:
        """Scene time over which it was judged, s; what was judged together counts once, each animal once."""
        return sum(float(curve.t_ns[-1] - curve.t_ns[0]) for curve in self.curves) / NS_PER_S

    @property
    def onsets(self) -> int:
        """Number of episodes."""
        return sum(len(curve.episodes) for curve in self.curves)

    @property
    def misses(self) -> int:
        """Number of episodes without an event."""
        return sum(len(curve.missed) for curve in self.curves)

    @property
    def delays_ms(self) -> list[float]:
        """Delays of the hits whose onset is known, ms."""
        return [e.delay_ms for e in self.events if e.delay_ms is not None]

    def outcomes(self, verdict: str) -> dict[str, int]:
        """Count how events of a verdict ended.

        Parameters
        ----------
        verdict
            hit, repeat, false alarm or lost.

        Returns
        -------
        dict[str, int]
            By outcome: fired, withheld, or suppressed with the reason.
        """
        named = Counter(
            e.outcome if e.outcome != "suppressed" else f"suppressed ({e.reason})"
            for e in self.events
            if e.verdict == verdict
        )
        return dict(named)

    def deliveries(self, verdict: str) -> dict[str, int]:
        """Count what became of the commands of the events of a verdict that fired.

        Parameters
        ----------
        verdict
            hit, repeat, false alarm or lost.

        Returns
        -------
        dict[str, int]
            By delivery (`rt_pose.delivery`).
        """
        return dict(Counter(e.delivery for e in self.events if e.verdict == verdict and e.delivery))


@dataclass
class Hindsight:
    """Every rule against one truth."""

    source: str
    tolerance_ms: float
    seconds: float
    """Scene time that the truth covers, all cameras together, s."""
    scores: list[Score]


def score(
    session: Session,
    truth: list[TruthSeries],
    tolerance_ms: float = TOLERANCE_MS,
    in_space: TruthInSpace | None = None,
) -> Hindsight:
    """Score every rule of a session against the truth.

    Parameters
    ----------
    session
        The session.
    truth
        Series of one source.
    tolerance_ms
        How far an event may be from the episode to which it belongs, ms.
    in_space
        What the same source says of the groups of views; None where it knows the frames of cameras alone.

    Returns
    -------
    Hindsight
        A score for each rule.
    """
    setup = ReplaySetup.of(session)
    rules = make_rules(setup.config, setup.keypoints, setup.delays_ms, semantics=setup.semantics)
    times = RigTimes(session) if setup.semantics >= ONE_RIG and len(setup.cameras) > 1 else None
    by_camera, of_rig = _effects(session, in_space), _effects(session, None, times)
    events = Counter(record.event.rule for record in session.events)
    scores = []
    for rule in rules:
        curves: list[Curve] = []
        if rule.condition.inputs:
            pass  # of an input's line there is no other truth than its edges
        elif rule.views:
            spatial = [] if in_space is None else in_space.series
            curves = list(_camera_curves(rule, spatial, by_camera, tolerance_ms))
        elif times is not None and rule.camera in EVERY_CAMERA:
            curves = list(_rig_curves(rule, truth, times, of_rig, tolerance_ms))
        else:
            curves = list(_camera_curves(rule, truth, by_camera, tolerance_ms))
        made = Score(
            rule.name, curves, aimed_shots(session, truth, rule), _unscored_reason(rule, curves, in_space)
        )
        made.left_out = events[rule.name] - len(made.events)
        scores.append(made)
    seconds = sum(float(s.t_ns[-1] - s.t_ns[0]) for s in truth) / NS_PER_S
    return Hindsight(truth[0].source if truth else "nothing", tolerance_ms, seconds, scores)


def _unscored_reason(rule: Rule, curves: list[Curve], in_space: TruthInSpace | None) -> str:
    """Why a rule was not scored; empty where it was."""
    if rule.condition.inputs:
        return f"of the input {', '.join(rule.condition.inputs)} there is no other truth than its edges"
    if not curves and rule.views:
        if in_space is None:
            return f"this truth is of cameras' frames, the rule is judged in space by '{rule.camera}'"
        return in_space.reasons.get(rule.camera, f"nothing of '{rule.camera}' is in this truth")
    if not curves:
        return "no frame of its cameras is in this truth"
    return "nowhere in this truth all its keypoints are known" if all(c.unknown for c in curves) else ""


def episodes(
    t_ns: NDArray[np.int64], holds: NDArray[np.bool_], hold_ns: int, bridge_ns: int
) -> list[Episode]:
    """Find the episodes of a condition.

    An episode ends with the first frame at which the condition holds no longer.

    Parameters
    ----------
    t_ns
        (F,) scene times, ascending, ns.
    holds
        (F,) whether the condition holds.
    hold_ns
        Shortest length of an episode, ns.
    bridge_ns
        Longest gap that is bridged, ns.

    Returns
    -------
    list[Episode]
        In order of time.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8)))
    last = len(t_ns) - 1
    stretches: list[list[int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        start_ns, end_ns = int(t_ns[begin]), int(t_ns[min(end, last)])
        if stretches and start_ns - stretches[-1][1] <= bridge_ns:
            stretches[-1][1] = end_ns
        else:
            stretches.append([start_ns, end_ns])
    return [
        Episode(start, start + hold_ns, end, start == int(t_ns[0]))
        for start, end in stretches
        if end - start >= hold_ns
    ]


def match(found: list[Episode], events: list[Scored], tolerance_ns: int) -> list[Episode]:
    """Give each event its verdict and delay, in place.

    Parameters
    ----------
    found
        Episodes of one rule, camera and individual.
    events
        Events of the same.
    tolerance_ns
        How far an event may be from the episode to which it belongs, ns.

    Returns
    -------
    list[Episode]
        The episodes that were missed.
    """
    hit: set[int] = set()
    for event in sorted(events, key=lambda e: e.t_effect_ns):
        if event.reason == LOST:
            event.verdict = LOST
            continue
        apart = [_distance_ns(episode, event.t_effect_ns) for episode in found]
        nearest = int(np.argmin(apart)) if apart else -1
        if not apart or apart[nearest] > tolerance_ns:
            event.verdict = "false alarm"
        elif nearest in hit:
            event.verdict = "repeat"
        else:
            hit.add(nearest)
            event.verdict = "hit"
            if not found[nearest].from_before:
                event.delay_ms = (event.t_effect_ns - found[nearest].onset_ns) / NS_PER_MS
    return [episode for i, episode in enumerate(found) if i not in hit]


Effects = dict[tuple[str, str, int, int], list[Scored]]


def _effects(session: Session, in_space: TruthInSpace | None, times: RigTimes | None = None) -> Effects:
    """Events by rule, camera, epoch and individual, each at the scene time of its effect.

    With the rig's times they are those of cameras, by rule and individual alone, each at its time on the rig.
    """
    stamps = {o.seq: o.stamps for o in session.observations}
    if in_space is not None:
        stamps |= in_space.stamps
    found: Effects = defaultdict(list)
    delivered = deliveries(session.commands, session.acks)
    for record in session.events:
        event, of_frame = record.event, stamps.get(record.seq)
        if of_frame is None:
            continue
        t_effect_ns = of_frame.t_scene_ns + event.t_effect_ns - event.t_cause_ns
        key = (event.rule, event.camera, of_frame.epoch, event.individual)
        if times is not None:
            t_effect_ns, key = times.of_event(record.seq, t_effect_ns), (event.rule, "", 0, event.individual)
        delivery = delivered.get(event.id, ("unknown", ""))[0] if event.outcome == "fired" else ""
        found[key].append(Scored(t_effect_ns, event.outcome, event.reason, "", delivery=delivery))
    return found


def _camera_curves(
    rule: Rule, truth: Sequence[TruthSeries | SpatialTruth], events: Effects, tolerance_ms: float
) -> Iterator[Curve]:
    """Curves of a rule that each camera is judged for by itself, it names one, or there is one alone; or a
    group of views."""
    for series in truth:
        if rule.camera not in (*EVERY_CAMERA, series.camera):
            continue
        for group in individual_groups(rule, series.shape[1]):
            found = [
                e for who in group for e in events.get((rule.name, series.camera, series.epoch, who), [])
            ]
            yield _curve(rule, camera_truth(rule, series, group), group, found, tolerance_ms)


def _rig_curves(
    rule: Rule, truth: list[TruthSeries], times: RigTimes, events: Effects, tolerance_ms: float
) -> Iterator[Curve]:
    """Curves of a rule that the cameras are judged for together."""
    placed = [(series, times.of_truth(series)) for series in truth]
    for group in individual_groups(rule, truth[0].shape[1]) if truth else ():
        of_cameras = [
            dataclasses.replace(camera_truth(rule, series, group), t_ns=t_ns)
            for series, t_ns in placed
            if t_ns is not None
        ]
        if of_cameras:
            found = [e for who in group for e in events.get((rule.name, "", 0, who), [])]
            yield _curve(rule, combine(rule, of_cameras), group, found, tolerance_ms)


def _curve(
    rule: Rule, true: CameraTruth, group: list[int], events: list[Scored], tolerance_ms: float
) -> Curve:
    tolerance_ns, who = round(tolerance_ms * NS_PER_MS), group[0] if len(group) == 1 else ANY
    found = episodes(true.t_ns, true.holds, rule.hold_ns, tolerance_ns)
    missed = match(found, events, tolerance_ns)
    return Curve(
        *(rule.name, true.camera, who, true.t_ns, true.value, found, missed, events, true.line),
        in_space=bool(rule.views),
        unknown=bool(true.lost.all()),
    )


def _distance_ns(episode: Episode, t_ns: int) -> int:
    """How far a time lies outside an episode, from its onset to its end; 0 within."""
    return max(episode.onset_ns - t_ns, t_ns - episode.end_ns, 0)
