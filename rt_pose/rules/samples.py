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


@dataclass(frozen=True, slots=True)
class Slot:
    """A keypoint of the model, or the centroid of several, in px or in mm."""

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

    @classmethod
    def of(cls, values: Array) -> StateSamples:
        """Make samples that are views of an array.

        Parameters
        ----------
        values
            (slots, 4, n): x, y, vx, vy; it may be overwritten for each frame.

        Returns
        -------
        StateSamples
            The samples; ages and confidences are NaN.
        """
        slots = len(values)
        return cls(
            x=[values[s, 0] for s in range(slots)],
            y=[values[s, 1] for s in range(slots)],
            vx=[values[s, 2] for s in range(slots)],
            vy=[values[s, 3] for s in range(slots)],
            unseen_s=[np.nan] * slots,
            confidence=[np.nan] * slots,
            lost=[False] * slots,
        )
