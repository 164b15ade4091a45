"""Zones of rules that are judged in space: spheres and boxes to be inside of, points to measure to.

Coordinates are mm of the group's frame, x, y and z. A box of six numbers and a point of three are in space,
those of four and of two in the frame of a camera (`rt_pose.rules.zones`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.samples import Array, norm
from rt_pose.rules.zones import SHAPES

SHAPES_IN_SPACE = ("sphere", "box", "point")
Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sphere:
    """A ball."""

    centre: Place
    radius: float

    def depth(self, place: tuple[Array, Array, Array]) -> Array:
        """Compute the signed distance to the surface.

        Parameters
        ----------
        place
            x, y and z, mm, each of one shape.

        Returns
        -------
        Array
            Positive inside, of that shape.
        """
        return self.radius - norm(*(v - c for v, c in zip(place, self.centre, strict=True)))


@dataclass(frozen=True, slots=True)
class Cuboid:
    """An upright box."""

    low: Place
    high: Place

    @property
    def centre(self) -> Place:
        """Its middle."""
        x, y, z = (0.5 * (a + b) for a, b in zip(self.low, self.high, strict=True))
        return x, y, z

    def depth(self, place: tuple[Array, Array, Array]) -> Array:
        """Compute the signed distance to the surface.

        Parameters
        ----------
        place
            x, y and z, mm, each of one shape.

        Returns
        -------
        Array
            Positive inside, of that shape.
        """
        margins = [np.minimum(v - a, b - v) for v, a, b in zip(place, self.low, self.high, strict=True)]
        inner = np.minimum(np.minimum(margins[0], margins[1]), margins[2])
        outer = norm(*(np.minimum(margin, 0.0) for margin in margins))
        return np.where(inner >= 0.0, inner, -outer)


@dataclass(frozen=True, slots=True)
class SpatialPoint:
    """A place."""

    centre: Place
    """Itself."""


SpatialArea = Sphere | Cuboid
SpatialZone = Sphere | Cuboid | SpatialPoint


def is_in_space(zone: ZoneConfig) -> bool:
    """Tell whether a zone is for rules that are judged in space.

    Parameters
    ----------
    zone
        As configured.

    Returns
    -------
    bool
        True for a sphere, a box of six numbers and a point of three.
    """
    box, point = zone.box, zone.point
    return (
        zone.sphere is not None
        or (box is not None and len(box) == 6)
        or (point is not None and len(point) == 3)
    )


def make_zones_in_space(zones: Mapping[str, ZoneConfig], where: str) -> dict[str, SpatialZone]:
    """Make the zones of a configuration that are in space; the others are left out.

    Parameters
    ----------
    zones
        The configured shapes by name.
    where
        What they belong to, for messages.

    Returns
    -------
    dict[str, SpatialZone]
        Zones by name.

    Raises
    ------
    UserError
        Where one is not exactly one valid shape, or not in mm.
    """
    return {name: _make(zone, f"{where}: zones.{name}") for name, zone in zones.items() if is_in_space(zone)}


def _make(zone: ZoneConfig, where: str) -> SpatialZone:
    shapes = dict.fromkeys((*SHAPES_IN_SPACE, *SHAPES))
    given = [shape for shape in shapes if getattr(zone, shape) is not None]
    if len(given) != 1:
        raise UserError(
            f"{where}: expected exactly one of {', '.join(SHAPES_IN_SPACE)} in space, got {', '.join(given)}"
        )
    if zone.unit != "mm":
        raise UserError(f"{where}: a zone in space is in mm; write `unit: mm` beside its `{given[0]}`")
    return _MAKERS[given[0]](zone, where)


def _sphere(zone: ZoneConfig, where: str) -> Sphere:
    numbers = zone.sphere or []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or numbers[3] <= 0:
        raise UserError(f"{where}: expected `sphere: [x, y, z, radius]` with a radius above 0, got {numbers}")
    x, y, z, radius = numbers
    return Sphere((x, y, z), radius)


def _cuboid(zone: ZoneConfig, where: str) -> Cuboid:
    numbers = zone.box or []
    x0, y0, z0, x1, y1, z1 = numbers
    if not all(map(math.isfinite, numbers)) or not (x0 < x1 and y0 < y1 and z0 < z1):
        raise UserError(
            f"{where}: expected `box: [x0, y0, z0, x1, y1, z1]` with x0 < x1, y0 < y1 and z0 < z1, got "
            f"{numbers}"
        )
    return Cuboid((x0, y0, z0), (x1, y1, z1))


def _point(zone: ZoneConfig, where: str) -> SpatialPoint:
    numbers = zone.point or []
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"{where}: expected `point: [x, y, z]`, got {numbers}")
    x, y, z = numbers
    return SpatialPoint((x, y, z))


_MAKERS: dict[str, Callable[[ZoneConfig, str], SpatialZone]] = {
    "sphere": _sphere,
    "box": _cuboid,
    "point": _point,
}
