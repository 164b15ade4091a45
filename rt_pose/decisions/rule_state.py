"""What a rule has seen and done so far: one state for the rig, in it a view of each camera."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

from rt_pose.clock import NS_PER_MS
from rt_pose.config.check import EVERY_CAMERA
from rt_pose.decisions.input_lines import InputLines
from rt_pose.decisions.rig_time import RigTime
from rt_pose.decisions.rule import MOST_COUNTED, Rule
from rt_pose.rules.condition import ConditionEvaluator
from rt_pose.rules.semantics import CURRENT, ONE_RIG
from rt_pose.types import Estimate, FrameStamps

CAMERA_SILENT_NS = 500 * NS_PER_MS
"""A camera whose last frame is older than this shows nothing any more: what it saw then no longer counts."""


@dataclass(slots=True)
class Evaluation:
    """The evaluation of one rule at one prediction."""

    on: bool
    individual: int
    evaluator: ConditionEvaluator
    lost: bool
    probability: float | None
    ahead: Estimate
    """The prediction."""

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Order among several: a lost one counts least, then one that does not hold, then the improbable."""
        p = self.probability
        return not self.lost, self.on, -1.0 if p is None or math.isnan(p) else p


@dataclass(slots=True)
class CameraView:
    """What the newest frame of one camera shows of a rule."""

    evaluators: list[tuple[int, ConditionEvaluator, ConditionEvaluator | None]]
    """(individual, of the condition, of the release)."""
    on: bool = False
    """Its condition holds, hysteresis included."""
    lost: bool = False
    """A keypoint of the condition is lost: evaluations then are discarded once it is seen again."""
    seen_ns: int = 0
    """Time of that frame on the rig."""
    threshold: float | None = None
    """The probability at which the rule came true when that frame was evaluated."""

    def reset(self) -> None:
        """As if nothing had been seen."""
        self.on = self.lost = False
        for _, evaluator, release in self.evaluators:
            evaluator.reset()
            if release is not None:
                release.reset()


@dataclass(slots=True)
class Refractory:
    """The refractory time of a rule: one for all individuals and cameras."""

    last_event_ns: int | None = None
    """Time of the last firing (or withholding)."""
    length_ns: int = 0
    """What follows that event, its random part included."""

    def holds(self, now_ns: int) -> bool:
        """Check whether a time falls into it.

        Parameters
        ----------
        now_ns
            Time on the rig.

        Returns
        -------
        bool
            Whether it does.
        """
        return self.last_event_ns is not None and now_ns - self.last_event_ns < self.length_ns


@dataclass(slots=True)
class RuleState:
    """A rule and the individual it is evaluated for, or all of them where any will do."""

    rule: Rule
    cameras: int
    """How many cameras look at it."""
    views: dict[str, CameraView] = field(default_factory=dict)
    """By camera."""
    since_ns: int | None = None
    """Time since which the condition has held."""
    emitted: bool = False
    """The event of this period of being true has been made."""
    repeat_from_ns: int | None = None
    """Time of that event, or its last repetition; None where it may not be repeated."""
    lost: bool = False
    seen_ns: int = 0
    """Time of the newest frame of any camera."""
    by_order: bool = False
    """It was an order that made it true."""
    refractory: Refractory = field(default_factory=Refractory)
    """Of the rule, whichever individual it was."""
    yoked: int = 0
    """How many of the other session's times have come."""

    def end_period(self) -> None:
        """As if the condition had not held; the refractory time runs on."""
        self.since_ns, self.emitted, self.by_order = None, False, False
        self.repeat_from_ns = None

    def restart(self, camera: str) -> None:
        """Forget what a camera has shown: its recording was wound back, or its clock stepped back.

        Parameters
        ----------
        camera
            Name of the camera.
        """
        self.views[camera].reset()
        if not any(view.on for view in self.views.values()):
            self.end_period()
            self.lost = False

    def combine(self, now_ns: int) -> tuple[bool, bool]:
        """Combine what the cameras show.

        Parameters
        ----------
        now_ns
            Time on the rig.

        Returns
        -------
        tuple[bool, bool]
            Whether the condition holds, and whether that is unknown because a keypoint is lost.
        """
        if self.cameras == 1:
            (view,) = self.views.values()
            return view.on, view.lost
        views = [v for v in self.views.values() if now_ns - v.seen_ns <= CAMERA_SILENT_NS]
        if self.rule.camera == "all":
            return len(views) == self.cameras and all(v.on for v in views), any(v.lost for v in views)
        seen = [v for v in views if not v.lost]
        return any(v.on for v in seen or views), not seen


class RuleStates:
    """The states of all rules. One object for all cameras, called in the loop's order."""

    def __init__(self, cameras: int = 1, semantics: int = CURRENT) -> None:
        """Begin with no rule true.

        Parameters
        ----------
        cameras
            How many cameras there are.
        semantics
            Whether rules belong to the rig or, as once, to each camera (`rt_pose.rules.semantics`).
        """
        self.semantics = semantics
        self.inputs = InputLines(semantics)
        """The lines of the run's inputs."""
        self.decided_ns: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=MOST_COUNTED))
        """By rule: times of its newest events that were fired or withheld."""
        self.decided: Counter[str] = Counter()
        """By rule: how many there were."""
        self._cameras = cameras
        self._time = RigTime(semantics)
        self._states: dict[tuple[str, str, str], RuleState] = {}
        self._refractories: dict[tuple[str, str], Refractory] = {}

    def now_ns(self, camera: str, stamps: FrameStamps) -> int:
        """Look up the time of a frame on which holds and refractory times are measured.

        Parameters
        ----------
        camera
            Name of the camera.
        stamps
            Stamps of the frame; each frame is given once.

        Returns
        -------
        int
            Its time on the rig, ns.
        """
        return self._time.advance(camera, stamps) if self.semantics >= ONE_RIG else stamps.t_scene_ns

    def of_camera(self, rules: list[Rule], camera: str, individuals: int) -> list[RuleState]:
        """Get the states of the rules that look at a camera, each with a view of that camera.

        Parameters
        ----------
        rules
            The rules.
        camera
            Name of the camera.
        individuals
            How many the model tracks.

        Returns
        -------
        list[RuleState]
            The states, in the order of the rules.
        """
        states = []
        for rule in rules:
            if rule.camera not in (*EVERY_CAMERA, camera):
                continue
            groups = individual_groups(rule, individuals)
            states += [
                self._state(rule, camera, str(i), group, individuals) for i, group in enumerate(groups)
            ]
        return states

    def _state(self, rule: Rule, camera: str, group: str, individuals: list[int], count: int) -> RuleState:
        """A group's state with a view of a camera; `count` individuals there are in all."""
        shared = self.semantics >= ONE_RIG and rule.camera in EVERY_CAMERA
        place, cameras = ("", self._cameras) if shared else (camera, 1)
        refractory = self._refractories.setdefault((rule.name, place), Refractory())
        state = self._states.setdefault(
            (rule.name, group, place), RuleState(rule, cameras, refractory=refractory)
        )
        geometry = rule.geometries.get(camera)
        release = rule.release
        state.views[camera] = CameraView(
            [
                (
                    who,
                    rule.condition.evaluator(who, geometry, other),
                    None if release is None else release.evaluator(who, geometry, other),
                )
                for who in individuals
                for other in (other_individuals(who, count) if rule.pair else (0,))
            ]
        )
        return state


def other_individuals(who: int, count: int) -> list[int]:
    """List all individuals but one.

    Parameters
    ----------
    who
        That one.
    count
        How many there are in all.

    Returns
    -------
    list[int]
        Their numbers.
    """
    return [other for other in range(count) if other != who]


def individual_groups(rule: Rule, individuals: int) -> list[list[int]]:
    """List the individuals that a rule is judged for: together, each alone, or one of them.

    Parameters
    ----------
    rule
        The rule.
    individuals
        How many are tracked.

    Returns
    -------
    list[list[int]]
        A list for each time that the rule is judged; it holds where it holds for any in the list.
    """
    if rule.individual == "any" or (rule.individual == "each" and rule.yoke_times_ns is not None):
        # The other session's times are those of the rule, not of each.
        return [list(range(individuals))]
    return [[who] for who in range(individuals)] if rule.individual == "each" else [[int(rule.individual)]]
