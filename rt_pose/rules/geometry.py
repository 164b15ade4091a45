"""From the camera's pixels to millimetres of the rig: a scale, a homography, and the lens taken out before.

A keypoint's mean is mapped exactly, its covariance and velocity to first order there: over the few pixels of
a keypoint's uncertainty a lens and a tilted plane are straight. So everything downstream stays Gaussian. The
lens model is the usual one of radial and tangential distortion (Brown 1966; OpenCV's k1, k2, p1, p2, k3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rt_pose.config.rules import GeometryConfig, LensConfig
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo

Matrix = NDArray[np.float64]
Two = tuple[float, float]
Jacobian = tuple[float, float, float, float]
"""[[a, b], [c, d]] row by row."""
UNDISTORT_STEPS = 8
"""Newton's: each doubles the digits, so a lens that can be inverted is by then."""
UNDISTORTED_PX = 0.01
"""A place that the lens shows further than this from the pixel is not what the pixel shows."""


@dataclass(frozen=True, slots=True)
class Lens:
    """Camera matrix and distortion."""

    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0

    def undistort(self, x: float, y: float, checked: bool = False) -> tuple[Two, Jacobian]:
        """Find the pixel that an ideal lens would show, by Newton's method.

        Parameters
        ----------
        x, y
            The pixel that this lens shows.
        checked
            Whether what Newton's method ends at must be such a pixel; else it is given as it is, also where
            the lens folds the picture over.

        Returns
        -------
        tuple[Two, Jacobian]
            The ideal pixel, and the derivative d(ideal) / d(seen); NaN gives NaN, and so does a place where
            the lens cannot be inverted.
        """
        goal_x, goal_y = (x - self.cx) / self.fx, (y - self.cy) / self.fy
        u, v = goal_x, goal_y
        for _ in range(UNDISTORT_STEPS):
            (seen_u, seen_v), (a, b, c, d) = self._distort(u, v)
            det = a * d - b * c
            if not abs(det) > 1e-12:
                return (math.nan, math.nan), (math.nan,) * 4
            eu, ev = goal_x - seen_u, goal_y - seen_v
            u, v = u + (d * eu - b * ev) / det, v + (a * ev - c * eu) / det
        (seen_u, seen_v), (a, b, c, d) = self._distort(u, v)
        det = a * d - b * c
        off = abs(seen_u - goal_x) * self.fx + abs(seen_v - goal_y) * self.fy
        if checked and not (det > 0.0 and a + d > 0.0 and off < UNDISTORTED_PX):
            return (math.nan, math.nan), (math.nan,) * 4
        ratio = self.fx / self.fy
        inverse = (d / det, -b / det * ratio, -c / det / ratio, a / det)
        return (u * self.fx + self.cx, v * self.fy + self.cy), inverse

    def distort(self, x: float, y: float) -> Two:
        """Find the pixel at which this lens shows what an ideal one would show at (x, y).

        Parameters
        ----------
        x, y
            The ideal pixel.

        Returns
        -------
        Two
            The pixel of this lens.
        """
        (u, v), _ = self._distort((x - self.cx) / self.fx, (y - self.cy) / self.fy)
        return u * self.fx + self.cx, v * self.fy + self.cy

    def _distort(self, u: float, v: float) -> tuple[Two, Jacobian]:
        r2 = u * u + v * v
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        slope = self.k1 + r2 * (2 * self.k2 + 3 * self.k3 * r2)  # d radial / d r2
        seen_u = u * radial + 2 * self.p1 * u * v + self.p2 * (r2 + 2 * u * u)
        seen_v = v * radial + self.p1 * (r2 + 2 * v * v) + 2 * self.p2 * u * v
        cross = 2 * u * v * slope + 2 * self.p1 * u + 2 * self.p2 * v
        return (seen_u, seen_v), (
            radial + 2 * u * u * slope + 2 * self.p1 * v + 6 * self.p2 * u,
            cross,
            cross,
            radial + 2 * v * v * slope + 6 * self.p1 * v + 2 * self.p2 * u,
        )


@dataclass(frozen=True, slots=True)
class Geometry:
    """Pixels of one camera -> mm of the rig."""

    homography: Matrix
    """(3, 3) from undistorted px to mm; a scale is a diagonal one."""
    lens: Lens | None = None
    side: float = 0.0
    """Sign of the third coordinate on this side of the horizon, where alone the camera sees the plane; 0: not
    asked, every pixel has mm."""

    def one_sided(self, places: Iterable[Two] = ()) -> Geometry:
        """Give no mm to what lies beyond the horizon, nor to what the lens cannot show.

        A matrix means the same with its sign turned over, so what is known to be seen decides: `places`, or
        else the middle of the lens. Where neither is known the third coordinate is above 0, as calibrations
        write their matrices.

        Parameters
        ----------
        places
            Places of the rig that the camera sees, mm.

        Returns
        -------
        Geometry
            The geometry, with its `side`.
        """
        sides = {math.copysign(1.0, np.linalg.solve(self.homography, (x, y, 1.0))[2]) for x, y in places}
        if len(sides) == 1:
            return replace(self, side=sides.pop())
        middle = (0.0, 0.0, 0.0) if self.lens is None else (self.lens.cx, self.lens.cy, 1.0)
        return replace(self, side=-1.0 if self.homography[2] @ middle < 0.0 else 1.0)

    def to_mm(self, mean: list[float]) -> tuple[list[float], Matrix]:
        """Map the state of a keypoint to the rig.

        Parameters
        ----------
        mean
            [x, y, vx, vy] in px and px/s.

        Returns
        -------
        tuple[list[float], Matrix]
            [x, y, vx, vy] in mm and mm/s, and the (4, 4) derivative by that in px; NaN on the homography's
            horizon, and beyond it where the geometry has a `side`.
        """
        x, y, vx, vy = mean
        inner = np.eye(2)
        if self.lens is not None:
            (x, y), (a, b, c, d) = self.lens.undistort(x, y, checked=self.side != 0.0)
            inner = np.array(((a, b), (c, d)))
        h = self.homography
        w = h[2, 0] * x + h[2, 1] * y + h[2, 2]
        if not abs(w) > 1e-12 or self.side * w < 0.0:
            return [math.nan] * 4, np.full((4, 4), np.nan)
        mm = (h[:2, :2] @ (x, y) + h[:2, 2]) / w
        jacobian = (h[:2, :2] - np.outer(mm, h[2, :2])) / w @ inner
        velocity = jacobian @ (vx, vy)
        full = np.zeros((4, 4))
        # That the Jacobian itself moves with the place is of second order in the keypoint's uncertainty.
        full[:2, :2] = full[2:, 2:] = jacobian
        return [*mm.tolist(), *velocity.tolist()], full

    def to_px(self, x: float, y: float) -> Two:
        """Find the pixel at which the camera sees a place of the rig, for drawing.

        Parameters
        ----------
        x, y
            The place, mm.

        Returns
        -------
        Two
            The pixel; NaN for a place behind the camera, where the geometry has a `side`.
        """
        px, py, w = np.linalg.solve(self.homography, (x, y, 1.0))
        if self.side * w < 0.0:
            return math.nan, math.nan
        x, y = float(px / w), float(py / w)
        return (x, y) if self.lens is None else self.lens.distort(x, y)


def make_geometry(config: GeometryConfig, where: str) -> Geometry:
    """Make the geometry of a camera from its configuration.

    Parameters
    ----------
    config
        Either a scale or a homography, and the lens where it has one.
    where
        Place in the configuration, for messages.

    Returns
    -------
    Geometry
        The geometry.

    Raises
    ------
    UserError
        Where both or neither are given, or a matrix is not valid.
    """
    if (config.mm_per_px is None) == (config.homography is None):
        raise UserError(
            f"{where}: expected either `mm_per_px: 0.42` or `homography: [[..], [..], [..]]` (px to mm)"
        )
    if config.mm_per_px is not None:
        if not 0.0 < config.mm_per_px < math.inf:
            raise UserError(f"{where}.mm_per_px: expected more than 0, got {config.mm_per_px}")
        homography = np.diag([config.mm_per_px, config.mm_per_px, 1.0])
    else:
        homography = homography_matrix(config.homography, f"{where}.homography")
    return Geometry(homography, None if config.lens is None else _lens(config.lens, f"{where}.lens"))


def horizon_warnings(geometries: Mapping[str, Geometry], cameras: Iterable[CameraInfo]) -> list[str]:
    """Find cameras in the middle of whose frames nothing has mm, so that no rule in mm would ever hold.

    Parameters
    ----------
    geometries
        By camera.
    cameras
        What the opened cameras deliver.

    Returns
    -------
    list[str]
        A warning for each of them.
    """
    found = []
    for camera in cameras:
        geometry, (left, top) = geometries.get(camera.name), camera.offset_xy
        middle = [left + 0.5 * camera.width, top + 0.5 * camera.height, 0.0, 0.0]
        if geometry is not None and math.isnan(geometry.to_mm(middle)[0][0]):
            found.append(
                f"camera '{camera.name}': the middle of its frame lies beyond the horizon of its `geometry`, "
                "so nothing there has mm: measure it with this camera (`rt-pose rig scale`), or write its "
                "homography times -1 where the animal's plane is on that side"
            )
    return found


def homography_matrix(rows: list[list[float]] | None, where: str) -> Matrix:
    """Check a matrix of three rows of three.

    Parameters
    ----------
    rows
        As configured.
    where
        Place in the configuration, for messages.

    Returns
    -------
    Matrix
        (3, 3).

    Raises
    ------
    UserError
        Where it is no such matrix, or cannot be inverted.
    """
    try:
        matrix = np.array(rows, dtype=np.float64)
    except ValueError:
        matrix = np.empty(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise UserError(f"{where}: expected three rows of three numbers, got {rows}")
    if not abs(np.linalg.det(matrix)) > 1e-12 * max(1.0, float(np.abs(matrix).max())):
        raise UserError(f"{where}: it maps the plane to a line; expected a matrix that can be inverted")
    return matrix


def _lens(config: LensConfig, where: str) -> Lens:
    matrix = homography_matrix(config.matrix, f"{where}.matrix")
    if min(matrix[0, 0], matrix[1, 1]) <= 0:
        raise UserError(f"{where}.matrix: expected focal lengths above 0 on its diagonal")
    if len(config.distortion) not in (4, 5) or not all(map(math.isfinite, config.distortion)):
        raise UserError(f"{where}.distortion: expected [k1, k2, p1, p2] or [k1, k2, p1, p2, k3]")
    return Lens(
        float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]), *config.distortion
    )
