"""Which of a map's peaks each keypoint is: chosen together, by all that is known of the animal.

A network that takes one paw for another has its highest peak on the other, and often a lower one where the
paw is. What speaks for a candidate: its mass, the filter's prediction, the linear spaces that poses and
mirrored views keep to (`rt_pose.tracking.pose_prior`), and that no two keypoints of a group stand on one
peak. Each is a cost, a negative logarithm of a probability up to a constant. Squared distances count up to a
limit, so that a keypoint that is wrong in all its candidates, or a prediction that is, cannot outweigh all
the others.

The search for the cheapest choice of all is exponential in the number of keypoints. This is a local one: from
the highest peaks on, one keypoint and then two at a time take what lowers the cost most, in a fixed order and
for at most a fixed number of sweeps. It ends where no such move is left, which need not be the cheapest
choice. Two at a time because an exchange of left and right is reached by no single move: halfway both stand
on one peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rt_pose.package import Subspace, TrackingSpec
from rt_pose.tracking.candidate_choice_compiled import Spaces, Weights, Work, choose
from rt_pose.types import FloatArray

VIEWS = 3
"""A space of so many keypoints or fewer is one body part in several views; these are changed together."""


@dataclass(frozen=True)
class ChoiceSpec:
    """How much each kind of evidence counts."""

    mass: float = 0.5
    """Of -log(mass): less than 1, as networks are too sure of the peak that they made."""
    limit_chi2: float = 18.4
    """Of a squared distance, 99.99 % of chi-square with 2 degrees of freedom: further says no more."""
    exclusion_px: float = 8.0
    """Frame px within which two keypoints of a group stand on one peak."""
    exclusion_cost: float = 3.0
    """Of standing there; limited, as one paw does hide another from the side."""
    none_cost: float = 25.0
    """Where more than this speaks against a keypoint's best candidate it has none."""
    sweeps: int = 3
    """Most passes over keypoints and pairs."""


class Choice(NamedTuple):
    """What was chosen for K keypoints; its arrays are the caller's own."""

    index: NDArray[np.int64]
    """(K,) of the candidate, -1 for none."""
    probability: FloatArray
    """(K,) that it is right, by the costs of its alternatives and of none: not calibrated. 0 for none."""


class CandidateChoice:
    """Chooses among candidates: a pure function of what it is given. Not thread safe."""

    def __init__(
        self,
        tracking: TrackingSpec,
        candidates: int,
        groups: Sequence[Sequence[int]] | None = None,
        spec: ChoiceSpec | None = None,
    ) -> None:
        """Prepare the matrices of all subspaces.

        Parameters
        ----------
        tracking
            Its subspaces are the pose prior; its gain and floor give the noise of a position.
        candidates
            C of each keypoint.
        groups
            Keypoints (indices) that exclude each other within a group; None for all of them.
        spec
            How much each kind of evidence counts; None for the defaults.
        """
        self._spec = spec or ChoiceSpec()
        self._gain, self._floor = (
            np.asarray(v, dtype=np.float64) for v in (tracking.gain, tracking.floor_px2)
        )
        keypoints = len(self._gain)
        self._group = np.full(keypoints, -1 if groups is not None else 0, dtype=np.int64)
        for number, group in enumerate(groups or ()):
            self._group[list(group)] = number
        self._pairs = _pairs(self._group, tracking.subspaces)
        self._spaces = _spaces(tracking.subspaces, keypoints)
        s = self._spec
        self._weights = Weights(s.mass, s.limit_chi2, s.exclusion_px, s.exclusion_cost, s.none_cost)
        self._work = _work(keypoints, candidates, self._spaces)

    def choose(
        self,
        xy: FloatArray,
        cov: FloatArray,
        mass: FloatArray,
        predicted: FloatArray,
        predicted_cov: FloatArray,
        known: NDArray[np.bool_],
    ) -> Choice:
        """Choose a candidate for each keypoint of one animal.

        Parameters
        ----------
        xy
            Positions (K, C, 2), frame px, the highest peak first; NaN from the first that is missing on.
        cov
            Covariances as decoded, (K, C, 2, 2) px^2.
        mass
            (K, C) 0..1.
        predicted, predicted_cov
            The filter's prediction for the same time: (K, 2) px and (K, 2, 2) px^2.
        known
            (K,) where there is one.

        Returns
        -------
        Choice
            The choice, and how probable it is.
        """
        keypoints = len(xy)
        chosen, probability = np.empty(keypoints, np.int64), np.empty(keypoints)
        choose(
            xy, cov, mass, predicted, predicted_cov, known, self._gain, self._floor, self._group, self._pairs,
            self._spaces, self._weights, self._spec.sweeps, self._work, chosen, probability,
        )  # fmt: skip
        return Choice(chosen, probability)


def _pairs(group: NDArray[np.int64], subspaces: Sequence[Subspace]) -> NDArray[np.int64]:
    """(P, 3) pairs that may change together: views of one part, and, with a 0, those of one group."""
    views = {
        pair for s in subspaces if len(s.keypoints) <= VIEWS for pair in combinations(sorted(s.keypoints), 2)
    }
    excluding = {
        (a, b) for a, b in combinations(range(len(group)), 2) if group[a] == group[b] and group[a] >= 0
    } - views
    rows = [(*pair, 1) for pair in sorted(views)] + [(*pair, 0) for pair in sorted(excluding)]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _spaces(subspaces: Sequence[Subspace], keypoints: int) -> Spaces:
    """All subspaces end to end."""
    members = [np.asarray(s.keypoints, dtype=np.int64) for s in subspaces]
    lengths = [len(m) for m in members]
    outside, offset = [np.empty(0)], [np.empty(0)]
    for s in subspaces:
        mean = np.asarray(s.mean_px, dtype=np.float64)
        basis = np.asarray(s.components, dtype=np.float64).reshape(-1, mean.size)
        projector = np.eye(mean.size) - basis.T @ basis
        outside.append(projector.ravel())
        offset.append(projector @ mean)
    of = _joined(members)
    slots = [np.flatnonzero(of == k) for k in range(keypoints)]
    return Spaces(
        starts=_starts(lengths),
        members=of,
        space=_joined([np.full(n, s, np.int64) for s, n in enumerate(lengths)]),
        slot_starts=_starts([len(s) for s in slots]),
        slots=_joined(slots),
        matrix_starts=_starts([4 * n * n for n in lengths])[:-1].copy(),
        outside=np.concatenate(outside),
        offset=np.concatenate(offset),
        eps=np.array([e for s in subspaces for e in s.eps_px2], dtype=np.float64),
    )


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)


def _starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Where parts of these lengths begin, and where the last one ends."""
    return np.cumsum([0, *lengths]).astype(np.int64)


def _work(keypoints: int, candidates: int, spaces: Spaces) -> Work:
    return Work(
        count=np.empty(keypoints, np.int64),
        own=np.empty((keypoints, candidates)),
        spread=np.empty((keypoints, candidates)),
        place=np.empty((keypoints, 2)),
        noise=np.empty(keypoints),
        residual=np.empty(2 * len(spaces.members)),
        active=np.empty(len(spaces.matrix_starts), np.bool_),
    )
