"""What rules can measure in space: one function a quantity, each stating its arguments and unit.

Lengths are in mm of the group's frame. A quantity whose meaning lies in the picture of a camera (a heading, a
line that is crossed) is none here, and one that a package adds is of pictures too.
"""

from __future__ import annotations

import numpy as np

from rt_pose.rules.closed_forms import Form, Linear, Radial
from rt_pose.rules.quantities import QUANTITIES
from rt_pose.rules.quantity import DEGREE, Quantity, entering, linear, ratio
from rt_pose.rules.samples import Array, StateSamples, norm
from rt_pose.rules.zones_in_space import Cuboid, SpatialArea, SpatialPoint, SpatialZone, Sphere

SHARED = ("mean", "line", "unseen", "confidence", "phase", "amplitude")
"""Quantities that mean the same in a frame and in space."""
HEIGHT = "height"
"""The quantity that has a meaning only where it is known what is up."""
_IN_SPACE: dict[str, Quantity] = {}
_quantity = entering(_IN_SPACE)
Vector = tuple[Array, Array, Array]


def _enter_coordinate(name: str, axis: int, about: str) -> None:
    """Enter a coordinate of a keypoint; `about` is what `rt-pose rules words` says of it."""

    def measure(samples: StateSamples, keypoint: int) -> Array:
        return _position(samples, keypoint)[axis]

    measure.__name__, measure.__doc__ = name, about
    _quantity("mm", f"the {name} of {{0}}", "keypoint", form=lambda k: linear((k, axis, 1.0)))(measure)


_enter_coordinate("x", 0, "Position along the group's x.")
_enter_coordinate("y", 1, "Position along the group's y.")
_enter_coordinate("z", 2, "Position along the group's z, which is up where the group says what is up.")
_enter_coordinate(HEIGHT, 2, "Position upward from the group's origin; the group must say what is up (`up`).")


def _difference(component: int, keypoint: int, other: int | None = None, constant: float = 0.0) -> Linear:
    """A component of one keypoint less that of another one, or less a number."""
    terms = [(keypoint, component, 1.0)] + ([] if other is None else [(other, component, -1.0)])
    return linear(*terms, constant=-constant)


def _speed_form(keypoint: int) -> Radial:
    return Radial(*(_difference(c, keypoint) for c in (3, 4, 5)))


@_quantity("mm/s", "the speed of {0}", "keypoint", form=_speed_form, moving=True)
def speed(samples: StateSamples, keypoint: int) -> Array:
    """Length of the velocity in space.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.

    Returns
    -------
    Array
        (n,) mm/s.
    """
    return norm(*_velocity(samples, keypoint))


def _distance_form(keypoint: int, place: object) -> Form | None:
    match place:
        case SpatialPoint(centre):
            return Radial(*(_difference(c, keypoint, constant=centre[c]) for c in (0, 1, 2)))
        case int():
            return Radial(*(_difference(c, keypoint, place) for c in (0, 1, 2)))
    return None


@_quantity("mm", "the distance from {0} to {1}", "keypoint", "place", form=_distance_form)
def distance(samples: StateSamples, keypoint: int, place: int | SpatialZone) -> Array:
    """To a keypoint or a point; to the nearest place of a sphere or box, 0 inside it.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.
    place
        Slot of another keypoint, or a zone.

    Returns
    -------
    Array
        (n,) mm.
    """
    if isinstance(place, Sphere | Cuboid):
        return np.maximum(-place.depth(_position(samples, keypoint)), 0.0)
    return norm(*_way(samples, keypoint, place))


@_quantity("mm/s", "the speed of {0} toward {1}", "keypoint", "place", moving=True)
def approach(samples: StateSamples, keypoint: int, place: int | SpatialZone) -> Array:
    """Speed toward a keypoint (that moves itself), or toward the centre of a zone.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.
    place
        Slot of another keypoint, or a zone.

    Returns
    -------
    Array
        (n,) mm/s; NaN where the two are at the same place.
    """
    way, velocity = _way(samples, keypoint, place), _velocity(samples, keypoint)
    if isinstance(place, int):
        velocity = _minus(velocity, _velocity(samples, place))
    return ratio(_dot(way, velocity), norm(*way))


@_quantity(
    "deg",
    "the angle at {1} between {0} and {2}",
    *("keypoint", "keypoint", "keypoint"),
    bounds=(0.0, 180.0),
)
def angle(samples: StateSamples, first: int, corner: int, last: int) -> Array:
    """At a joint in space, 0 (folded) to 180 (straight) deg.

    Parameters
    ----------
    samples
        Keypoints by slot.
    first, corner, last
        Slots of the keypoints; the angle is at `corner`.

    Returns
    -------
    Array
        (n,) deg.
    """
    return _angle(_way(samples, corner, first), _way(samples, corner, last))


@_quantity(
    "deg",
    "the angle between the line from {0} to {1} and the way from there to {2}",
    *("keypoint", "keypoint", "place"),
    bounds=(0.0, 180.0),
)
def facing(samples: StateSamples, tail: int, head: int, place: int | SpatialZone) -> Array:
    """How far a line is off a keypoint, or off the centre of a zone: 0 deg faces it, 180 deg turns away.

    Parameters
    ----------
    samples
        Keypoints by slot.
    tail, head
        Slots of the keypoints of the line.
    place
        Slot of another keypoint, or a zone.

    Returns
    -------
    Array
        (n,) deg, 0 to 180.
    """
    return _angle(_way(samples, tail, head), _way(samples, head, place))


@_quantity(None, "{0} is inside {1}", "keypoint", "zone")
def inside(samples: StateSamples, keypoint: int, zone: SpatialArea) -> Array:
    """Depth inside a sphere or box.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.
    zone
        The zone.

    Returns
    -------
    Array
        (n,) mm, positive inside.
    """
    return zone.depth(_position(samples, keypoint))


IN_SPACE: dict[str, Quantity] = {**_IN_SPACE, **{name: QUANTITIES[name] for name in SHARED}}
"""The quantities of rules that are judged in space, by name."""


def _position(samples: StateSamples, keypoint: int) -> Vector:
    return samples.x[keypoint], samples.y[keypoint], samples.z[keypoint]


def _velocity(samples: StateSamples, keypoint: int) -> Vector:
    return samples.vx[keypoint], samples.vy[keypoint], samples.vz[keypoint]


def _way(samples: StateSamples, keypoint: int, place: int | SpatialZone) -> Vector:
    """From a keypoint to another one, or to the centre of a zone."""
    start = _position(samples, keypoint)
    if isinstance(place, int):
        return _minus(_position(samples, place), start)
    return place.centre[0] - start[0], place.centre[1] - start[1], place.centre[2] - start[2]


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _dot(a: Vector, b: Vector) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _angle(a: Vector, b: Vector) -> Array:
    """Between two vectors, by their cross product, which keeps its digits near 0 and 180 deg."""
    across = norm(a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return np.arctan2(across, _dot(a, b)) * DEGREE
