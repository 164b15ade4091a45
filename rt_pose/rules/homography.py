"""A homography between two planes from pairs of places: least squares, with its residuals, or refused."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.config.check import MAX_CORNERS
from rt_pose.errors import UserError

Array = NDArray[np.float64]
LEAST_PAIRS = 4
FLATTEST = 1e-3
"""Of the equations' singular values, the last but one over the first: below it several homographies fit."""


@dataclass(frozen=True, slots=True)
class FittedHomography:
    """A homography and how well it fits."""

    matrix: Array
    """(3, 3) from the first plane to the second, the last number 1, or -1 where the first one's origin lies
    beyond the horizon: so the third coordinate is above 0 where the pairs are."""
    residuals: Array
    """(n,) how far each pair is off, in the first plane's unit."""

    @property
    def rms(self) -> float:
        """Root mean square of the residuals."""
        return float(np.sqrt(np.mean(np.square(self.residuals))))

    @property
    def largest(self) -> float:
        """The largest residual."""
        return float(self.residuals.max())


def fit_homography(
    source: Array, target: Array, largest: float, where: str, unit: str = "px"
) -> FittedHomography:
    """Fit a homography to pairs of places, none of them left out.

    Parameters
    ----------
    source
        (n, 2) places of the first plane.
    target
        (n, 2) the same places in the second.
    largest
        Largest residual that is allowed, in the first plane's unit.
    where
        What the pairs are, for messages.
    unit
        Of the first plane, for messages.

    Returns
    -------
    FittedHomography
        The homography with its residuals.

    Raises
    ------
    UserError
        Where the pairs are too few, leave the homography open (too many on a line), or do not fit.
    """
    if len(source) < LEAST_PAIRS:
        raise UserError(f"{where}: expected {LEAST_PAIRS} pairs or more, got {len(source)}")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise UserError(f"{where}: expected finite numbers")
    if _flatness(source, target) < FLATTEST:
        raise UserError(
            f"{where}: the places lie on a line or nearly so, in one of the two planes; expected "
            f"{LEAST_PAIRS} or more of which no three are in line, best near the corners of the field"
        )
    matrix, _ = cv2.findHomography(source, target, 0)
    if matrix is None or not np.isfinite(matrix).all() or not abs(np.linalg.det(matrix)) > 0.0:
        raise UserError(f"{where}: no homography fits; are the pairs in the same order on both sides?")
    depth = source @ matrix[2, :2] + matrix[2, 2]
    if not (np.all(depth > 0.0) or np.all(depth < 0.0)):
        raise UserError(
            f"{where}: only a homography that folds the plane over would fit; are two of the pairs exchanged?"
        )
    back = project(np.linalg.inv(matrix), target)
    residuals = np.hypot(*(back - source).T)
    matrix = matrix / abs(matrix[2, 2]) * np.sign(depth[0])
    fitted = FittedHomography(np.asarray(matrix, dtype=np.float64), residuals)
    if not fitted.largest <= largest:
        worst = int(np.argmax(residuals))
        raise UserError(
            f"{where}: pair {worst + 1} is {residuals[worst]:.2f} {unit} off, all of them {fitted.rms:.2f} "
            f"{unit} (root mean square); expected at most {largest:g} {unit}: measure it again, or allow more"
        )
    return fitted


def project(matrix: Array, places: Array) -> Array:
    """Map places by a homography.

    Parameters
    ----------
    matrix
        (3, 3).
    places
        (n, 2).

    Returns
    -------
    Array
        (n, 2).
    """
    mapped = places @ matrix[:, :2].T + matrix[:, 2]
    found: Array = mapped[:, :2] / mapped[:, 2:]
    return found


def hull(places: Array) -> list[list[float]]:
    """Find the corners of the smallest convex region that holds all places.

    Parameters
    ----------
    places
        (n, 2).

    Returns
    -------
    list[list[float]]
        The corners, in order around it; of more than `MAX_CORNERS` as many, so that it is a little smaller.
    """
    corners = cv2.convexHull(places.astype(np.float32)).reshape(-1, 2)
    if len(corners) > MAX_CORNERS:
        corners = corners[np.linspace(0, len(corners), MAX_CORNERS, endpoint=False).astype(int)]
    return [[round(float(x), 2), round(float(y), 2)] for x, y in corners]


def _flatness(source: Array, target: Array) -> float:
    """How well the pairs determine a homography: 0 where several fit."""
    (x, y), (u, v) = _normalised(source).T, _normalised(target).T
    one, none = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, one, none, none, none, -u * x, -u * y, -u], axis=1),
            np.stack([none, none, none, x, y, one, -v * x, -v * y, -v], axis=1),
        ]
    )
    singular = np.linalg.svd(rows, compute_uv=False)
    return float(singular[7] / singular[0])


def _normalised(places: Array) -> Array:
    """Centred, and of a mean distance of 1 from the centre."""
    centred = places - places.mean(axis=0)
    scale = float(np.hypot(*centred.T).mean())
    return centred / scale if scale > 0.0 else centred
