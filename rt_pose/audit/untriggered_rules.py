"""Rules that never came true in a session: how often each part of their condition did.

Judged on the tracks at the exposures, at their means. The run itself looks at where the animal will be when
the output acts; which part was missing can be seen all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rt_pose.audit.recompute import Setup, pose_of
from rt_pose.clock import NS_PER_MS
from rt_pose.decisions.decide import Rule, make_rules
from rt_pose.decisions.rule import Rig
from rt_pose.errors import UserError
from rt_pose.records import Observation
from rt_pose.rules.condition import Condition, Judge
from rt_pose.rules.tokens import tokenise
from rt_pose.session.read import Session
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Track


@dataclass
class Part:
    """A condition that must hold, in how many frames it did."""

    says: str
    frames: int = 0


@dataclass
class Silent:
    """A rule without a single event."""

    rule: Rule
    parts: list[Part]
    """What its condition joins by `and`; one where it joins nothing."""
    frames: int = 0
    """Frames in which none of its keypoints was lost."""
    whole: int = 0
    """Of these, those in which its whole condition held."""
    longest_ms: float = 0.0
    """For how long it held without a break."""
    likeliest: float = 0.0
    """Its highest probability, of a rule that is judged by it."""


def silent_rules(session: Session) -> list[Silent]:
    """The rules of a session that have no event, not even a suppressed one."""
    setup = Setup.of(session)
    spoke = {record.event.rule for record in session.events}
    rules = make_rules(setup.config, setup.keypoints, setup.delays_ms)
    quiet = [rule for rule in rules if rule.name not in spoke and rule.yoke_times_ns is None]
    if not quiet:
        return []
    rig = Rig.of(setup.config, setup.keypoints)
    watches = {camera: [_Watch(rule, rig, camera) for rule in quiet] for camera in setup.cameras}
    trackers = {c: CausalFilter(setup.tracking, 1, len(setup.keypoints)) for c in setup.cameras}
    for seen in session.observations:
        track = trackers[seen.camera].step(pose_of(seen))
        for watch in watches[seen.camera]:
            watch.look(track, seen)
    return [_together([watches[c][i].found for c in setup.cameras]) for i in range(len(quiet))]


def as_json(session: Session) -> dict[str, Any] | None:
    """By rule, for the report; None where this program cannot read the session's rules."""
    try:
        found = silent_rules(session)
    except UserError:
        return None
    return {
        one.rule.name: {
            "frames": one.frames,
            "parts": {part.says: part.frames for part in one.parts},
            "whole": one.whole,
            "longest_ms": round(one.longest_ms, 3),
            "hold_ms": one.rule.hold_ns / NS_PER_MS,
            "likeliest": None if one.rule.config.probability is None else round(one.likeliest, 4),
            "probability": one.rule.config.probability,
        }
        for one in found
    }


def in_words(found: dict[str, Any]) -> str:
    """What a rule was missing, from its entry in the report."""
    if not found["whole"]:
        part, n = min(found["parts"].items(), key=lambda of: of[1])
        return f"rarest: {part}, in {n} of {found['frames']} frames"
    if found["longest_ms"] < found["hold_ms"]:
        return f"it held for {found['longest_ms']:.0f} ms at most, `hold` is {found['hold_ms']:.0f} ms"
    if found["probability"] is not None:
        return f"its probability came to {found['likeliest']:.3f} at most, needed: {found['probability']:g}"
    return f"it held in {found['whole']} frames, but not at the time of effect"


def split(when: str) -> list[str]:
    """The parts that a condition joins by `and`, as they are written; the whole where it joins by `or`."""
    cuts, depth = [0], 0
    for token in tokenise(when, "rule"):
        depth += (token.text == "(") - (token.text == ")") if token.kind == "sign" else 0
        if depth == 0 and token.kind == "name" and token.text == "or":
            return [when]
        if depth == 0 and token.kind == "name" and token.text == "and":
            cuts += [token.place, token.place + len("and")]
    ends = [*cuts[1:], len(when)]
    return [when[begin:end].strip() for begin, end in zip(cuts[::2], ends[::2], strict=True)]


@dataclass
class _Watch:
    """One rule on one camera."""

    rule: Rule
    rig: Rig
    camera: str
    found: Silent = field(init=False)
    _judges: list[Judge] = field(init=False)
    """Of the parts, then of the whole."""
    _epoch: int | None = None
    _since_ns: int | None = None

    def __post_init__(self) -> None:
        parts = [self.rig.bind(text, f"rule '{self.rule.name}'") for text in split(self.rule.config.when)]
        geometry = self.rule.geometries.get(self.camera)
        conditions: list[Condition] = [*parts, self.rule.condition]
        self._judges = [condition.judge(0, geometry) for condition in conditions]
        self.found = Silent(self.rule, [Part(condition.says) for condition in parts])

    def look(self, track: Track, seen: Observation) -> None:
        """Count a frame."""
        if seen.stamps.epoch != self._epoch:  # a recording was wound back
            self._epoch, self._since_ns = seen.stamps.epoch, None
            for judge in self._judges:
                judge.reset()
        if track.lost[0, list(self.rule.keypoints)].any():
            self._since_ns = None
            return
        confidence = seen.confidence.array()
        for judge in self._judges:
            if judge.remembers:
                judge.see(track, confidence)
            judge.look(track, confidence)
        *parts, whole = (judge.holds() for judge in self._judges)
        self.found.frames += 1
        for part, holds in zip(self.found.parts, parts, strict=True):
            part.frames += holds
        if self.rule.config.probability is not None:
            likely = self._judges[-1].probability()
            self.found.likeliest = max(self.found.likeliest, likely)  # NaN never wins
        if not whole:
            self._since_ns = None
            return
        self.found.whole += 1
        t_ns = seen.stamps.t_scene_ns
        self._since_ns = t_ns if self._since_ns is None else self._since_ns
        self.found.longest_ms = max(self.found.longest_ms, (t_ns - self._since_ns) / NS_PER_MS)


def _together(found: list[Silent]) -> Silent:
    """What one rule came to on all cameras."""
    first, *others = found
    for other in others:
        first.frames += other.frames
        first.whole += other.whole
        first.longest_ms = max(first.longest_ms, other.longest_ms)
        first.likeliest = max(first.likeliest, other.likeliest)
        for part, more in zip(first.parts, other.parts, strict=True):
            part.frames += more.frames
    return first
