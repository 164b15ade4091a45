"""What a condition looks at: keypoints in space at one time, one alternative or many at once.

Samples hold arrays of n alternatives: one (the mean), or the quadrature points of a Gaussian. Quantities are
written once for both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def length(x: Array, y: Array) -> Array:
    """Compute the length of vectors.

    This is three times as fast as `np.hypot`, whose care for overflow no image needs.

    Parameters
    ----------
    x, y
        Components, of one shape.

    Returns
    -------
    Array
        Lengths, of that shape.
    """
    return np.sqrt(x * x + y * y)


def norm(*parts: Array) -> Array:
    """Compute the length of vectors of any number of parts.

    Parameters
    ----------
    *parts
        Components, of one shape.

    Returns
    -------
    Array
        Lengths, of that shape.
    """
    first, *others = parts
    total = first * first
    for part in others:
        total = total + part * part
    return np.sqrt(total)


@dataclass(frozen=True, slots=True)
class Slot:
    """A keypoint of the model, or the centroid of several, in px or in mm (in space: always in mm)."""

    keypoint: int
    metric: bool
    others: tuple[int, ...] = ()
    """Of a centroid: the further keypoints."""

    @property
    def keypoints(self) -> tuple[int, ...]:
        """All that it is made of."""
        return (self.keypoint, *self.others)


@dataclass(slots=True)
class StateSamples:
    """Keypoints by slot, each an array (n,)."""

    x: list[Array]
    """px or mm, by the slot."""
    y: list[Array]
    vx: list[Array]
    """px/s or mm/s."""
    vy: list[Array]
    unseen_s: list[float]
    """By slot: time since the last sight, as of the newest frame; NaN before the first."""
    confidence: list[float]
    """By slot: the network's, of the newest frame; NaN where it is not known."""
    t_s: float = 0.0
    """Scene time of the samples."""
    memories: list[Any] = field(default_factory=list)
    """What quantities keep from frame to frame."""
    inputs: list[float] = field(default_factory=list)
    """By input that the condition names: 1 where its line is on, else -1."""
    lost: list[bool] = field(default_factory=list)
    """By slot: whether it has not been seen for so long that no rule may fire on it."""
    z: list[Array] = field(default_factory=list)
    """mm; in space alone."""
    vz: list[Array] = field(default_factory=list)

    @classmethod
    def of(cls, values: Array) -> StateSamples:
        """Make samples that are views of an array.

        Parameters
        ----------
        values
            (slots, 4, n): x, y, vx, vy, or in space (slots, 6, n): x, y, z, vx, vy, vz; it may be overwritten
            for each frame.

        Returns
        -------
        StateSamples
            The samples; ages and confidences are NaN.
        """
        slots, axes = len(values), values.shape[1] // 2

        def rows(at: int) -> list[Array]:
            return [values[s, at] for s in range(slots)]

        return cls(
            x=rows(0),
            y=rows(1),
            vx=rows(axes),
            vy=rows(axes + 1),
            unseen_s=[np.nan] * slots,
            confidence=[np.nan] * slots,
            lost=[False] * slots,
            z=rows(2) if axes == 3 else [],
            vz=rows(axes + 2) if axes == 3 else [],
        )
