"""A condition ready to be judged, and the judge of it for one individual."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rt_pose.rules.belief import Belief, Nodes
from rt_pose.rules.chance import Truth
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.moment import Moment, Slot
from rt_pose.types import FloatArray, Track


@dataclass(frozen=True)
class Condition:
    """A condition bound to keypoints and zones."""

    text: str
    truth: Truth
    measure: Callable[[Moment], Any]
    """Its first quantity."""
    unit: str
    """Of that quantity; empty for a plain number."""
    slots: list[Slot]
    keypoints: tuple[int, ...]
    """Every keypoint it looks at: none of them may be lost when it fires."""
    memories: list[Callable[[], Any]]
    """Makers of what its quantities keep from frame to frame."""
    nodes: list[Nodes]
    _judges: dict[int, Judge] = field(default_factory=dict, repr=False)

    @property
    def says(self) -> str:
        """It as a clause."""
        return self.truth.says

    def prepare(self, where: str) -> None:
        """Make what probabilities need; UserError where it cannot be judged by probability."""
        for nodes in self.nodes:
            nodes.prepare(where)

    def judge(self, who: int, geometry: Geometry | None = None) -> Judge:
        """A judge with a memory of its own, for one individual on one camera."""
        return Judge(self, who, geometry)

    def holds(self, track: Track, who: int = 0) -> bool:
        """Whether it is true of a track's mean, for a condition in px and without a memory."""
        return self._looking(track, who).holds()

    def value(self, track: Track, who: int = 0) -> float:
        """Its first quantity, for a condition in px and without a memory."""
        return self._looking(track, who).value()

    def probability(self, track: Track, who: int = 0) -> float:
        """How probable it is, for a condition in px and without a memory."""
        return self._looking(track, who).probability()

    def _looking(self, track: Track, who: int) -> Judge:
        judge = self._judges.get(who)
        if judge is None:
            judge = self._judges[who] = self.judge(who)
        judge.look(track)
        return judge


class Judge:
    """Judges a condition for one individual: `see` each exposure in order, then `look` at a prediction."""

    def __init__(self, condition: Condition, who: int, geometry: Geometry | None) -> None:
        self._condition, self._who = condition, who
        self._belief = Belief(condition.slots, geometry)
        self._memories = [make() for make in condition.memories]
        self._belief.moment.memories = self._memories
        self._seen_ns: int | None = None

    @property
    def remembers(self) -> bool:
        """Whether it must `see` every exposure."""
        return bool(self._memories)

    def reset(self) -> None:
        """Forget what was seen: a recording was wound back."""
        self._seen_ns = None
        for memory in self._memories:
            memory.reset()

    def see(self, track: Track, confidence: FloatArray | None = None) -> None:
        """The track at an exposure; one that is not newer than the last changes nothing."""
        if self._seen_ns is not None and track.t_valid_ns <= self._seen_ns:
            return
        self._seen_ns = track.t_valid_ns
        self._belief.look(track, self._who, confidence)
        with np.errstate(all="ignore"):
            for memory in self._memories:
                memory.see(self._belief.moment)

    def look(self, track: Track, confidence: FloatArray | None = None) -> None:
        """The track that the following answers are about."""
        self._belief.look(track, self._who, confidence)

    def holds(self) -> bool:
        """Whether it is true of the mean. NaN makes a comparison false."""
        with np.errstate(all="ignore"):
            return bool(np.all(self._condition.truth.holds(self._belief.moment)))

    def value(self) -> float:
        """Its first quantity at the mean; of a condition such as `inside` how far inside (>= 0 is true)."""
        with np.errstate(all="ignore"):
            return float(np.ravel(self._condition.measure(self._belief.moment))[0])

    def probability(self) -> float:
        """Of the condition, from the covariance; NaN where a keypoint it needs has not been seen."""
        with np.errstate(all="ignore"):
            p = self._condition.truth.chance(self._belief)
        return p if math.isnan(p) else min(max(p, 0.0), 1.0)
