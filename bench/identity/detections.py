"""Simulated animals that cross, and what a network might detect of them.

The animals are those of the simulated rig: each runs on its own curve, so that every seed is a script of
crossings. Detections come from the truth: noise whose size is stated, as a calibrated network would state it;
keypoints that are hidden, or found on the animal that hides them; animals that are missed, now and then, and
for a while where another lies over them; two animals found as one, with keypoints of both; and detections of
nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.scene import Scene
from rt_pose.types import FloatArray

NOBODY = -1
NOISE_PX, NOISE_SPREAD = 1.5, 0.4
"""Standard deviation of a keypoint that is seen, and the spread of its logarithm."""
GUESS_PX, GUESSED = 6.0, 0.15
"""Standard deviation of a keypoint that is hidden, and how often it is given all the same."""
BORROWED = 0.2
"""How often a keypoint that another animal hides is found on that one."""
MISSED = 0.02
"""How often an animal is missed in a frame, whatever happened before."""
LOST_PER_S, LOST_UNDER_PER_S, LOST_S = 0.05, 2.0, 0.3
"""How often an animal is missed for a while, and so where another lies over it; for how long on average."""
MERGED_PER_S, MERGED_S = 1.0, 0.2
"""How often two animals that touch are found as one, and for how long on average."""
FALSE_PER_S, FALSE_S = 0.5, 0.1
"""How often a detection of nobody begins, and for how long it stays on average."""


@dataclass(slots=True)
class Detections:
    """What is detected in a frame, in no order."""

    xy: FloatArray
    """(D, K, 2) px."""
    cov: FloatArray
    """(D, K, 2, 2) px^2."""
    confidence: FloatArray
    """(D, K)."""
    label: NDArray[np.int64]
    """(D,) whose it is, of two that were merged the one with more keypoints; `NOBODY`."""


@dataclass
class Recording:
    """F frames of N animals."""

    rate_hz: float
    frames: list[Detections]
    touching: NDArray[np.bool_]
    """(F, N, N) whether a keypoint of one lies below or above the body of the other."""


def record(seed: int, animals: int, seconds: float, rate_hz: float) -> Recording:
    """Let animals run, and detect them.

    Parameters
    ----------
    seed
        Seed of the animals and of all that is drawn.
    animals
        N.
    seconds
        Length, s.
    rate_hz
        Frames a second.

    Returns
    -------
    Recording
        The frames.
    """
    options = SimulatedOptions(animals=animals, rate_hz=rate_hz)
    scene = Scene(seed, options)
    undisturbed = Reactions(scene.timing)
    detector = Detector(seed, animals, options)
    count = int(seconds * rate_hz)
    frames, touching = [], np.zeros((count, animals, animals), dtype=bool)
    for i in range(count):
        postures = scene.postures(options.scene_time_ns(i), undisturbed)
        covered = np.zeros((animals, animals, len(KEYPOINTS)), dtype=bool)
        for a in range(animals):
            for b in range(animals):
                if a != b:
                    covered[a, b] = postures[b].covers(postures[a].keypoints)
        overlap = covered.any(axis=2)
        touching[i] = overlap | overlap.T
        frames.append(detector.detect(*scene.project(postures), covered, touching[i]))
    return Recording(rate_hz, frames, touching)


@dataclass
class _Merge:
    """Two animals that are found as one."""

    frames: int
    """How many are left."""
    first: NDArray[np.bool_]
    """(K,) which keypoints are the first one's."""


@dataclass
class _False:
    """A detection of nobody."""

    frames: int
    xy: FloatArray
    """(K, 2) px."""


@dataclass
class Detector:
    """Draws what is detected, frame after frame; a pure function of its seed and of the frames."""

    seed: int
    animals: int
    options: SimulatedOptions
    _lost: NDArray[np.int64] = field(init=False)
    """(N,) frames for which each animal will be missed."""
    _merges: dict[tuple[int, int], _Merge] = field(init=False, default_factory=dict)
    _false: list[_False] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Begin."""
        self._random = np.random.default_rng(self.seed)
        self._lost = np.zeros(self.animals, dtype=np.int64)

    def detect(
        self,
        xy: FloatArray,
        visible: NDArray[np.bool_],
        covered: NDArray[np.bool_],
        touching: NDArray[np.bool_],
    ) -> Detections:
        """Detect the animals of the next frame.

        Parameters
        ----------
        xy, visible
            Their keypoints, (N, K, 2) px and (N, K).
        covered
            (N, N, K) whether a keypoint of the first lies within the body of the second.
        touching
            (N, N) whether two animals touch.

        Returns
        -------
        Detections
            In an order that says nothing.
        """
        random, shape = self._random, visible.shape
        where = self._borrow(xy, covered)
        sd = NOISE_PX * np.exp(NOISE_SPREAD * random.standard_normal(shape))
        guessed = ~visible & (random.random(shape) < GUESSED)
        sd[guessed] = GUESS_PX
        found = where + sd[..., None] * random.standard_normal((*shape, 2))
        found[~(visible | guessed | (where != xy).any(axis=2))] = np.nan
        label = np.arange(self.animals)
        label[self._missed(touching)] = NOBODY
        for (a, b), merge in self._merged(touching).items():
            more, less = (a, b) if 2 * merge.first.sum() > len(merge.first) else (b, a)
            found[more] = np.where(merge.first[:, None], found[a], found[b])
            sd[more] = np.where(merge.first, sd[a], sd[b])
            label[more], label[less] = more, NOBODY
        label[np.isfinite(found[..., 0]).sum(axis=1) < 2] = NOBODY
        there = np.flatnonzero(label != NOBODY)
        nobody = self._nobody(xy)
        noise = NOISE_PX * random.standard_normal(nobody.shape)
        return self._shuffled(
            np.concatenate([found[there], nobody + noise]),
            np.concatenate([sd[there], np.full(nobody.shape[:2], NOISE_PX)]),
            np.concatenate([label[there], np.full(len(nobody), NOBODY)]),
        )

    def _borrow(self, xy: FloatArray, covered: NDArray[np.bool_]) -> FloatArray:
        """Where keypoints are found: those that another animal hides now and then on that one."""
        where = xy.copy()
        for a in range(self.animals):
            for b in range(a + 1, self.animals):
                taken = covered[a, b] & (self._random.random(covered.shape[2]) < BORROWED)
                where[a, taken] = xy[b, taken]
        return where

    def _missed(self, touching: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,) which animals are missed."""
        for a in range(self.animals):
            under = bool(touching[a, a + 1 :].any())
            self._lost[a] = max(0, self._lost[a] - 1)
            if self._lost[a] == 0 and self._begins(LOST_UNDER_PER_S if under else LOST_PER_S):
                self._lost[a] = self._lasts(LOST_S)
        return (self._lost > 0) | (self._random.random(self.animals) < MISSED)

    def _merged(self, touching: NDArray[np.bool_]) -> dict[tuple[int, int], _Merge]:
        """The pairs that are found as one; no animal is in two of them."""
        for pair in list(self._merges):
            self._merges[pair].frames -= 1
            if self._merges[pair].frames <= 0 or not touching[pair]:
                del self._merges[pair]
        for a in range(self.animals):
            for b in range(a + 1, self.animals):
                busy = any(one in pair for pair in self._merges for one in (a, b))
                if touching[a, b] and not busy and self._begins(MERGED_PER_S):
                    first = self._random.random(len(KEYPOINTS)) < self._random.random()
                    self._merges[a, b] = _Merge(self._lasts(MERGED_S), first)
        return self._merges

    def _nobody(self, xy: FloatArray) -> FloatArray:
        """(D, K, 2) px, detections of nobody: an animal's pose, turned, at any place."""
        self._false = [one for one in self._false if one.frames > 0]
        if self._begins(FALSE_PER_S):
            pose = xy[self._random.integers(self.animals)]
            turn = self._random.uniform(0.0, 2.0 * np.pi)
            matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            place = self._random.uniform((0.0, 0.0), (self.options.width, self.options.height))
            self._false.append(_False(self._lasts(FALSE_S), (pose - pose.mean(axis=0)) @ matrix + place))
        for one in self._false:
            one.frames -= 1
        return np.array([one.xy for one in self._false]).reshape(-1, *xy.shape[1:])

    def _begins(self, per_s: float) -> bool:
        return bool(self._random.random() < per_s / self.options.rate_hz)

    def _lasts(self, mean_s: float) -> int:
        return int(self._random.geometric(min(1.0, 1.0 / (mean_s * self.options.rate_hz))))

    def _shuffled(self, xy: FloatArray, sd: FloatArray, label: NDArray[np.int64]) -> Detections:
        order = self._random.permutation(len(label))
        variance = np.square(sd[order])
        return Detections(
            xy=xy[order],
            cov=variance[..., None, None] * np.eye(2),
            confidence=np.where(np.isfinite(xy[order, :, 0]), np.minimum(1.0, NOISE_PX / sd[order]), 0.0),
            label=label[order],
        )
