"""A condition ready to be judged, and the judge of it for one individual."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rt_pose.rules.geometry import Geometry
from rt_pose.rules.predicate import BoundPredicate
from rt_pose.rules.samples import Slot, StateSamples
from rt_pose.rules.state_distribution import QuadraturePoints, StateDistribution
from rt_pose.types import FloatArray, Track


@dataclass(frozen=True)
class Condition:
    """A condition bound to keypoints and zones."""

    text: str
    predicate: BoundPredicate
    measure: Callable[[StateSamples], Any]
    """Its first quantity."""
    unit: str
    """Of that quantity; empty for a plain number."""
    slots: list[Slot]
    keypoints: tuple[int, ...]
    """Every keypoint it looks at: none of them may be lost when it fires."""
    memories: list[Callable[[], Any]]
    """Makers of what its quantities keep from frame to frame."""
    nodes: list[QuadraturePoints]
    _evaluators: dict[int, ConditionEvaluator] = field(default_factory=dict, repr=False)

    @property
    def says(self) -> str:
        """It as a clause."""
        return self.predicate.says

    def prepare(self, where: str) -> None:
        """Make what probabilities need; UserError where it cannot be judged by probability."""
        for nodes in self.nodes:
            nodes.prepare(where)

    def evaluator(self, who: int, geometry: Geometry | None = None) -> ConditionEvaluator:
        """A judge with a memory of its own, for one individual on one camera."""
        return ConditionEvaluator(self, who, geometry)

    def holds(self, track: Track, who: int = 0) -> bool:
        """Whether it is true of a track's mean, for a condition in px and without a memory."""
        return self._evaluator_for(track, who).holds()

    def value(self, track: Track, who: int = 0) -> float:
        """Its first quantity, for a condition in px and without a memory."""
        return self._evaluator_for(track, who).value()

    def probability(self, track: Track, who: int = 0) -> float:
        """How probable it is, for a condition in px and without a memory."""
        return self._evaluator_for(track, who).probability()

    def _evaluator_for(self, track: Track, who: int) -> ConditionEvaluator:
        evaluator = self._evaluators.get(who)
        if evaluator is None:
            evaluator = self._evaluators[who] = self.evaluator(who)
        evaluator.set_track(track)
        return evaluator


class ConditionEvaluator:
    """Judges a condition for one individual: `observe` each exposure in order, then `set_track` at a
    prediction."""

    def __init__(self, condition: Condition, who: int, geometry: Geometry | None) -> None:
        self._condition, self._who = condition, who
        self._state = StateDistribution(condition.slots, geometry)
        self._memories = [make() for make in condition.memories]
        self._state.samples.memories = self._memories
        self._observed_ns: int | None = None

    @property
    def has_memory(self) -> bool:
        """Whether it must `observe` every exposure."""
        return bool(self._memories)

    def reset(self) -> None:
        """Forget what was seen: a recording was wound back."""
        self._observed_ns = None
        for memory in self._memories:
            memory.reset()

    def observe(self, track: Track, confidence: FloatArray | None = None) -> None:
        """The track at an exposure; one that is not newer than the last changes nothing."""
        if self._observed_ns is not None and track.t_valid_ns <= self._observed_ns:
            return
        self._observed_ns = track.t_valid_ns
        self._state.set_track(track, self._who, confidence)
        with np.errstate(all="ignore"):
            for memory in self._memories:
                memory.observe(self._state.samples)

    def set_track(self, track: Track, confidence: FloatArray | None = None) -> None:
        """The track that the following answers are about."""
        self._state.set_track(track, self._who, confidence)

    def holds(self) -> bool:
        """Whether it is true of the mean. NaN makes a comparison false."""
        with np.errstate(all="ignore"):
            return bool(np.all(self._condition.predicate.holds(self._state.samples)))

    def value(self) -> float:
        """Its first quantity at the mean; of a condition such as `inside` how far inside (>= 0 is true)."""
        with np.errstate(all="ignore"):
            return float(np.ravel(self._condition.measure(self._state.samples))[0])

    def probability(self) -> float:
        """Of the condition, from the covariance; NaN where a keypoint it needs has not been seen."""
        with np.errstate(all="ignore"):
            p = self._condition.predicate.probability(self._state)
        return p if math.isnan(p) else min(max(p, 0.0), 1.0)
