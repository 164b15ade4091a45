"""A condition ready to be evaluated, and its evaluator for one individual."""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.rules.geometry import Geometry
from rt_pose.rules.memory import Memory
from rt_pose.rules.predicate import BoundPredicate
from rt_pose.rules.samples import Slot, StateSamples
from rt_pose.rules.state_distribution import QuadraturePoints, StateDistribution
from rt_pose.types import Estimate, FloatArray, Track, Track3D


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
    """Every keypoint it looks at: none of them may be lost when it fires. See `joint` for their numbers."""
    memories: list[Callable[[], Memory]]
    """Makers of what its quantities keep from frame to frame."""
    nodes: list[QuadraturePoints]
    camera: str = ""
    """The one that it names (`nose@top`); empty for none."""
    inputs: tuple[str, ...] = ()
    """Inputs that it names."""
    individual: int | None = None
    """The one that it names (`individual0.nose`), the first of several; None for none."""
    joint: bool = False
    """Whether it is about several: keypoint k of individual i has the number i * K + k then; see `pair`."""
    named: tuple[int, ...] = ()
    """All individuals that it names."""
    word: str = ""
    """`any` or `each`, where it says so in place of an individual."""
    without: str = ""
    """The first keypoint that it names without an individual."""
    pair: bool = False
    """Whether it is about an individual and another one: keypoint k of the other has the number K + k."""
    axes: int = 2
    """2 where it is judged in the frame of a camera, 3 in space."""
    _evaluators: dict[int, ConditionEvaluator] = field(default_factory=dict, repr=False)

    @property
    def says(self) -> str:
        """It as a clause."""
        return self.predicate.says

    def is_lost(self, lost: NDArray[np.bool_], who: int, other: int = 0) -> bool:
        """Check whether a keypoint that it looks at is lost.

        Parameters
        ----------
        lost
            As in `Track`, (N, K).
        who
            Index of the individual that it is judged for.
        other
            Of a pair, that of the other one.

        Returns
        -------
        bool
            Whether one is.
        """
        row = lost.ravel() if self.joint else lost[who]
        if self.pair:
            row = lost[[who, other]].ravel()
        return any(row[k] for k in self.keypoints)

    def prepare(self, where: str) -> None:
        """Make what probabilities need, before the run.

        Parameters
        ----------
        where
            Place of the condition in the configuration, for messages.

        Raises
        ------
        UserError
            Where its probability cannot be computed.
        """
        for nodes in self.nodes:
            nodes.prepare(where)

    def evaluator(
        self, who: int, geometry: Geometry | None = None, other: int | None = None
    ) -> ConditionEvaluator:
        """Make an evaluator with a memory of its own.

        Parameters
        ----------
        who
            Index of the individual.
        geometry
            Geometry of the camera, for what is measured in mm.
        other
            Of a pair, that of the other one; None: the first that is another.

        Returns
        -------
        ConditionEvaluator
            The evaluator, for one individual on one camera.
        """
        return ConditionEvaluator(self, who, geometry, (0 if who else 1) if other is None else other)

    def holds(self, track: Estimate, who: int = 0) -> bool:
        """Check whether it is true of a track's mean, for a condition in px and without a memory.

        Parameters
        ----------
        track
            The track, at any time.
        who
            Index of the individual.

        Returns
        -------
        bool
            Whether it is true.
        """
        return self._evaluator_for(track, who).holds()

    def value(self, track: Estimate, who: int = 0) -> float:
        """Compute its first quantity, for a condition in px and without a memory.

        Parameters
        ----------
        track
            The track, at any time.
        who
            Index of the individual.

        Returns
        -------
        float
            The quantity at the track's mean, in `unit`.
        """
        return self._evaluator_for(track, who).value()

    def probability(self, track: Estimate, who: int = 0) -> float:
        """Compute its probability, for a condition in px and without a memory.

        Parameters
        ----------
        track
            The track, at any time.
        who
            Index of the individual.

        Returns
        -------
        float
            The probability, 0..1; NaN where a keypoint it needs has not been seen.
        """
        return self._evaluator_for(track, who).probability()

    def _evaluator_for(self, track: Estimate, who: int) -> ConditionEvaluator:
        evaluator = self._evaluators.get(who)
        if evaluator is None:
            evaluator = self._evaluators[who] = self.evaluator(who)
        evaluator.set_track(track)
        return evaluator


class ConditionEvaluator:
    """Evaluates a condition for one individual: `observe` each exposure in order, then `set_track` at a
    prediction."""

    def __init__(self, condition: Condition, who: int, geometry: Geometry | None, other: int = 0) -> None:
        """Allocate the state distribution and the memories.

        Parameters
        ----------
        condition
            The condition.
        who
            Index of the individual.
        geometry
            Geometry of the camera, for what is measured in mm.
        other
            Of a pair, index of the other one.
        """
        self._condition, self._who, self.other = condition, who, other
        self._state = StateDistribution(condition.slots, geometry, condition.axes)
        self._memories = [make() for make in condition.memories]
        self._state.samples.memories = self._memories
        self.set_inputs(set())
        self._observed_ns: int | None = None

    @property
    def has_memory(self) -> bool:
        """Whether it must `observe` every exposure."""
        return bool(self._memories)

    @property
    def has_inputs(self) -> bool:
        """Whether it asks for lines of inputs."""
        return bool(self._condition.inputs)

    def reset(self) -> None:
        """Empty the memories: a recording was wound back."""
        self._observed_ns = None
        for memory in self._memories:
            memory.reset()

    def observe(self, track: Estimate, confidence: FloatArray | None = None) -> None:
        """Update the memories with the track at an exposure.

        Parameters
        ----------
        track
            The filter's estimate; one that is not newer than the last changes nothing.
        confidence
            The network's, (N, K) 0..1.
        """
        if self._observed_ns is not None and track.t_valid_ns <= self._observed_ns:
            return
        self._observed_ns = track.t_valid_ns
        self.set_track(track, confidence)
        with np.errstate(all="ignore"):
            for memory in self._memories:
                memory.observe(self._state.samples)

    def set_track(self, track: Estimate, confidence: FloatArray | None = None) -> None:
        """Set the track that the following answers are about.

        Parameters
        ----------
        track
            A prediction at the time of effect.
        confidence
            The network's in the newest frame, (N, K) 0..1.
        """
        if self._condition.joint:
            rows: slice | list[int] = [self._who, self.other] if self._condition.pair else slice(None)
            together = None if confidence is None else confidence[rows].reshape(1, -1)
            one = _as_one(track, rows) if isinstance(track, Track) else _as_one_in_space(track, rows)
            self._state.set_track(one, 0, together)
        else:
            self._state.set_track(track, self._who, confidence)

    def set_inputs(self, on: Container[str]) -> None:
        """Set the lines that the following answers are about.

        Parameters
        ----------
        on
            Names of the inputs that are on.
        """
        self._state.samples.inputs = [1.0 if name in on else -1.0 for name in self._condition.inputs]

    def holds(self) -> bool:
        """Check whether the condition is true of the track's mean.

        Returns
        -------
        bool
            Whether it is; NaN makes a comparison false.
        """
        with np.errstate(all="ignore"):
            return bool(np.all(self._condition.predicate.holds(self._state.samples)))

    def value(self) -> float:
        """Compute the condition's first quantity at the track's mean.

        Returns
        -------
        float
            The quantity in the condition's `unit`; of a condition such as `inside` how far inside (>= 0 is
            true).
        """
        with np.errstate(all="ignore"):
            return float(np.ravel(self._condition.measure(self._state.samples))[0])

    def probability(self) -> float:
        """Compute the condition's probability from the track's covariance.

        Returns
        -------
        float
            The probability, 0..1; NaN where a keypoint it needs has not been seen.
        """
        with np.errstate(all="ignore"):
            p = self._condition.predicate.probability(self._state)
        return p if math.isnan(p) else min(max(p, 0.0), 1.0)


def _as_one(track: Track, rows: slice | list[int]) -> Track:
    """Some individuals of a track as one of all their keypoints; the arrays of all of them are shared."""
    lost = track.lost[rows].reshape(1, -1)
    keypoints = lost.size
    return replace(
        track,
        xy=track.xy[rows].reshape(1, keypoints, 2),
        velocity=track.velocity[rows].reshape(1, keypoints, 2),
        cov=track.cov[rows].reshape(1, keypoints, 4, 4),
        seen_ms_ago=track.seen_ms_ago[rows].reshape(1, keypoints),
        lost=lost,
    )


def _as_one_in_space(track: Track3D, rows: slice | list[int]) -> Track3D:
    """The same of a track in space."""
    return replace(
        track,
        xyz=track.xyz[rows].reshape(-1, 3),
        velocity=track.velocity[rows].reshape(-1, 3),
        cov=track.cov[rows].reshape(-1, 6, 6),
        seen_ms_ago=track.seen_ms_ago[rows].ravel(),
        lost=track.lost[rows].ravel(),
        individuals=None,
    )
