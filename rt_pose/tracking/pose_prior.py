"""The pose prior: linear spaces that the keypoints of one animal keep to, and which keypoints break them.

A pose of few degrees of freedom, or one body part seen in several views (mirrors in one image), lies near a
linear space of its coordinates: by PCA, for V views of points in space of three dimensions (Lightning Pose
and the ensemble Kalman smoother, Biderman et al. 2024). The space is fitted to a pose by weighted least
squares in which a keypoint that is far off, from its own past or from the space, weighs little, so that one
outlier does not drag the others with it. A keypoint that is far from the fitted space is replaced, for the
filter, by the estimate from the others, with the uncertainty of that: its own measurement then counts no
more than its distance allows. One that lies outside its own gate, but that the others confirm, has moved.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rt_pose.package import Subspace, TrackingSpec
from rt_pose.types import FloatArray

Mask = NDArray[np.bool_]

ROUNDS = 3
"""Of reweighting, where a keypoint is off: enough for one outlier in four."""
CHECKED_SHARE = 0.05
"""A keypoint is checked by the others where this share of its variance would lie outside the space."""
DISTANCE_WEIGHT = 0.25
"""Of the squared distance beyond the gate, in a keypoint's variance when the space is fitted again."""
RIDGE = 1e-9
"""Relative, on the normal equations: directions that no keypoint measures stay finite."""


def with_origin(spec: TrackingSpec, origin_xy: tuple[int, int]) -> TrackingSpec:
    """Move the spaces of a package to where the frames of a camera lie.

    They were fitted to pixels of frames; live poses are in pixels of the sensor, of which a camera may send a
    part.

    Parameters
    ----------
    spec
        The package's parameters.
    origin_xy
        Place of the frames' top-left pixel on the sensor, px.

    Returns
    -------
    TrackingSpec
        The same parameters for poses on the sensor.
    """
    if not any(origin_xy) or not spec.subspaces:
        return spec
    moved = [
        replace(space, mean_px=[value + origin_xy[i % 2] for i, value in enumerate(space.mean_px)])
        for space in spec.subspaces
    ]
    return replace(spec, subspaces=moved)


class _Space:
    """One subspace, its matrices ready."""

    def __init__(self, spec: Subspace) -> None:
        self.at = np.asarray(spec.keypoints, dtype=np.intp)
        self.mean = np.asarray(spec.mean_px, dtype=np.float64)
        self.basis = np.asarray(spec.components, dtype=np.float64).reshape(-1, self.mean.size).T  # (2 n, C)
        self.rows = self.basis.reshape(len(self.at), 2, -1)
        self.eps = np.asarray(spec.eps_px2, dtype=np.float64)
        self.outside = np.eye(len(self.basis)) - self.basis @ self.basis.T
        self.checked = np.diag(self.outside).reshape(-1, 2).mean(axis=1) > CHECKED_SHARE
        self.coordinates = np.repeat(2 * self.at, 2) + np.tile([0, 1], len(self.at))

    def fit(
        self, pose: FloatArray, own: FloatArray, variance: FloatArray, gate: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Fit the space to a pose (2 n,): each keypoint's estimate (n, 2), the covariance of that
        (n, 2, 2), and its squared distance from the measured position (n,).

        `own` (n,) are the variances by nature, `variance` (n,) those with which to begin.
        """
        d = pose - self.mean
        limit = gate * own
        for _ in range(ROUNDS):
            weighted = self.basis * np.repeat(1.0 / variance, 2)[:, None]
            normal = weighted.T @ self.basis
            normal.flat[:: len(normal) + 1] *= 1.0 + RIDGE
            inverse = np.linalg.inv(normal)
            place = self.basis @ (inverse @ (weighted.T @ d))
            rest = (d - place).reshape(-1, 2)
            distance2 = (rest * rest).sum(axis=1)
            if not (distance2 > limit).any():
                break
            variance = np.maximum(variance, own + DISTANCE_WEIGHT * (distance2 - limit))
        return (
            (self.mean + place).reshape(-1, 2),
            self.rows @ inverse @ self.rows.transpose(0, 2, 1),
            distance2,
        )


class PosePrior:
    """All subspaces of a package, for poses of N individuals of K keypoints; M = N * K, held flat."""

    def __init__(self, subspaces: list[Subspace], individuals: int, keypoints: int, gate: float) -> None:
        """Prepare the matrices of all subspaces.

        Parameters
        ----------
        subspaces
            The spaces of a package.
        individuals
            N.
        keypoints
            K of each individual.
        gate
            Chi-square gate.
        """
        self._spaces = [_Space(spec) for spec in subspaces]
        self._individuals, self._keypoints, self._gate = individuals, keypoints, gate
        self._eps = np.concatenate([s.eps for s in self._spaces])
        self._of = np.concatenate([s.at for s in self._spaces])
        ends = np.cumsum([0, *(len(s.at) for s in self._spaces)]).tolist()
        self._parts = [slice(a, b) for a, b in pairwise(ends)]
        # The distances from all spaces in one product: most poses break none, and cost no more than this.
        self._outside = np.zeros((2 * len(self._of), 2 * keypoints))
        self._offset = np.zeros(len(self._outside))
        for s, part in zip(self._spaces, self._parts, strict=True):
            rows = slice(2 * part.start, 2 * part.stop)
            self._outside[rows, s.coordinates] = s.outside
            self._offset[rows] = s.outside @ s.mean

    def check_pose(self, z: FloatArray, r: FloatArray, factor: FloatArray, usable: Mask) -> tuple[Mask, Mask]:
        """Find keypoints that break the pose, and those that the others confirm.

        Parameters
        ----------
        z
            Positions, (2, M) px, the prediction where nothing was seen. Where a keypoint breaks the pose,
            overwritten by the estimate of the space.
        r
            Their noise, (3, M) px^2; overwritten likewise.
        factor
            (M,) factor by which a keypoint's own past has inflated its noise.
        usable
            (M,) where a position means anything.

        Returns
        -------
        tuple[Mask, Mask]
            Which keypoints break the pose, and which are confirmed by the others, (M,) each.
        """
        broken, vouched = np.zeros(z.shape[1], dtype=bool), np.zeros(z.shape[1], dtype=bool)
        for i in range(self._individuals):
            part = slice(i * self._keypoints, (i + 1) * self._keypoints)
            self._check_individual(
                z[:, part], r[:, part], factor[part], usable[part], broken[part], vouched[part]
            )
        return broken, vouched

    def _check_individual(
        self, z: FloatArray, r: FloatArray, factor: FloatArray, usable: Mask, broken: Mask, vouched: Mask
    ) -> None:
        pose = z.T.ravel()
        own = self._eps + 0.5 * (r[0] + r[2])[self._of]
        rest = self._outside @ pose - self._offset
        rest *= rest
        odd = (rest[::2] + rest[1::2] > self._gate * own) | (factor[self._of] > 1.0)
        if not odd.any():
            return
        for s, part in zip(self._spaces, self._parts, strict=True):
            if not odd[part].any() or not usable[s.at].all():
                continue
            mine = own[part]
            place, worth, distance2 = s.fit(pose[s.coordinates], mine, mine * factor[s.at], self._gate)
            off = s.checked & (distance2 > self._gate * mine)
            vouched[s.at] |= s.checked & ~off
            at = s.at[off]
            broken[at] = True
            z[:, at] = place[off].T
            r[:, at] = worth[off][:, [0, 0, 1], [0, 1, 1]].T
            r[0, at] += s.eps[off]
            r[2, at] += s.eps[off]
