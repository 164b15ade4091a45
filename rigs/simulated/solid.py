"""The articulated animal in space: the one of the flat arena, with a height, and rearing now and then.

The world is in mm: its origin is the middle of the floor, x to the right and y away as the flat arena shows
them, z up. Seen from straight above an animal on all fours is where the flat one is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigs.simulated.animal import (
    BODY_LENGTH,
    EYES,
    FEET,
    FIXED,
    MIDLINE,
    MIDLINE_ALONG,
    MIDLINE_HALF_WIDTH,
    TAIL,
    Animal,
    feet_lifted,
    half_width,
)
from rigs.simulated.behaviour import Rearing
from rigs.simulated.path import ARENA
from rt_pose.types import FloatArray

MM = 400.0
"""Of a scene unit, the height of the arena seen from above."""
BODY_MM = BODY_LENGTH * MM
BALLS_MM = MIDLINE_HALF_WIDTH * MM
"""Radii (25,) of the balls of which trunk and head are made, at the points of `SolidPosture.midline`."""
HIDDEN_WITHIN = 0.85
"""A line of sight that passes a ball's centre at less than this share of its radius ends there: what lies on
the surface is in sight from its own side."""

_SPINE = ((0.0, 0.13), (0.19, 0.19), (0.66, 0.20), (1.0, 0.125), (1.38, 0.03), (1.85, 0.02))
"""Distance behind the nose and height of the body's axis, body lengths."""
_NOSE_AHEAD, _TAIL_BASE = -0.03, 1.06
"""Where the balls end, in front and behind."""
_EAR_ABOVE, _EYE_ABOVE, _PAW_HEIGHT, _PAW_LIFT = 0.12, 0.075, 0.025, 0.06
_HIP, _BEND = 0.85, 0.30
"""Behind the nose: where the back bends in rearing; and over which length."""


def height_of_spine(along: FloatArray) -> FloatArray:
    """Return the height of the body's axis on all fours.

    Parameters
    ----------
    along
        Distances (n,) behind the nose, body lengths.

    Returns
    -------
    FloatArray
        Heights (n,), body lengths.
    """
    return np.interp(along, *np.transpose(_SPINE))


def _on_top(along: float) -> float:
    """Height of the body's upper surface (body lengths)."""
    radius, axis = half_width(MIDLINE_ALONG), height_of_spine(MIDLINE_ALONG)
    above = np.sqrt(np.maximum(0.0, radius**2 - (MIDLINE_ALONG - along) ** 2))
    return float(np.max(np.where(above > 0, axis + above, 0.0)))


def _fixed_up() -> FloatArray:
    """Heights of nose, ears, neck, back, tail base and tail middle (7,)."""
    nose, ear, base, middle = height_of_spine(np.array([0.0, 0.26, _TAIL_BASE, 1.38])).tolist()
    ear += _EAR_ABOVE
    return np.array([nose, ear, ear, _on_top(0.33), _on_top(0.66), base, middle])


_FIXED_UP = _fixed_up()
_BENDS = np.ones(52, dtype=bool)
_BENDS[FEET.start + 2 : FEET.stop] = False  # the hind feet stay on the ground


@dataclass(slots=True)
class SolidPosture:
    """Where the animal's parts are (mm)."""

    keypoints: FloatArray
    """(9, 3) in the order of `rigs.simulated.animal.KEYPOINTS`."""
    midline: FloatArray
    """(25, 3) centres of the balls of head and trunk, nose to tail base."""
    tail: FloatArray
    """(14, 3)."""
    eyes: FloatArray
    """(2, 3) left, right."""
    feet: FloatArray
    """(4, 3) front left, front right, hind left, hind right."""

    def hides(self, eye: FloatArray, xyz: FloatArray) -> NDArray[np.bool_]:
        """Check whether head and trunk lie between a camera and points.

        Parameters
        ----------
        eye
            Position (3,) of the camera, mm.
        xyz
            Points (n, 3), mm.

        Returns
        -------
        NDArray
            Booleans (n,).
        """
        sight = xyz - eye
        length = np.linalg.norm(sight, axis=1, keepdims=True)
        sight = sight / np.maximum(length, 1e-9)
        apart = self.midline - eye  # (25, 3)
        nearest = np.clip(sight @ apart.T, 0.0, length)  # (n, 25) along the line of sight
        off2 = np.square(apart - nearest[..., None] * sight[:, None]).sum(axis=-1)
        return np.asarray((off2 < np.square(HIDDEN_WITHIN * BALLS_MM)).any(axis=1))


class SolidAnimal:
    """One animal in space on its path."""

    def __init__(self, seed: int, index: int) -> None:
        self._flat, self._rearing = Animal(seed, index), Rearing(seed, index)

    def posture(self, distance: float, phase_s: float) -> SolidPosture:
        """Return the animal's posture at a place of its path and a time of its own.

        Parameters
        ----------
        distance, phase_s
            As of `rigs.simulated.animal.Animal.posture`.

        Returns
        -------
        SolidPosture
            Positions in mm.
        """
        along, aside = self._flat.parts(distance)
        along[FIXED.start], along[FIXED.start + 5] = _NOSE_AHEAD, _TAIL_BASE
        up = height_of_spine(along)
        up[EYES] += _EYE_ABOVE
        up[FEET] = _PAW_HEIGHT + _PAW_LIFT * feet_lifted(distance)
        up[FIXED] = _FIXED_UP
        behind, up = _raised(along, up, self._rearing.pitch(phase_s))
        xy, _ = self._flat.place(behind, along, aside, distance, phase_s)
        xyz = np.concatenate([on_floor(xy), up[:, None] * BODY_MM], axis=1)
        return SolidPosture(
            keypoints=np.concatenate([xyz[FIXED], xyz[FEET][:2]]),
            midline=xyz[MIDLINE],
            tail=xyz[TAIL],
            eyes=xyz[EYES],
            feet=xyz[FEET],
        )


def on_floor(xy: FloatArray) -> FloatArray:
    """Convert scene coordinates to those of the floor.

    Parameters
    ----------
    xy
        Points (..., 2), scene units, y down.

    Returns
    -------
    FloatArray
        Points (..., 2), mm from the middle of the floor, y away.
    """
    return (xy - np.array(ARENA) / 2.0) * (MM, -MM)


def on_plan(xy: FloatArray) -> FloatArray:
    """Convert coordinates of the floor to those of the scene.

    Parameters
    ----------
    xy
        Points (..., 2), mm from the middle of the floor, y away.

    Returns
    -------
    FloatArray
        Points (..., 2), scene units, y down.
    """
    return xy / (MM, -MM) + np.array(ARENA) / 2.0


def _raised(along: FloatArray, up: FloatArray, pitch: float) -> tuple[FloatArray, FloatArray]:
    """Distances behind the nose on the path, and heights, with the forebody turned up about the hip."""
    pivot = float(height_of_spine(np.array([_HIP]))[0])
    ahead, above = _HIP - along, up - pivot
    share = np.clip(ahead / _BEND, 0.0, 1.0)
    turn = np.where(_BENDS, pitch * share * share * (3.0 - 2.0 * share), 0.0)
    cos, sin = np.cos(turn), np.sin(turn)
    return _HIP - (ahead * cos - above * sin), pivot + ahead * sin + above * cos
