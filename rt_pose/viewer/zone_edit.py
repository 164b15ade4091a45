"""Zones as they are drawn and moved with the mouse; no Qt in here.

Places come in px of the picture and are kept in the zone's own unit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rt_pose.config.check import MAX_CORNERS
from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.zones import SHAPES, make_zones
from rt_pose.rules.zones_in_space import is_in_space

DIGITS = {"px": 1, "mm": 2}
"""Behind the point, of what is drawn: a hand is no more exact."""
UNDO_KEPT = 100
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Grip:
    """A part of a zone that the mouse takes hold of."""

    zone: str
    handle: int | None
    """Number of the handle; None for the whole zone."""


class ZoneEditor:
    """The zones of a configuration while they are edited."""

    def __init__(
        self,
        zones: Mapping[str, ZoneConfig],
        geometry: Geometry | None = None,
        named_by: Mapping[str, list[str]] | None = None,
    ) -> None:
        """Begin with the zones as they are.

        Parameters
        ----------
        zones
            By name.
        geometry
            From px of the picture to mm; None where the camera has none, so that zones in mm are not shown.
        named_by
            The rules that name each zone: such a zone is neither deleted nor renamed.
        """
        self.zones = copy.deepcopy(dict(zones))
        self._geometry, self._named_by = geometry, dict(named_by or {})
        self._undo: list[dict[str, ZoneConfig]] = []
        self.selected = ""

    def note(self) -> None:
        """Keep the zones as they are now, before they are changed, for `undo`."""
        self._undo = [*self._undo[-UNDO_KEPT:], copy.deepcopy(self.zones)]

    def undo(self) -> bool:
        """Take the last change back.

        Returns
        -------
        bool
            Whether there was one.
        """
        if not self._undo:
            return False
        self.zones = self._undo.pop()
        self.selected = self.selected if self.selected in self.zones else ""
        return True

    def shown(self) -> list[str]:
        """List the zones that can be placed on the picture.

        Returns
        -------
        list[str]
            Their names, in order.
        """
        names = []
        for name, zone in self.zones.items():
            if shape_of(zone) and not is_in_space(zone) and (zone.unit == "px" or self._geometry is not None):
                names.append(name)
        return names

    def handles(self, name: str) -> list[Place]:
        """Place the handles of a zone.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        list[Place]
            px of the picture: a circle's centre and a place on its border, else the corners.
        """
        zone = self.zones[name]
        return [self._to_px(zone, x, y) for x, y in _points(zone)]

    def grip_at(self, x: float, y: float, reach: float) -> Grip | None:
        """Find what the mouse takes hold of.

        Parameters
        ----------
        x, y
            Place of the mouse, px.
        reach
            How far from a handle it may be, px.

        Returns
        -------
        Grip | None
            The nearest handle of the selected zone, then of any; else the zone that it is in; None for none.
        """
        order = sorted(self.shown(), key=lambda name: name != self.selected)
        for name in order:
            places = self.handles(name)
            distances = [math.hypot(px - x, py - y) for px, py in places]
            if distances and min(distances) <= reach:
                return Grip(name, distances.index(min(distances)))
        for name in order:
            if self._holds(name, x, y):
                return Grip(name, None)
        return None

    def move(self, grip: Grip, start: Place, stop: Place) -> None:
        """Move a handle, or a whole zone.

        Parameters
        ----------
        grip
            What is moved.
        start, stop
            From where to where the mouse went, px.
        """
        zone = self.zones[grip.zone]
        points = _points(zone)
        if grip.handle is None or (zone.circle is not None and grip.handle == 0):
            (x1, y1), (x2, y2) = self._to_unit(zone, *start), self._to_unit(zone, *stop)
            moved = [(x + x2 - x1, y + y2 - y1) for x, y in points]
        else:
            moved = list(points)
            moved[grip.handle] = self._to_unit(zone, *stop)
        changed = _with_points(zone, moved, grip.handle)
        if _is_valid(changed):
            self.zones[grip.zone] = changed

    def add(self, shape: str, places: list[Place], unit: str = "px") -> str:
        """Add a zone.

        Parameters
        ----------
        shape
            One of `SHAPES`.
        places
            px of the picture: of a circle its centre and a place on its border, of a box two opposite
            corners.
        unit
            Of the zone that is written: px or mm.

        Returns
        -------
        str
            Its name.

        Raises
        ------
        UserError
            Where these places are no such shape.
        """
        kind = "mm" if unit == "mm" and self._geometry is not None else "px"
        empty = ZoneConfig(unit=kind)  # type: ignore[arg-type]
        setattr(empty, shape, _EMPTY[shape])
        zone = _with_points(empty, [self._to_unit(empty, *place) for place in places], None)
        if shape == "polygon" and len(places) > MAX_CORNERS:
            raise UserError(f"zone: expected at most {MAX_CORNERS} corners, got {len(places)}")
        make_zones({"zone": zone}, "new zone")
        self.note()
        name = self._free_name(shape)
        self.zones[name] = zone
        self.selected = name
        return name

    def delete(self, name: str) -> None:
        """Delete a zone.

        Parameters
        ----------
        name
            Its name.

        Raises
        ------
        UserError
            Where a rule names it.
        """
        self._check_not_named(name, "deleted")
        self.note()
        del self.zones[name]
        self.selected = ""

    def rename(self, name: str, new: str) -> None:
        """Give a zone another name.

        Parameters
        ----------
        name
            Its name.
        new
            The new one.

        Raises
        ------
        UserError
            Where the name is taken or cannot be written in a rule, or a rule names the old one.
        """
        if new == name:
            return
        self._check_not_named(name, "renamed")
        if not new or not new[0].isalpha() or not all(c.isalnum() or c in "_-" for c in new):
            raise UserError(f"zone '{name}': expected a name of letters, digits, _ and -, got '{new}'")
        if new in self.zones:
            raise UserError(f"zone '{name}': there is another zone '{new}'")
        self.note()
        self.zones = {(new if key == name else key): zone for key, zone in self.zones.items()}
        self.selected = new

    def _check_not_named(self, name: str, what: str) -> None:
        rules = self._named_by.get(name)
        if rules:
            raise UserError(
                f"zone '{name}' is named by {', '.join(f'rule {rule!r}' for rule in rules)}, so it is not "
                f"{what}; change the rule in the file first"
            )

    def _free_name(self, shape: str) -> str:
        taken = (f"{shape}{i}" for i in range(1, len(self.zones) + 2))
        return next(name for name in taken if name not in self.zones)

    def _holds(self, name: str, x: float, y: float) -> bool:
        try:
            zone = make_zones({name: self.zones[name]}, "zones")[name]
        except UserError:
            return False
        depth: Callable[..., np.ndarray] | None = getattr(zone, "depth", None)
        if depth is None:
            return False
        ux, uy = self._to_unit(self.zones[name], x, y)
        return bool(depth(np.array([ux]), np.array([uy]))[0] >= 0.0)

    def _to_unit(self, zone: ZoneConfig, x: float, y: float) -> Place:
        if zone.unit == "px" or self._geometry is None:
            return x, y
        mapped, _ = self._geometry.to_mm([x, y, 0.0, 0.0])
        return mapped[0], mapped[1]

    def _to_px(self, zone: ZoneConfig, x: float, y: float) -> Place:
        return (x, y) if zone.unit == "px" or self._geometry is None else self._geometry.to_px(x, y)


_EMPTY: dict[str, list[float] | list[list[float]]] = {
    "circle": [0.0, 0.0, 1.0],
    "box": [0.0, 0.0, 1.0, 1.0],
    "polygon": [],
    "line": [],
    "point": [0.0, 0.0],
}


def shape_of(zone: ZoneConfig) -> str:
    """Get the shape of a zone.

    Parameters
    ----------
    zone
        The zone.

    Returns
    -------
    str
        One of `SHAPES`; empty where it has none.
    """
    return next((shape for shape in SHAPES if getattr(zone, shape) is not None), "")


def _points(zone: ZoneConfig) -> list[Place]:
    """What a zone is made of, in its own unit."""
    if zone.circle is not None:
        x, y, radius = zone.circle
        return [(x, y), (x + radius, y)]
    if zone.box is not None:
        left, top, right, bottom = zone.box
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    if zone.point is not None:
        return [(zone.point[0], zone.point[1])]
    return [(x, y) for x, y in zone.polygon or zone.line or []]


def _with_points(zone: ZoneConfig, points: list[Place], handle: int | None) -> ZoneConfig:
    """A zone of the same shape made of other points; `handle` is the one that was moved."""
    made = ZoneConfig(unit=zone.unit)

    def short(value: float) -> float:
        return round(float(value), DIGITS[zone.unit])

    if zone.circle is not None:
        (x, y), (bx, by) = points
        made.circle = [short(x), short(y), short(math.hypot(bx - x, by - y))]
    elif zone.box is not None:
        # The corner that was moved, and the one that lies opposite.
        a, b = (
            (points[0], points[-1])
            if len(points) == 2
            else (points[handle or 0], points[((handle or 0) + 2) % 4])
        )
        made.box = [short(v) for v in (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))]
    elif zone.point is not None:
        made.point = [short(points[0][0]), short(points[0][1])]
    else:
        places = [[short(x), short(y)] for x, y in points]
        made.polygon, made.line = (places, None) if zone.polygon is not None else (None, places)
    return made


def _is_valid(zone: ZoneConfig) -> bool:
    try:
        make_zones({"zone": zone}, "zone")
    except UserError:
        return False
    return True
