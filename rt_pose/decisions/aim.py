"""Aimed light: where it would go, and whether it is certain enough where the animal will be.

Everything is a pure function of the prediction for the time of effect and of the configuration, so that
replay aims at the same places and holds the same shots back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from rt_pose.config.check import EVERY_CAMERA
from rt_pose.config.rules import AimAction
from rt_pose.config.schema import AimCalibrationConfig
from rt_pose.errors import UserError, nearest
from rt_pose.rules.ellipse import Covariance, Place, ellipse_inside, inside_circle, squared_radius
from rt_pose.rules.geometry import Geometry, Matrix, homography_matrix
from rt_pose.rules.units import read_length
from rt_pose.rules.weighted_point import WeightedPoint, bind_point
from rt_pose.rules.zones import Area, Line, Point, Polygon, Zone
from rt_pose.types import Track

MAX_CERTAINTY = 0.999999
LONGEST_UNIT = 20


@dataclass(frozen=True, slots=True)
class AimedPoint:
    """Where a shot would go, and whether it may."""

    x: float
    """In the unit of the output."""
    y: float
    xy_px: Place
    """The predicted mean."""
    cov_px2: Covariance
    certain: bool
    """Whether the ellipse lies inside, and the place within what was calibrated."""


@dataclass(frozen=True, slots=True)
class AimCalibration:
    """From the pixels of one camera to the unit of an output."""

    unit: str
    homography: tuple[float, ...] | None
    """Row by row; None where positions go out in px or mm."""
    field: Polygon | None
    geometry: Geometry | None

    def convert(self, place: Place) -> Place | None:
        """Convert a place of the frame to the unit of the output.

        Parameters
        ----------
        place
            The place, px.

        Returns
        -------
        Place | None
            None where there is no such place: on the homography's horizon or behind it.
        """
        if self.homography is None:
            return place if self.unit == "px" else self._in_mm(place)
        a, b, c, d, e, f, g, h, i = self.homography
        x, y = place
        w = g * x + h * y + i
        return ((a * x + b * y + c) / w, (d * x + e * y + f) / w) if w > 1e-12 else None

    def contains(self, place: Place) -> bool:
        """Check whether a place lies in the region that was calibrated.

        Parameters
        ----------
        place
            The place, px.

        Returns
        -------
        bool
            Whether it does.
        """
        return self.field is None or ellipse_inside(place, (0.0, 0.0, 0.0), 0.0, self.field)

    def _in_mm(self, place: Place) -> Place | None:
        assert self.geometry is not None
        (x, y, _, _), _ = self.geometry.to_mm([*place, 0.0, 0.0])
        return (x, y) if math.isfinite(x + y) else None


@dataclass(frozen=True, slots=True)
class Aim:
    """What a rule aims at, checked and bound."""

    point: WeightedPoint
    certainty: float
    radius2: float
    """Of the ellipse, squared, in standard deviations."""
    spot: float | None
    spot_metric: bool
    spot_text: str
    target: Area | None
    target_name: str
    calibrations: dict[str, AimCalibration]
    """By camera."""

    @property
    def says(self) -> str:
        """It as a clause."""
        inside = [f"the spot of {self.spot_text}"] if self.spot is not None else []
        inside += [self.target_name] if self.target is not None else []
        what = f"its {100 * self.certainty:g} % ellipse" if self.certainty else "it"
        return f"at {self.point.text} and only while {what} lies wholly inside {' and '.join(inside)}"

    def aimed_point(self, track: Track, who: int, camera: str) -> AimedPoint | None:
        """Compute where a shot would go and whether it may.

        Parameters
        ----------
        track
            The prediction for the time of effect.
        who
            Index of the individual.
        camera
            The camera whose frame it is.

        Returns
        -------
        AimedPoint | None
            None where there is nothing to aim at: a keypoint is lost, or the place has no counterpart.
        """
        moments, calibration = self.point.moments(track, who), self.calibrations.get(camera)
        if moments is None or calibration is None:
            return None
        place, cov = moments
        out = calibration.convert(place)
        if out is None:
            return None
        certain = calibration.contains(place) and self._is_inside(place, cov, calibration.geometry)
        return AimedPoint(*out, place, cov, certain)

    def _is_inside(self, place: Place, cov: Covariance, geometry: Geometry | None) -> bool:
        if self.spot is not None:
            _, spread = _converted(place, cov, geometry if self.spot_metric else None)
            if not inside_circle((0.0, 0.0), spread, self.radius2, self.spot):
                return False
        if self.target is None:
            return True
        centre, spread = _converted(place, cov, geometry if self.target.metric else None)
        return ellipse_inside(centre, spread, self.radius2, self.target)


def bind_aim(
    do: AimAction,
    output: str,
    calibrations: Mapping[str, AimCalibrationConfig],
    keypoints: list[str],
    zones: Mapping[str, Zone],
    geometries: Mapping[str, Geometry],
    where: str,
) -> Aim:
    """Check what a rule aims at, and bind it.

    Parameters
    ----------
    do
        The action as configured.
    output
        Name of its output.
    calibrations
        Of that output, by camera.
    keypoints
        Names of the model's keypoints, in their order.
    zones
        The configuration's zones by name.
    geometries
        By camera, for what is in mm.
    where
        Place of the rule in the configuration, for messages.

    Returns
    -------
    Aim
        The bound aim.

    Raises
    ------
    UserError
        Where a part of it is not valid.
    """
    at = f"{where}: do.aim"
    _check_action(do, at)
    spot, spot_metric = (None, False) if do.spot is None else read_length(do.spot, f"{at}.spot")
    target = None if do.target is None else _target(do.target, zones, f"{at}.target")
    known = {
        camera: make_calibration(given, geometries.get(camera), f"outputs.{output}.aim.{camera}")
        for camera, given in calibrations.items()
    }
    if spot_metric or (target is not None and target.metric):
        _check_measures(known, geometries, at)
    return Aim(
        point=bind_point(do.keypoint, keypoints, f"{at}.keypoint"),
        certainty=do.certainty,
        radius2=squared_radius(do.certainty),
        spot=spot,
        spot_metric=spot_metric,
        spot_text=do.spot or "",
        target=target,
        target_name=do.target or "",
        calibrations=known,
    )


def _check_action(do: AimAction, at: str) -> None:
    if do.spot is None and do.target is None:
        raise UserError(
            f"{at}: expected `spot`, the radius of the light (`spot: 3 mm`), `target`, a zone, or both; got "
            "neither, so that nothing would hold a shot back"
        )
    if not 0.0 <= do.certainty <= MAX_CERTAINTY:
        raise UserError(f"{at}.certainty: expected 0 to {MAX_CERTAINTY}, e.g. 0.95, got {do.certainty}")


def _check_measures(cameras: Iterable[str], geometries: Mapping[str, Geometry], at: str) -> None:
    for camera in cameras:
        if camera not in geometries:
            raise UserError(
                f"{at}: mm need the measures of camera '{camera}': add e.g. `geometry: {{{camera}: "
                "{mm_per_px: 0.42}}`; `rt-pose rig scale` measures them"
            )


def check_cameras(aim: Aim, camera: str, cameras: tuple[str, ...], output: str, where: str) -> None:
    """Check that the output is calibrated for every camera on which a rule may fire.

    Parameters
    ----------
    aim
        What the rule aims at.
    camera
        The camera that the rule looks at, `any` or `all`.
    cameras
        Names of the run's cameras; empty where any name will do.
    output
        Name of the output.
    where
        Place of the rule in the configuration, for messages.

    Raises
    ------
    UserError
        Where a calibration is missing, or the point is of another camera than the rule.
    """
    named = aim.point.camera
    if named and camera not in (named, *EVERY_CAMERA):
        raise UserError(f"{where}: do.aim.keypoint: it is of camera '{named}', the rule looks at '{camera}'")
    if named and camera in EVERY_CAMERA and cameras not in ((), (named,)):
        raise UserError(
            f"{where}: do.aim.keypoint: it is of camera '{named}', the rule may fire on others: add "
            f"`camera: {named}`"
        )
    wanted = cameras if camera in EVERY_CAMERA else (camera,)
    for name in wanted or (("CAMERA",) if not aim.calibrations else ()):
        if name not in aim.calibrations:
            raise UserError(
                f"{where}: do.aim: output '{output}' is not calibrated for camera '{name}': `rt-pose rig "
                f"aim-calibrate` measures it (`outputs.{output}.aim.{name}`); for an output that takes px of "
                f"the frame write `aim: {{{name}: {{unit: px}}}}`"
            )


def make_calibration(config: AimCalibrationConfig, geometry: Geometry | None, where: str) -> AimCalibration:
    """Make the calibration of an output for one camera.

    Parameters
    ----------
    config
        As configured.
    geometry
        Of the camera, where it has one.
    where
        Place in the configuration, for messages.

    Returns
    -------
    AimCalibration
        The calibration.

    Raises
    ------
    UserError
        Where a matrix, unit or corner is not valid.
    """
    if not 1 <= len(config.unit) <= LONGEST_UNIT:
        raise UserError(f"{where}.unit: expected a unit such as V, got {config.unit!r}")
    if config.homography is None and config.unit not in ("px", "mm"):
        raise UserError(
            f"{where}: `homography` is missing; only px of the frame and mm of the rig need none, got the "
            f"unit '{config.unit}'"
        )
    if config.homography is None and config.unit == "mm" and geometry is None:
        raise UserError(f"{where}: mm need the measures of this camera; `rt-pose rig scale` measures them")
    matrix = (
        None if config.homography is None else homography_matrix(config.homography, f"{where}.homography")
    )
    corners = config.field
    if corners is not None and (
        len(corners) < 3 or not all(len(c) == 2 and all(map(math.isfinite, c)) for c in corners)
    ):
        raise UserError(f"{where}.field: expected [[x, y], [x, y], [x, y], ...] in px, got {corners}")
    field = None if corners is None else Polygon(tuple((x, y) for x, y in corners))
    return AimCalibration(config.unit, None if matrix is None else _facing(matrix, field), field, geometry)


def _facing(matrix: Matrix, field: Polygon | None) -> tuple[float, ...]:
    """The matrix with the sign that makes the third coordinate positive where it was calibrated."""
    x, y = (0.0, 0.0) if field is None else np.mean(field.corners, axis=0)
    sign = -1.0 if matrix[2] @ (x, y, 1.0) < 0.0 else 1.0
    return tuple((sign * matrix).ravel().tolist())


def _target(name: str, zones: Mapping[str, Zone], where: str) -> Area:
    zone = zones.get(name)
    if zone is None:
        hint = nearest(name, zones) or "; the configuration has no zones"
        raise UserError(f"{where}: there is no zone '{name}'{hint}")
    if isinstance(zone, Line | Point):
        raise UserError(
            f"{where}: expected a circle, box or polygon, but '{name}' is a {type(zone).__name__.lower()}"
        )
    return zone


def _converted(place: Place, cov: Covariance, geometry: Geometry | None) -> tuple[Place, Covariance]:
    """Mean and covariance in mm where a geometry is given, to first order there."""
    if geometry is None:
        return place, cov
    (x, y, _, _), full = geometry.to_mm([*place, 0.0, 0.0])
    (a, b), (c, d) = full[:2, :2].tolist()
    xx, xy, yy = cov
    return (x, y), (
        a * a * xx + 2.0 * a * b * xy + b * b * yy,
        a * c * xx + (a * d + b * c) * xy + b * d * yy,
        c * c * xx + 2.0 * c * d * xy + d * d * yy,
    )
