"""In what a condition is judged, and what it may therefore say: the frame of a camera, or space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rt_pose.errors import UserError, nearest
from rt_pose.rules.quantities import find_quantity, quantity_names
from rt_pose.rules.quantities_in_space import HEIGHT, IN_SPACE
from rt_pose.rules.quantity import KINDS, Quantity
from rt_pose.rules.unit_resolver import MetricScale, SpatialUnits, UnitResolver
from rt_pose.rules.value import FUNCTIONS
from rt_pose.rules.zones import Box, Circle, Line, Point, Polygon, Zone
from rt_pose.rules.zones_in_space import Cuboid, SpatialPoint, SpatialZone, Sphere

AnyZone = Zone | SpatialZone
EXAMPLE = "`ball: {sphere: [x, y, z, radius], unit: mm}`"
_FITS: dict[str, tuple[type[Zone], ...]] = {
    "zone": (Circle, Box, Polygon),
    "line": (Line,),
    "place": (Circle, Box, Polygon, Line, Point),
}
_FITS_IN_SPACE: dict[str, tuple[type[SpatialZone], ...]] = {
    "zone": (Sphere, Cuboid),
    "place": (Sphere, Cuboid, SpatialPoint),
}
_KINDS_IN_SPACE = {"zone": "a sphere, or a box of six numbers"}


@dataclass(frozen=True, slots=True)
class Space:
    """The frame of a camera, or of a group of views."""

    group: str = ""
    """Name of the group; empty for the frames of cameras."""
    has_up: bool = False
    """Whether the group says what is up."""
    elsewhere: Mapping[str, AnyZone] = field(default_factory=dict)
    """Zones that only rules of the other kind can name."""

    @property
    def axes(self) -> int:
        """2 in the frame of a camera, 3 in space."""
        return 3 if self.group else 2

    def units(
        self, error: Callable[[int, str], UserError], zones: Mapping[str, AnyZone], scale: MetricScale
    ) -> UnitResolver:
        """Make what decides between px and mm.

        Parameters
        ----------
        error
            Makes an error of a place in the condition and a message.
        zones
            The zones that the condition may name.
        scale
            What the rig knows of millimetres.

        Returns
        -------
        UnitResolver
            In space one that knows mm alone.
        """
        if self.group:
            return SpatialUnits(error)
        flat = {n: z for n, z in zones.items() if isinstance(z, Circle | Box | Polygon | Line | Point)}
        return UnitResolver(error, flat, scale)

    def find(self, name: str) -> Quantity | None:
        """Look up a quantity.

        Parameters
        ----------
        name
            Its name in rules.

        Returns
        -------
        Quantity | None
            The quantity; None where there is none of that name here.

        Raises
        ------
        UserError
            As of `find_quantity`.
        """
        if not self.group:
            return find_quantity(name)
        return IN_SPACE[name] if name in self.names() else None

    def names(self) -> list[str]:
        """List the quantities that there are.

        Returns
        -------
        list[str]
            Their names.
        """
        if not self.group:
            return quantity_names()
        return [name for name in IN_SPACE if name != HEIGHT or self.has_up]

    def unknown_quantity(self, name: str) -> str:
        """Say why there is no quantity of a name.

        Parameters
        ----------
        name
            As written.

        Returns
        -------
        str
            The message, with what there is.
        """
        if not self.group and name in IN_SPACE:
            return f"{name} has a meaning in space alone: name a group of views, e.g. `view: arena`"
        if self.group and name == HEIGHT:
            return (
                f"what is up? Add `up: [x, y, z]`, the direction away from the floor, to views.{self.group}, "
                "or use z(...)"
            )
        if self.group and name in quantity_names():
            return f"{name} has no meaning in space; there are {', '.join(self.names())}"
        return f"unknown quantity '{name}'{nearest(name, [*self.names(), *FUNCTIONS])}"

    def kind(self, kind: str) -> str:
        """Describe a kind of argument.

        Parameters
        ----------
        kind
            One of `KINDS`.

        Returns
        -------
        str
            For messages.
        """
        return _KINDS_IN_SPACE.get(kind, KINDS[kind]) if self.group else KINDS[kind]

    def fits(self, zone: AnyZone, kind: str) -> bool:
        """Tell whether a zone can stand for an argument.

        Parameters
        ----------
        zone
            The zone.
        kind
            `zone`, `line` or `place`.

        Returns
        -------
        bool
            Whether it can.
        """
        return isinstance(zone, _FITS_IN_SPACE.get(kind, ()) if self.group else _FITS[kind])

    def misplaced_zone(self, name: str, kind: str, zones: Mapping[str, AnyZone]) -> str:
        """Say that a zone is one for rules of the other kind.

        Parameters
        ----------
        name
            Its name.
        kind
            What was expected: `zone`, `line` or `place`.
        zones
            The zones of this kind.

        Returns
        -------
        str
            The message, with the names of those that fit.
        """
        shape = shape_name(self.elsewhere[name])
        fitting = [other for other, zone in zones.items() if self.fits(zone, kind)]
        there_are = f"; here can stand {', '.join(fitting)}" if fitting else ""
        if self.group:
            there_are = there_are or f"; there is none yet: add e.g. {EXAMPLE}"
            return f"zone '{name}' is a {shape} of a camera's frame, this rule is judged in space{there_are}"
        return f"zone '{name}' is a {shape} in space, for rules with a `view`{there_are}"


FRAME = Space()
"""The frames of cameras."""


def shape_name(zone: AnyZone) -> str:
    """Name the shape of a zone, as a configuration does.

    Parameters
    ----------
    zone
        The zone.

    Returns
    -------
    str
        Such as `box`.
    """
    if isinstance(zone, Cuboid):
        return "box"
    return "point" if isinstance(zone, SpatialPoint) else type(zone).__name__.lower()
