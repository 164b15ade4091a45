"""Shapes that rules may name: circles, boxes and polygons to be inside of, lines to cross, points to aim at.

Signed depths are positive inside. Coordinates are frame px, or mm of the rig where the zone says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rt_pose.config.check import MAX_CORNERS
from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.samples import Array, length

SHAPES = ("circle", "box", "polygon", "line", "point")
CIRCLE_CORNERS = 48
"""Of the outline that stands for a circle on pictures."""


@dataclass(frozen=True, slots=True)
class Circle:
    """A round zone."""

    x: float
    y: float
    radius: float
    metric: bool = False

    def depth(self, x: Array, y: Array) -> Array:
        """Compute the signed distance to the border.

        Parameters
        ----------
        x, y
            Places, of one shape.

        Returns
        -------
        Array
            Positive inside, of that shape.
        """
        return self.radius - length(x - self.x, y - self.y)

    def outline(self) -> list[tuple[float, float]]:
        """Approximate the border by a polygon.

        Returns
        -------
        list[tuple[float, float]]
            Its corners.
        """
        angles = [2 * math.pi * i / CIRCLE_CORNERS for i in range(CIRCLE_CORNERS)]
        return [(self.x + self.radius * math.cos(a), self.y + self.radius * math.sin(a)) for a in angles]


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle."""

    left: float
    top: float
    right: float
    bottom: float
    metric: bool = False

    def depth(self, x: Array, y: Array) -> Array:
        """Compute the signed distance to the border.

        Parameters
        ----------
        x, y
            Places, of one shape.

        Returns
        -------
        Array
            Positive inside, of that shape.
        """
        across = np.minimum(x - self.left, self.right - x)
        down = np.minimum(y - self.top, self.bottom - y)
        inner = np.minimum(across, down)
        outer = length(np.minimum(across, 0.0), np.minimum(down, 0.0))
        return np.where(inner >= 0.0, inner, -outer)

    def outline(self) -> list[tuple[float, float]]:
        """List the corners.

        Returns
        -------
        list[tuple[float, float]]
            Clockwise as seen on the screen, from the top left.
        """
        return [
            (self.left, self.top),
            (self.right, self.top),
            (self.right, self.bottom),
            (self.left, self.bottom),
        ]


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed outline; where it crosses itself, inside is by the even-odd rule."""

    corners: tuple[tuple[float, float], ...]
    metric: bool = False

    def depth(self, x: Array, y: Array) -> Array:
        """Compute the signed distance to the border.

        Parameters
        ----------
        x, y
            Places, of one shape.

        Returns
        -------
        Array
            Positive inside, of that shape.
        """
        nearest2 = np.full(x.shape, np.inf)
        within = np.zeros(x.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(self.corners, self.corners[1:] + self.corners[:1], strict=True):
            ex, ey = bx - ax, by - ay
            px, py = x - ax, y - ay
            along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0)
            dx, dy = px - along * ex, py - along * ey
            nearest2 = np.minimum(nearest2, dx * dx + dy * dy)
            if ey != 0.0:  # a ray to the right from the point meets this edge
                within ^= ((y < ay) != (y < by)) & (px < py * (ex / ey))
        distance = np.sqrt(nearest2)
        return np.where(within, distance, -distance)

    def outline(self) -> list[tuple[float, float]]:
        """List the corners.

        Returns
        -------
        list[tuple[float, float]]
            As configured.
        """
        return list(self.corners)


@dataclass(frozen=True, slots=True)
class Line:
    """A line from one point to another, with a left and a right side as one looks along it."""

    x1: float
    y1: float
    x2: float
    y2: float
    metric: bool = False

    def side(self, x: Array, y: Array) -> Array:
        """Compute the signed distance to the line.

        Parameters
        ----------
        x, y
            Places, of one shape.

        Returns
        -------
        Array
            Positive on the line's right as seen on the screen (y goes down), of that shape.
        """
        ex, ey = self.x2 - self.x1, self.y2 - self.y1
        return (ex * (y - self.y1) - ey * (x - self.x1)) / math.hypot(ex, ey)

    def along(self, x: Array, y: Array) -> Array:
        """Compute the place along the line.

        Parameters
        ----------
        x, y
            Places, of one shape.

        Returns
        -------
        Array
            0 at the line's first point, 1 at its second, of that shape.
        """
        ex, ey = self.x2 - self.x1, self.y2 - self.y1
        return ((x - self.x1) * ex + (y - self.y1) * ey) / (ex * ex + ey * ey)

    def outline(self) -> list[tuple[float, float]]:
        """List the two points.

        Returns
        -------
        list[tuple[float, float]]
            First and second.
        """
        return [(self.x1, self.y1), (self.x2, self.y2)]


@dataclass(frozen=True, slots=True)
class Point:
    """A place."""

    x: float
    y: float
    metric: bool = False

    def outline(self) -> list[tuple[float, float]]:
        """List the point.

        Returns
        -------
        list[tuple[float, float]]
            Itself alone.
        """
        return [(self.x, self.y)]


Area = Circle | Box | Polygon
Zone = Area | Line | Point


def make_zones(zones: dict[str, ZoneConfig], where: str) -> dict[str, Zone]:
    """Make the zones of a configuration.

    Parameters
    ----------
    zones
        The configured shapes by name.
    where
        What they belong to, for messages.

    Returns
    -------
    dict[str, Zone]
        Zones by name.

    Raises
    ------
    UserError
        Where one is not exactly one valid shape.
    """
    return {name: _make(zone, f"{where}: zones.{name}") for name, zone in zones.items()}


def check_sizes(zones: dict[str, Zone], where: str) -> None:
    """Check that no zone is too costly to be evaluated for every frame.

    Parameters
    ----------
    zones
        Zones by name.
    where
        What they belong to, for messages.

    Raises
    ------
    UserError
        Where a polygon has more than `MAX_CORNERS` corners.
    """
    for name, zone in zones.items():
        if isinstance(zone, Polygon) and len(zone.corners) > MAX_CORNERS:
            raise UserError(
                f"{where}: zones.{name}: expected at most {MAX_CORNERS} corners, got {len(zone.corners)}, "
                "each of which is looked at for every frame: leave out those that hardly change the outline"
            )


def seen_places(zones: Mapping[str, Zone]) -> list[tuple[float, float]]:
    """List places that are meant to be seen: the outlines of the zones in mm.

    Parameters
    ----------
    zones
        Zones by name.

    Returns
    -------
    list[tuple[float, float]]
        Their corners, mm.
    """
    return [place for zone in zones.values() if zone.metric for place in zone.outline()]


def _make(zone: ZoneConfig, where: str) -> Zone:
    given = [shape for shape in SHAPES if getattr(zone, shape) is not None]
    if len(given) != 1:
        raise UserError(
            f"{where}: expected exactly one of {', '.join(SHAPES)}, got {', '.join(given) or 'none'}"
        )
    return _MAKERS[given[0]](zone, where)


def _circle(zone: ZoneConfig, where: str) -> Circle:
    numbers = zone.circle or []
    if not _finite(numbers, 3) or numbers[2] <= 0:
        raise UserError(
            f"{where}: expected `circle: [centre x, centre y, radius]` with a radius above 0, got {numbers}"
        )
    x, y, radius = numbers
    return Circle(x, y, radius, zone.unit == "mm")


def _box(zone: ZoneConfig, where: str) -> Box:
    numbers = zone.box or []
    if not _finite(numbers, 4) or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise UserError(
            f"{where}: expected `box: [left, top, right, bottom]` with left < right and top < bottom, or in "
            f"space six numbers [x0, y0, z0, x1, y1, z1], got {numbers}"
        )
    left, top, right, bottom = numbers
    return Box(left, top, right, bottom, zone.unit == "mm")


def _polygon(zone: ZoneConfig, where: str) -> Polygon:
    corners = _points(zone.polygon or [])
    if corners is None or len(corners) < 3 or _repeated_corner(corners):
        raise UserError(
            f"{where}: expected `polygon: [[x, y], [x, y], [x, y], ...]` with at least three corners, no two "
            f"neighbours the same, got {zone.polygon}"
        )
    return Polygon(tuple(corners), metric=zone.unit == "mm")


def _line(zone: ZoneConfig, where: str) -> Line:
    points = _points(zone.line or [])
    if points is None or len(points) != 2 or points[0] == points[1]:
        raise UserError(f"{where}: expected `line: [[x, y], [x, y]]` with two places, got {zone.line}")
    return Line(*points[0], *points[1], zone.unit == "mm")


def _point(zone: ZoneConfig, where: str) -> Point:
    numbers = zone.point or []
    if not _finite(numbers, 2):
        raise UserError(f"{where}: expected `point: [x, y]`, or in space [x, y, z], got {numbers}")
    x, y = numbers
    return Point(x, y, zone.unit == "mm")


_MAKERS: dict[str, Callable[[ZoneConfig, str], Zone]] = {
    "circle": _circle,
    "box": _box,
    "polygon": _polygon,
    "line": _line,
    "point": _point,
}


def _finite(numbers: Sequence[float], count: int) -> bool:
    return len(numbers) == count and all(map(math.isfinite, numbers))


def _points(points: list[list[float]]) -> list[tuple[float, float]] | None:
    return [(p[0], p[1]) for p in points] if all(_finite(p, 2) for p in points) else None


def _repeated_corner(corners: list[tuple[float, float]]) -> bool:
    return any(a == b for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
