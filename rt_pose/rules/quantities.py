"""What rules can measure: one function a quantity, each stating its arguments and unit.

A quantity gets a track, the individual and its bound arguments (a keypoint's index, a zone), and returns a
number in its unit, or a truth value where it has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rt_pose.types import Track

Kind = Literal["keypoint", "zone"]


@dataclass(frozen=True, slots=True)
class Circle:
    """A round zone, px."""

    x: float
    y: float
    radius: float


Argument = int | Circle


@dataclass(frozen=True, slots=True)
class Quantity:
    """A named quantity."""

    name: str
    arguments: tuple[Kind, ...]
    unit: str | None
    """None for a condition, which is true or false by itself."""
    measure: Callable[..., float]
    """(track, individual, *arguments) -> value; for a condition how far inside it is (>= 0 is true)."""


def speed(track: Track, individual: int, keypoint: int) -> float:
    """Length of the velocity, px/s."""
    vx, vy = track.velocity[individual, keypoint]
    return float(np.sqrt(vx * vx + vy * vy))


def inside(track: Track, individual: int, keypoint: int, zone: Circle) -> float:
    """Depth inside a zone, px: 0 at its border, negative outside."""
    dx = track.xy[individual, keypoint, 0] - zone.x
    dy = track.xy[individual, keypoint, 1] - zone.y
    return float(zone.radius - np.sqrt(dx * dx + dy * dy))


QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("speed", ("keypoint",), "px/s", speed),
        Quantity("inside", ("keypoint", "zone"), None, inside),
    )
}
