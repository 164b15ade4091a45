"""Places in space from where several cameras see them: linear, then the least weighted reprojection error.

The start is the linear least-squares solution of all rays (direct linear transform); Levenberg's and
Marquardt's steps, of all points at once, then minimise the squared distances on the images, each weighed by
the covariance of the observation. The inverse of the last normal equations is the covariance of the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera

Mask = NDArray[np.bool_]
STEPS = 10
CONVERGED = 1e-8
"""Share of its squared error that a step must promise, or a point stays where it is."""
LEAST_VIEWS = 2
HIDDEN_PX = 1e4
"""Error that counts while a point lies where a camera that sees it cannot see it, behind it."""
TINY = 1e-12
GATE_Z = 3.09
"""Quantile of the normal distribution, one in a thousand: less likely errors are an outlier's."""


@dataclass(frozen=True, slots=True)
class Triangulated:
    """n places seen by V cameras."""

    xyz: FloatArray
    """(n, 3) in the calibration's unit; NaN where fewer than two cameras see a point."""
    cov: FloatArray
    """(n, 3, 3) its covariance, that of the observations being what was given."""
    residual: FloatArray
    """(V, n, 2) px, seen minus projected; NaN where a camera was not used."""
    used: Mask
    """(V, n) which cameras each point was made from."""

    def part(self, rows: slice) -> Triangulated:
        """Get some of the points.

        Parameters
        ----------
        rows
            Which.

        Returns
        -------
        Triangulated
            These points.
        """
        return Triangulated(self.xyz[rows], self.cov[rows], self.residual[:, rows], self.used[:, rows])

    @property
    def error_px(self) -> FloatArray:
        """(n,) root mean square distance on the images, px; NaN where there is no point."""
        squared = np.where(self.used, np.square(self.residual).sum(axis=-1), 0.0).sum(axis=0)
        views = self.used.sum(axis=0)
        return np.sqrt(np.where(views > 0, squared, np.nan) / np.maximum(views, 1))


@dataclass(frozen=True, slots=True)
class _Equations:
    """Of n points: weighted squared error, and the normal equations of the next step."""

    cost: FloatArray
    """(n,)."""
    matrix: FloatArray
    """(n, 3, 3)."""
    right: FloatArray
    """(n, 3)."""
    residual: FloatArray
    """(V, n, 2)."""


def triangulate(
    cameras: Sequence[CalibratedCamera], xy: FloatArray, cov: FloatArray | None = None, steps: int = STEPS
) -> Triangulated:
    """Find places in space.

    Parameters
    ----------
    cameras
        V of them.
    xy
        (V, n, 2) px where each camera sees each point; NaN where it does not.
    cov
        (V, n, 2, 2) px^2 covariances of these; None for 1 px in x and y.
    steps
        How often the linear solution is improved at most.

    Returns
    -------
    Triangulated
        The places. Every camera that sees a point counts, however far off it is.
    """
    ideal = np.stack([camera.undistort(seen) for camera, seen in zip(cameras, xy, strict=True)])
    used = np.isfinite(ideal).all(axis=-1)
    if cov is not None:
        with np.errstate(invalid="ignore"):  # a NaN is no covariance either
            used &= np.isfinite(cov).all(axis=(-2, -1)) & (cov[..., 0, 0] > 0)
            used &= cov[..., 0, 0] * cov[..., 1, 1] > np.square(cov[..., 0, 1])
    used &= used.sum(axis=0) >= LEAST_VIEWS
    weights = np.where(used[..., None, None], np.eye(2) if cov is None else cov, np.eye(2))
    weights = np.where(used[..., None, None], np.linalg.inv(weights), 0.0)
    seen = np.where(used[..., None], xy, 0.0)
    start = _intersect(cameras, np.where(used[..., None], ideal, 0.0), used)
    xyz, last = _refine(cameras, seen, weights, start, steps)
    found = used.any(axis=0)
    cov_xyz = np.linalg.inv(last.matrix + _ridge(last.matrix, 1e-12))
    return Triangulated(
        np.where(found[:, None], xyz, np.nan),
        np.where(found[:, None, None], cov_xyz, np.nan),
        np.where(used[..., None], last.residual, np.nan),
        used,
    )


def triangulate_consistent(
    cameras: Sequence[CalibratedCamera], xy: FloatArray, cov: FloatArray
) -> Triangulated:
    """Find places in space, leaving out observations that contradict all others.

    Where three cameras or more see a point, and their errors are larger than their covariances allow (one in
    a thousand), it is made without the camera whose absence explains most, and so on while three are left.

    Parameters
    ----------
    cameras
        V of them.
    xy
        (V, n, 2) px, NaN where a camera does not see a point.
    cov
        (V, n, 2, 2) px^2.

    Returns
    -------
    Triangulated
        The places.
    """
    taken = np.array(xy)
    for _ in range(len(cameras) - LEAST_VIEWS):
        found = triangulate(cameras, taken, cov)
        views = found.used.sum(axis=0)
        chi2 = _chi2(found, cov)
        wrong = np.flatnonzero((views > LEAST_VIEWS) & (chi2 > _gate(2.0 * views - 3.0)))
        if not wrong.size:
            return found
        without = np.full((len(cameras), wrong.size), np.inf)
        for v in range(len(cameras)):
            tried = taken[:, wrong].copy()
            tried[v] = np.nan
            less = _chi2(triangulate(cameras, tried, cov[:, wrong]), cov[:, wrong])
            without[v] = np.where(found.used[v, wrong], less, np.inf)
        taken[without.argmin(axis=0), wrong] = np.nan
    return triangulate(cameras, taken, cov)


def _chi2(found: Triangulated, cov: FloatArray) -> FloatArray:
    """Squared errors in units of their variances, added up over cameras, (n,)."""
    off = np.where(found.used[..., None], found.residual, 0.0)
    weights = np.linalg.inv(np.where(found.used[..., None, None], cov, np.eye(2)))
    return np.asarray(np.einsum("vni,vnij,vnj->n", off, weights, off))


def _gate(degrees: FloatArray) -> FloatArray:
    """Quantile of the chi-square distribution (Wilson and Hilferty 1931)."""
    d = np.maximum(degrees, 1.0)
    gate: FloatArray = d * (1 - 2 / (9 * d) + GATE_Z * np.sqrt(2 / (9 * d))) ** 3
    return gate


def _intersect(cameras: Sequence[CalibratedCamera], ideal: FloatArray, used: Mask) -> FloatArray:
    """The linear least-squares solution, (n, 3); anything where a point is not used."""
    matrix, right = np.zeros((ideal.shape[1], 3, 3)), np.zeros((ideal.shape[1], 3))
    for camera, directions, mask in zip(cameras, ideal, used, strict=True):
        turn, shift = camera.rotation_matrix, camera.translation
        for axis in (0, 1):
            weight = np.where(mask, camera.focal[axis], 0.0)[:, None]
            along = directions[:, axis]
            row = weight * (along[:, None] * turn[2] - turn[axis])
            matrix += row[:, :, None] * row[:, None, :]
            right += row * weight * (shift[axis] - along * shift[2])[:, None]
    damped = matrix + _ridge(matrix, 1e-10)  # parallel rays meet nowhere
    return np.asarray(np.linalg.solve(damped, right[..., None])[..., 0])


def _ridge(matrix: FloatArray, share: float) -> FloatArray:
    """What makes matrices (n, 3, 3) regular: a share of their traces on the diagonal."""
    size = np.trace(matrix, axis1=1, axis2=2)
    ridge: FloatArray = (share * size + TINY)[:, None, None] * np.eye(3)
    return ridge


def _refine(
    cameras: Sequence[CalibratedCamera], seen: FloatArray, weights: FloatArray, xyz: FloatArray, steps: int
) -> tuple[FloatArray, _Equations]:
    """Levenberg-Marquardt steps, accepted point by point."""
    damping = np.full(len(xyz), 1e-3)
    now = _equations(cameras, seen, weights, xyz)
    for _ in range(steps):
        diagonal = np.einsum("nii->ni", now.matrix)
        damped = (
            now.matrix + (damping[:, None] * diagonal)[:, :, None] * np.eye(3) + _ridge(now.matrix, 1e-12)
        )
        step = np.linalg.solve(damped, now.right[..., None])[..., 0]
        if not ((step * now.right).sum(axis=1) > CONVERGED * now.cost).any():
            break
        tried = xyz + step
        then = _equations(cameras, seen, weights, tried)
        better = then.cost < now.cost
        xyz = np.where(better[:, None], tried, xyz)
        now = _Equations(
            np.where(better, then.cost, now.cost),
            np.where(better[:, None, None], then.matrix, now.matrix),
            np.where(better[:, None], then.right, now.right),
            np.where(better[:, None], then.residual, now.residual),
        )
        damping = np.where(better, damping * 0.1, np.minimum(damping * 10, 1e6))
    return xyz, now


def _equations(
    cameras: Sequence[CalibratedCamera], seen: FloatArray, weights: FloatArray, xyz: FloatArray
) -> _Equations:
    n = len(xyz)
    cost, matrix, right, residual = np.zeros(n), np.zeros((n, 3, 3)), np.zeros((n, 3)), np.zeros(seen.shape)
    for v, (camera, at, weight) in enumerate(zip(cameras, seen, weights, strict=True)):
        px, by_local, _ = camera.project_with_derivative(xyz)
        shown = np.asarray(np.isfinite(px).all(axis=-1))
        off = residual[v] = np.where(shown[:, None], at - px, HIDDEN_PX)
        slope = np.where(shown[:, None, None], by_local, 0.0) @ camera.rotation_matrix
        weighted = slope.transpose(0, 2, 1) @ weight
        matrix += weighted @ slope
        right += (weighted @ off[..., None])[..., 0]
        cost += np.einsum("ni,nij,nj->n", off, weight, off)
    return _Equations(cost, matrix, right, residual)
