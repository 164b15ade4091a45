"""Quantities of two places: of one animal, of two, or of an animal and a zone."""

from __future__ import annotations

import numpy as np

from rt_pose.rules.closed_forms import Form, Radial
from rt_pose.rules.quantity import DEGREE, Quantity, entering, linear, ratio
from rt_pose.rules.samples import Array, StateSamples, length
from rt_pose.rules.zones import Area, Box, Circle, Line, Point, Polygon

BETWEEN: dict[str, Quantity] = {}
"""The quantities of this module by name."""
_quantity = entering(BETWEEN)


def _distance_form(keypoint: int, place: object) -> Form | None:
    match place:
        case Point(px, py):
            return Radial(linear((keypoint, 0, 1.0), constant=-px), linear((keypoint, 1, 1.0), constant=-py))
        case int():
            return Radial(
                linear((keypoint, 0, 1.0), (place, 0, -1.0)), linear((keypoint, 1, 1.0), (place, 1, -1.0))
            )
    return None


@_quantity("px", "the distance from {0} to {1}", "keypoint", "place", form=_distance_form)
def distance(samples: StateSamples, keypoint: int, place: int | Area | Line | Point) -> Array:
    """To a keypoint or a point; to the nearest place of a zone, 0 inside it; to a line's nearest place.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.
    place
        Slot of another keypoint, or a zone in the slot's unit.

    Returns
    -------
    Array
        (n,) px or mm.
    """
    px, py = samples.x[keypoint], samples.y[keypoint]
    match place:
        case Circle() | Box() | Polygon():
            return np.maximum(-place.depth(px, py), 0.0)
        case Line():
            t = np.clip(place.along(px, py), 0.0, 1.0)
            dx = px - place.x1 - t * (place.x2 - place.x1)
            dy = py - place.y1 - t * (place.y2 - place.y1)
            return length(dx, dy)
        case Point():
            return length(px - place.x, py - place.y)
    return length(px - samples.x[place], py - samples.y[place])


@_quantity("px/s", "the speed of {0} toward {1}", "keypoint", "place", moving=True)
def approach(samples: StateSamples, keypoint: int, place: int | Area | Line | Point) -> Array:
    """Speed toward a keypoint (that moves itself), or toward the centre of a zone.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.
    place
        Slot of another keypoint, or a zone in the slot's unit.

    Returns
    -------
    Array
        (n,) px/s or mm/s; NaN where the two are at the same place.
    """
    dx, dy = _way(samples, keypoint, place)
    vx, vy = samples.vx[keypoint], samples.vy[keypoint]
    if isinstance(place, int):
        vx, vy = vx - samples.vx[place], vy - samples.vy[place]
    return ratio(dx * vx + dy * vy, length(dx, dy))


@_quantity(
    "deg",
    "the angle between the heading from {0} to {1} and the way from there to {2}",
    *("keypoint", "keypoint", "place"),
    bounds=(0.0, 180.0),
)
def facing(samples: StateSamples, tail: int, head: int, place: int | Area | Line | Point) -> Array:
    """How far a heading is off a keypoint, or off the centre of a zone: 0 deg faces it, 180 deg turns away.

    Parameters
    ----------
    samples
        Keypoints by slot.
    tail, head
        Slots of the keypoints of the heading.
    place
        Slot of another keypoint, of this animal or another one, or a zone in the slots' unit.

    Returns
    -------
    Array
        (n,) deg, 0 to 180.
    """
    dx, dy = samples.x[head] - samples.x[tail], samples.y[head] - samples.y[tail]
    ex, ey = _way(samples, head, place)
    return np.arctan2(np.abs(dx * ey - dy * ex), dx * ex + dy * ey) * DEGREE


@_quantity("px/s", "the speed at which {0} follows {1}", "keypoint", "keypoint", moving=True)
def following(samples: StateSamples, follower: int, leader: int) -> Array:
    """Speed of both along the line from one keypoint to another: of the slower, where both go that way.

    Parameters
    ----------
    samples
        Keypoints by slot.
    follower, leader
        Slots of the keypoint that follows and of the one that it follows, of another animal.

    Returns
    -------
    Array
        (n,) px/s or mm/s, 0 or less where one of them does not go that way; NaN where the two are at the
        same place.
    """
    dx, dy = _way(samples, follower, leader)
    after = dx * samples.vx[follower] + dy * samples.vy[follower]
    away = dx * samples.vx[leader] + dy * samples.vy[leader]
    return ratio(np.minimum(after, away), length(dx, dy))


@_quantity("deg/s", "the turning of the line from {0} to {1}", "keypoint", "keypoint", moving=True)
def turning(samples: StateSamples, tail: int, head: int) -> Array:
    """How fast the heading turns, deg/s, clockwise as seen on the screen.

    Parameters
    ----------
    samples
        Keypoints by slot.
    tail, head
        Slots of the keypoints.

    Returns
    -------
    Array
        (n,) deg/s; NaN where the two are at the same place.
    """
    dx, dy = samples.x[head] - samples.x[tail], samples.y[head] - samples.y[tail]
    vx, vy = samples.vx[head] - samples.vx[tail], samples.vy[head] - samples.vy[tail]
    return ratio(dx * vy - dy * vx, dx * dx + dy * dy) * DEGREE


def _way(samples: StateSamples, keypoint: int, place: int | Area | Line | Point) -> tuple[Array, Array]:
    """From a keypoint to another one, or to the centre of a zone."""
    if isinstance(place, int):
        return samples.x[place] - samples.x[keypoint], samples.y[place] - samples.y[keypoint]
    x, y = np.mean(place.outline(), axis=0)
    return x - samples.x[keypoint], y - samples.y[keypoint]
