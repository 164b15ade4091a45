"""Whether a calibration is right, by poses that were recorded with its cameras.

Two figures are compared with the noise that keypoints are expected to have in x and y:

noise   what errors of the keypoints alone would explain the reprojection errors of all cameras. Of each point
        the squared errors add up with 2 V - 3 degrees of freedom for V cameras; their median over points of
        a camera, over that of the chi-square distribution, is a variance, and the largest of these counts. At
        most twice what is expected is allowed.
offset  of one camera: points are made from the others, and the camera's pose is fitted to where it sees them.
        How far the fit moves these points on its image (median) is a systematic error, out of which noise
        averages. Allowed is what twice the expected noise would do there if it were constant (points that
        the others place badly are off by more), and three standard errors. It needs three cameras.

A camera that is wrong is named by leaving out one camera after the other (`explain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.explain import Explanation, LeftOut, explain, same_pose
from rt_pose.views.resection import resect
from rt_pose.views.triangulation import Triangulated, triangulate
from rt_pose.views.view_poses import ViewPoses, sampled

EXPECTED_SHARE, BOARD_SHARE = 0.003, 0.001
"""Noise that is expected of keypoints, and of a board, where none is stated, in diagonals of a frame: 4.9
and 1.6 px of 1280x1024."""
LIMIT = 2.0
"""Of noise and offset, in what is expected."""
STANDARD_ERRORS = 3.0
"""Of an offset, that are added to its limit."""
LEAST_POINTS = 50
"""Points that each camera must see together with another."""
MOST_POINTS = 150
"""Of each camera, that are used."""
LEAST_OF_CAMERA = 10
"""Points of a camera from which its part in the noise is told."""


@dataclass(frozen=True, slots=True)
class CameraCheck:
    """What was found of one camera."""

    name: str
    points: int
    """Seen by it and by another."""
    error_px: float
    """Median reprojection error, all cameras used."""
    noise_without_px: float
    """Noise of the others; infinite where they are too few."""
    offset_px: float
    """NaN where the others are too few."""
    offset_limit_px: float


@dataclass(frozen=True, slots=True)
class CalibrationCheck:
    """Whether a calibration is right, and the figures."""

    noise_px: float
    noise_limit_px: float
    cameras: list[CameraCheck]
    explanation: Explanation | None
    """What is wrong; None where nothing is."""


def check_calibration(
    cameras: Sequence[CalibratedCamera], poses: ViewPoses, expected_px: float
) -> CalibrationCheck:
    """Check a calibration.

    Parameters
    ----------
    cameras
        V cameras, two or more, in the order of the poses'.
    poses
        What they saw.
    expected_px
        Noise of their keypoints in x and y, px; see `expected_noise`.

    Returns
    -------
    CalibrationCheck
        The finding.

    Raises
    ------
    UserError
        Where the cameras see too little together to tell.
    """
    xy = sampled(poses.points(), MOST_POINTS)
    _check_enough(cameras, xy)
    found = triangulate(cameras, xy)
    noise, limit = noise_of(found), LIMIT * expected_px
    alone = [_without(cameras, xy, v, limit) for v in range(len(cameras))]
    rows = [_row(camera, found, v, one) for v, (camera, one) in enumerate(zip(cameras, alone, strict=True))]
    resized = _other_size(cameras, poses)
    copies = any(same_pose(a, b) for a, b in combinations(cameras, 2))
    wrong = copies or noise > limit or any(row.offset_px > row.offset_limit_px for row in rows)
    explanation = resized
    if wrong and explanation is None:
        explanation = explain(cameras, xy, alone, noise, limit, noise_of)
    return CalibrationCheck(noise, limit, rows, explanation)


def expected_noise(cameras: Sequence[CalibratedCamera], share: float = EXPECTED_SHARE) -> float:
    """Get the noise that is expected where none is stated.

    Parameters
    ----------
    cameras
        The cameras.
    share
        In diagonals of a frame.

    Returns
    -------
    float
        px, of the middle one of the frames' sizes.
    """
    return share * float(np.median([np.hypot(*camera.size) for camera in cameras]))


def noise_of(found: Triangulated) -> float:
    """Estimate the noise of keypoints that explains reprojection errors.

    Parameters
    ----------
    found
        Points and their errors.

    Returns
    -------
    float
        Standard deviation in x and y of the points of that camera whose points have most, px; infinite where
        there is none.
    """
    views = found.used.sum(axis=0)
    freedom = np.maximum(2.0 * views - 3, 1)
    median = freedom * (1 - 2 / (9 * freedom)) ** 3  # of chi-square (Wilson and Hilferty 1931)
    squared = np.where(found.used, np.square(found.residual).sum(axis=-1), 0.0).sum(axis=0) / median
    noises = [np.sqrt(np.median(squared[used])) for used in found.used if used.sum() >= LEAST_OF_CAMERA]
    return float(max(noises, default=np.inf))


def _row(camera: CalibratedCamera, found: Triangulated, v: int, one: LeftOut) -> CameraCheck:
    errors = np.linalg.norm(found.residual[v][found.used[v]], axis=-1)
    error = float(np.median(errors)) if errors.size else float("nan")
    offset = float("nan") if one.moved is None else one.moved.offset_px
    return CameraCheck(camera.name, errors.size, error, one.noise_px, offset, one.offset_limit_px)


def _without(cameras: Sequence[CalibratedCamera], xy: FloatArray, v: int, limit_px: float) -> LeftOut:
    """What is found without one camera."""
    others = [u for u in range(len(cameras)) if u != v]
    if len(others) < 2:
        return LeftOut()
    found = triangulate([cameras[u] for u in others], xy[others])
    seen = np.isfinite(xy[v]).all(axis=-1) & found.used.any(axis=0)
    if seen.sum() < LEAST_POINTS:
        return LeftOut(noise_of(found))
    moved = resect(cameras[v], found.xyz[seen], xy[v][seen])
    _, by_local, _ = cameras[v].project_with_derivative(found.xyz[seen])
    slope = by_local @ cameras[v].rotation_matrix
    own = np.trace(slope @ found.cov[seen] @ slope.transpose(0, 2, 1), axis1=1, axis2=2) / 2
    own = own[np.isfinite(own)]
    spread = float(np.sqrt(1 + np.median(own))) if own.size else 1.0
    return LeftOut(noise_of(found), moved, limit_px * spread + STANDARD_ERRORS * moved.uncertainty_px)


def _check_enough(cameras: Sequence[CalibratedCamera], xy: FloatArray) -> None:
    seen = np.isfinite(xy).all(axis=-1).sum(axis=1)
    for camera, count in zip(cameras, seen.tolist(), strict=True):
        if count < LEAST_POINTS:
            raise UserError(
                f"camera '{camera.name}': {count} keypoints are seen by it and another camera, at least "
                f"{LEAST_POINTS} are needed to tell whether its calibration is right; give more frames, or a "
                "lower --min-confidence"
            )


def _other_size(cameras: Sequence[CalibratedCamera], poses: ViewPoses) -> Explanation | None:
    """Frames that are larger than those of the calibration, or of another resolution; a part is as good."""
    for camera in cameras:
        (width, height), (w, h) = camera.size, poses.sizes.get(camera.name, camera.size)
        if (w, h) != (width, height) and (w > width or h > height or w * height == h * width):
            return Explanation(
                [camera.name], f"its frames are of {w}x{h} px, its calibration is of {width}x{height}"
            )
    return None
