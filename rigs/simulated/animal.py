"""The articulated animal: where its parts are when its nose has run a distance along the path.

Body points follow the path behind the nose, so the body bends with the path and keeps its length. Lengths
below are in body lengths, nose to tail base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigs.hashing import angle
from rigs.simulated.path import ClosedPath
from rt_pose.types import FloatArray

BODY_LENGTH = 0.26
"""Nose to tail base (arena heights)."""
KEYPOINTS = [
    "nose", "ear_left", "ear_right", "neck", "back", "tail_base", "tail_mid", "paw_left", "paw_right",
]  # fmt: skip

EAR, EYE = (0.26, 0.105), (0.12, 0.062)
"""Behind the nose and beside the midline."""
EAR_RADIUS = 0.072
TAIL_END = 1.85
STRIDE = 0.50
STANCE = 0.6
"""Share of the stride that a paw stands on the ground."""
_LEGS = ((0.44, 0.0, 0.17, 1), (0.44, 0.5, 0.17, -1), (0.82, 0.5, 0.185, 1), (0.82, 0.0, 0.185, -1))
"""Of each foot: its middle place behind the nose, its lead in the stride, its reach, its side (left 1)."""
_TUCK = 0.2
"""How much closer to the midline a foot gets for each length that it falls behind."""

MIDLINE_ALONG = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, 25))  # denser at the ends, where it is round
TAIL_ALONG = np.linspace(0.97, TAIL_END, 14)
MIDLINE, TAIL, EYES, FEET, FIXED = slice(0, 25), slice(25, 39), slice(39, 41), slice(41, 45), slice(45, 52)
"""Rows of the parts in `Animal.parts` and `Animal.place`; fixed are the keypoints but the paws."""
_FIXED_ALONG = np.array([0.0, EAR[0], EAR[0], 0.33, 0.66, 1.0, 1.38])
_FIXED_ASIDE = np.array([0.0, EAR[1], -EAR[1], 0.0, 0.0, 0.0, 0.0])
_EYES_ALONG = np.array([EYE[0], EYE[0]])
_EYES_ASIDE = np.array([EYE[1], -EYE[1]])


def half_width(along: FloatArray) -> FloatArray:
    """Return half the width of the body, seen from above.

    Parameters
    ----------
    along
        Distances (n,) behind the nose, body lengths.

    Returns
    -------
    FloatArray
        Half widths (n,), body lengths; 0 where there is no body.
    """
    head = 0.112 * np.sqrt(np.maximum(0.0, 1.0 - ((along - 0.19) / 0.19) ** 2))
    trunk = 0.178 * np.sqrt(np.maximum(0.0, 1.0 - ((along - 0.66) / 0.36) ** 2))
    return np.hypot(head, trunk)


MIDLINE_HALF_WIDTH = half_width(MIDLINE_ALONG) * BODY_LENGTH
"""Half width (25,) of the body at the points of `Posture.midline` (scene units)."""


@dataclass(slots=True)
class Posture:
    """Where the animal's parts are (scene units)."""

    keypoints: FloatArray
    """(9, 2) in the order of `KEYPOINTS`."""
    bared: NDArray[np.bool_]
    """(9,) whether the body leaves the keypoint in sight (paws tread below it)."""
    midline: FloatArray
    """(25, 2) nose to tail base."""
    left: FloatArray
    """(25, 2) unit vectors to the left of the midline."""
    tail: FloatArray
    """(14, 2)."""
    eyes: FloatArray
    """(2, 2) left, right."""
    feet: FloatArray
    """(4, 2) front left, front right, hind left, hind right."""

    def covers(self, xy: FloatArray) -> NDArray[np.bool_]:
        """Check whether points lie below the trunk or the head.

        Parameters
        ----------
        xy
            Points (n, 2), scene units.

        Returns
        -------
        NDArray
            Booleans (n,).
        """
        apart = xy[:, None] - self.midline
        return np.asarray((np.square(apart).sum(axis=-1) < MIDLINE_HALF_WIDTH**2).any(axis=1))


class Animal:
    """One animal on its path."""

    def __init__(self, seed: int, index: int) -> None:
        self._path = ClosedPath(seed, index)
        self._head_phase = angle(seed, "head", index)
        self._tail_phase = angle(seed, "tail", index)

    def posture(self, distance: float, phase_s: float) -> Posture:
        """Return the animal's posture at a place of its path and a time of its own.

        Parameters
        ----------
        distance
            Arc length along the path at which the nose is, scene units.
        phase_s
            Time of the animal's phase clock, s: it moves the head and the tail.

        Returns
        -------
        Posture
            Positions in scene units.
        """
        along, aside = self.parts(distance)
        xy, left = self.place(along, along, aside, distance, phase_s)
        paws_along, paws_aside = along[FEET][:2], np.abs(aside[FEET][:2])
        bared = np.ones(len(KEYPOINTS), dtype=bool)
        bared[7:] = (paws_aside > half_width(paws_along)) & (
            np.hypot(paws_along - EAR[0], paws_aside - EAR[1]) > EAR_RADIUS
        )
        return Posture(
            keypoints=np.concatenate([xy[FIXED], xy[FEET][:2]]),
            bared=bared,
            midline=xy[MIDLINE],
            left=left[MIDLINE],
            tail=xy[TAIL],
            eyes=xy[EYES],
            feet=xy[FEET],
        )

    def parts(self, distance: float) -> tuple[FloatArray, FloatArray]:
        """Return where the animal's parts are along its body.

        Parameters
        ----------
        distance
            Arc length along the path, scene units: it moves the feet.

        Returns
        -------
        along : FloatArray
            Distances (52,) behind the nose, body lengths: the rows of `MIDLINE`, `TAIL`, `EYES`, `FEET` and
            `FIXED`.
        aside : FloatArray
            Distances (52,) to the left of the midline, body lengths, while head and tail are straight.
        """
        feet_along, feet_aside = _feet(distance)
        along = np.concatenate([MIDLINE_ALONG, TAIL_ALONG, _EYES_ALONG, feet_along, _FIXED_ALONG])
        aside = np.zeros(len(along))
        aside[EYES], aside[FEET], aside[FIXED] = _EYES_ASIDE, feet_aside, _FIXED_ASIDE
        return along, aside

    def place(
        self, behind: FloatArray, along: FloatArray, aside: FloatArray, distance: float, phase_s: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return where parts of the animal are in the arena, seen from above.

        Parameters
        ----------
        behind
            Distances (n,) behind the nose along the path, body lengths.
        along, aside
            Places (n,) of the parts on the body, as of `parts`; the same as `behind` where it lies flat.
        distance, phase_s
            As of `posture`.

        Returns
        -------
        xy : FloatArray
            Points (n, 2), scene units.
        left : FloatArray
            Vectors (n, 2) of length 1, to the left of the path.
        """
        on_path, left = self._path.at(distance - BODY_LENGTH * behind)
        swayed = aside + self._sway(along, distance, phase_s)
        return on_path + left * (swayed * BODY_LENGTH)[:, None], left

    def _sway(self, along: FloatArray, distance: float, phase_s: float) -> FloatArray:
        """Sideways shift: the head looks about, the tail swings."""
        look = 0.055 * math.sin(1.9 * phase_s + self._head_phase) + 0.03 * math.sin(5.3 * phase_s)
        swing = np.sin(7.0 * distance + 1.3 * phase_s + self._tail_phase - 2.6 * (along - 1.0))
        head = look * np.maximum(0.0, 1.0 - along / 0.5) ** 2
        tail = 0.28 * np.maximum(0.0, along - 1.0) * swing
        return head + tail


def feet_lifted(distance: float) -> FloatArray:
    """Return how far each foot has been lifted off the ground.

    Parameters
    ----------
    distance
        Arc length along the path, scene units.

    Returns
    -------
    FloatArray
        (4,) 0 on the ground, 1 at the highest; feet in the order of `Posture.feet`.
    """
    cycle = (distance / (BODY_LENGTH * STRIDE) + np.array([lead for _, lead, *_ in _LEGS])) % 1.0
    lifted: FloatArray = np.sin(np.pi * np.maximum(0.0, cycle - STANCE) / (1.0 - STANCE))
    return lifted


def _feet(distance: float) -> tuple[FloatArray, FloatArray]:
    """Distance behind the nose (4,) and aside (4,) of the feet: front left, front right, hind left, right."""
    strides = distance / (BODY_LENGTH * STRIDE)
    along, aside = np.empty(4), np.empty(4)
    half_step = STRIDE * STANCE / 2.0
    for i, (hip, lead, reach, side) in enumerate(_LEGS):
        cycle = (strides + lead) % 1.0
        if cycle < STANCE:  # it stands while the body moves on over it
            forward = half_step * (1.0 - 2.0 * cycle / STANCE)
        else:
            forward = -half_step * math.cos(math.pi * (cycle - STANCE) / (1.0 - STANCE))
        along[i] = hip - forward
        aside[i] = side * (reach + _TUCK * forward)
    return along, aside
