"""Rules that never came true in a session: how often each part of their condition did.

Conditions are judged on the tracks at the exposures, at their means. The run itself judges where the animal
will be when the output acts; which part was missing can be seen all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rt_pose.audit.recompute import ReplaySetup, logged_pose, turn_poses
from rt_pose.clock import NS_PER_MS
from rt_pose.config.check import EVERY_CAMERA
from rt_pose.decisions.input_lines import InputLines
from rt_pose.decisions.rig import Rig
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.errors import UserError
from rt_pose.records import EdgeRecord, GroupRecord, Observation
from rt_pose.rules.condition import Condition, ConditionEvaluator
from rt_pose.rules.tokens import tokenise
from rt_pose.session.read import InputRecord, Session
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Estimate, FloatArray, FrameStamps, Pose


@dataclass
class Part:
    """A part of a condition, and in how many frames it held."""

    says: str
    frames: int = 0


@dataclass
class UntriggeredRule:
    """A rule without a single event."""

    rule: Rule
    parts: list[Part]
    """What its condition joins by `and`; a single part where it joins nothing."""
    lost: dict[str, int]
    """By keypoint of the rule, the frames in which it was lost."""
    observed: int = 0
    """All frames."""
    frames: int = 0
    """Frames in which none of its keypoints was lost."""
    whole: int = 0
    """The number of these in which its whole condition held."""
    longest_ms: float = 0.0
    """The longest time for which it held without a break."""
    likeliest: float = 0.0
    """The highest probability, of a rule that is judged by it."""


def find_untriggered_rules(session: Session) -> list[UntriggeredRule]:
    """Find the rules of a session that have no event, not even a suppressed one.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[UntriggeredRule]
        In the order of the configuration; yoked rules are left out.

    Raises
    ------
    UserError
        Where this program cannot read the session's rules.
    """
    setup = ReplaySetup.of(session)
    if setup.config.individual_count > 1:
        raise UserError(f"session {session.path}: what a rule was missing is said of one animal alone")
    triggered = {record.event.rule for record in session.events}
    rules = make_rules(setup.config, setup.keypoints, setup.delays_ms, semantics=setup.semantics)
    untriggered = [rule for rule in rules if rule.name not in triggered and rule.yoke_times_ns is None]
    if not untriggered:
        return []
    watches = _Watches(setup, untriggered)
    for item in session.inputs:
        watches.take(item)
    return [watches.found(rule) for rule in untriggered]


def as_json(session: Session) -> dict[str, Any] | None:
    """Describe untriggered rules for the report.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any] or None
        By rule; None where this program cannot read the session's rules.
    """
    try:
        found = find_untriggered_rules(session)
    except UserError:
        return None
    return {
        one.rule.name: {
            "frames": one.frames,
            "observed": one.observed,
            "lost": one.lost,
            "parts": {part.says: part.frames for part in one.parts},
            "whole": one.whole,
            "longest_ms": round(one.longest_ms, 3),
            "hold_ms": one.rule.hold_ns / NS_PER_MS,
            "likeliest": None if one.rule.config.probability is None else round(one.likeliest, 4),
            "probability": one.rule.config.probability,
        }
        for one in found
    }


def format_untriggered(found: dict[str, Any]) -> str:
    """Say what a rule was missing.

    Parameters
    ----------
    found
        The rule's entry in the report.

    Returns
    -------
    str
        One clause.
    """
    if not found["observed"]:
        return "no frame was decided on"
    if not found["frames"]:
        name, n = max(found["lost"].items(), key=lambda of: of[1])
        return f"its keypoints were never all in view: {name} was lost in {n} of {found['observed']} frames"
    if not found["whole"]:
        part, n = min(found["parts"].items(), key=lambda of: of[1])
        return f"rarest: {part}, in {n} of {found['frames']} frames"
    if found["longest_ms"] < found["hold_ms"]:
        return f"it held for {found['longest_ms']:.0f} ms at most, `hold` is {found['hold_ms']:.0f} ms"
    if found["probability"] is not None:
        return f"its probability came to {found['likeliest']:.3f} at most, needed: {found['probability']:g}"
    return f"it held in {found['whole']} frames, but not at the time of effect"


def split(when: str) -> list[str]:
    """Split a condition into the parts that it joins by `and`.

    Parameters
    ----------
    when
        The condition.

    Returns
    -------
    list[str]
        The parts as they are written; the whole condition where it joins by `or`.

    Raises
    ------
    UserError
        Where it is not written in the rules' language.
    """
    cuts, depth = [0], 0
    for token in tokenise(when, "rule"):
        depth += (token.text == "(") - (token.text == ")") if token.kind == "sign" else 0
        if depth == 0 and token.kind == "name" and token.text == "or":
            return [when]
        if depth == 0 and token.kind == "name" and token.text == "and":
            cuts += [token.place, token.place + len("and")]
    ends = [*cuts[1:], len(when)]
    return [when[begin:end].strip() for begin, end in zip(cuts[::2], ends[::2], strict=True)]


class _Watches:
    """Rules without an event, on each camera and group of views that judges them."""

    def __init__(self, setup: ReplaySetup, rules: list[Rule]) -> None:
        rig = Rig.of(setup.config, setup.keypoints, setup.semantics)

        def of(name: str, words: tuple[str, ...] = ()) -> dict[str, _RuleWatch]:
            judged = [rule for rule in rules if rule.camera in (*words, name)]
            return {rule.name: _RuleWatch(rule, rig, name) for rule in judged}

        self._watches = {name: of(name, EVERY_CAMERA) for name in setup.cameras}
        self._watches |= {name: of(name) for name in setup.views}
        k = len(setup.keypoints)
        self._trackers = {name: CausalFilter(setup.tracking_of(name), 1, k) for name in setup.cameras}
        self._groups = {name: setup.group_of(name) for name in setup.views}
        self._lines = InputLines(setup.semantics)
        self._poses: dict[str, tuple[int, Pose]] = {}
        """By camera, number and pose of its newest observation."""

    def take(self, item: InputRecord) -> None:
        """Count a frame, or a turn of a group; take in what else decides."""
        if isinstance(item, EdgeRecord):
            self._lines.take(item.edge)
        elif isinstance(item, Observation):
            pose = logged_pose(item)
            self._poses[item.camera] = item.seq, pose
            track = self._trackers[item.camera].step(pose)
            self._update(item.camera, track, item.stamps, pose.confidence)
        elif isinstance(item, GroupRecord):
            tracker = self._groups[item.group]
            if tracker.step(turn_poses(self._poses, item, tracker)).used:
                now = tracker.group.predict(tracker.group.newest_ns or 0)
                assert now.confidence is not None
                self._update(item.group, now, tracker.stamps, now.confidence[None])

    def _update(self, name: str, track: Estimate, stamps: FrameStamps, confidence: FloatArray) -> None:
        on = self._lines.at_frame(name)
        for watch in self._watches[name].values():
            watch.update(track, stamps, confidence, on)

    def found(self, rule: Rule) -> UntriggeredRule:
        """What a rule came to on all that judge it."""
        return _merge([of[rule.name].found for of in self._watches.values() if rule.name in of])


@dataclass
class _RuleWatch:
    """One rule on one camera, or on one group of views."""

    rule: Rule
    rig: Rig
    camera: str
    found: UntriggeredRule = field(init=False)
    _evaluators: list[ConditionEvaluator] = field(init=False)
    """Evaluators of the parts, then of the whole."""
    _epoch: int | None = None
    _since_ns: int | None = None

    def __post_init__(self) -> None:
        where, written = f"rule '{self.rule.name}'", self.rule.config
        parts = [self.rig.bind(text, where, written.view) for text in split(written.when)]
        geometry = self.rule.geometries.get(self.camera)
        conditions: list[Condition] = [*parts, self.rule.condition]
        self._evaluators = [condition.evaluator(0, geometry) for condition in conditions]
        lost = {self.rig.keypoints[k]: 0 for k in self.rule.keypoints}
        self.found = UntriggeredRule(self.rule, [Part(condition.says) for condition in parts], lost)

    def update(self, track: Estimate, stamps: FrameStamps, confidence: FloatArray, on: set[str]) -> None:
        """Count a frame."""
        if stamps.epoch != self._epoch:  # a recording was wound back
            self._epoch, self._since_ns = stamps.epoch, None
            for evaluator in self._evaluators:
                evaluator.reset()
        lost = np.atleast_2d(track.lost)[0, list(self.rule.keypoints)]
        self.found.observed += 1
        for k, is_lost in zip(self.rule.keypoints, lost.tolist(), strict=True):
            self.found.lost[self.rig.keypoints[k]] += is_lost
        if lost.any():
            self._since_ns = None
            return
        for evaluator in self._evaluators:
            if evaluator.has_memory:
                evaluator.observe(track, confidence)
            evaluator.set_track(track, confidence)
            evaluator.set_inputs(on)
        *parts, whole = (evaluator.holds() for evaluator in self._evaluators)
        self.found.frames += 1
        for part, holds in zip(self.found.parts, parts, strict=True):
            part.frames += holds
        if self.rule.config.probability is not None:
            likely = self._evaluators[-1].probability()
            self.found.likeliest = max(self.found.likeliest, likely)  # NaN never wins
        if not whole:
            self._since_ns = None
            return
        self.found.whole += 1
        t_ns = stamps.t_scene_ns
        self._since_ns = t_ns if self._since_ns is None else self._since_ns
        self.found.longest_ms = max(self.found.longest_ms, (t_ns - self._since_ns) / NS_PER_MS)


def _merge(found: list[UntriggeredRule]) -> UntriggeredRule:
    """Add up what one rule came to on all cameras."""
    first, *others = found
    for other in others:
        first.frames += other.frames
        first.observed += other.observed
        for name, n in other.lost.items():
            first.lost[name] += n
        first.whole += other.whole
        first.longest_ms = max(first.longest_ms, other.longest_ms)
        first.likeliest = max(first.likeliest, other.likeliest)
        for part, more in zip(first.parts, other.parts, strict=True):
            part.frames += more.frames
    return first
