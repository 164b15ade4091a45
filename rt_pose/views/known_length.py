"""The scale of a calibration by a length that is known: reprojection cannot see it, for places twice as far
from cameras twice as far apart are seen at the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rt_pose.errors import UserError
from rt_pose.types import FloatArray

UNITS = {"m": 1e-3, "dm": 1e-2, "inches": 1 / 25.4, "cm": 0.1, "um": 1e3}
"""Other units of length that a calibration may be in: how many there are in a mm."""
LEAST_LENGTHS = 10


@dataclass(frozen=True, slots=True)
class LengthCheck:
    """A known length, and how long it is by the calibration."""

    what: str
    known_mm: float
    measured: float
    """Median, in the calibration's unit."""
    count: int
    tolerance: float
    """Share by which it may be off."""

    @property
    def right(self) -> bool:
        """Whether they agree."""
        ratio = self.measured / self.known_mm
        return bool(1 / (1 + self.tolerance) <= ratio <= 1 + self.tolerance)

    def __str__(self) -> str:
        found = f"{self.what} is {self.measured:.4g} by the calibration (median of {self.count}), given "
        found += f"{self.known_mm:g} mm"
        if self.right:
            return found
        ratio = self.measured / self.known_mm
        for unit, per_mm in UNITS.items():
            if abs(np.log(ratio / per_mm)) <= np.log1p(self.tolerance):
                return f"{found}: it is in {unit}, not in mm"
        return f"{found}: lengths are {ratio:.4g} times what they should be"


def check_length(
    xyz: FloatArray, pairs: Sequence[tuple[int, int]], known_mm: float, tolerance: float, what: str
) -> LengthCheck:
    """Compare a known length with a calibration.

    Parameters
    ----------
    xyz
        (F, K, 3) places by the calibration; NaN where there is none.
    pairs
        Keypoints that lie so far from each other.
    known_mm
        How far, mm.
    tolerance
        Share by which it may be off.
    what
        What it is, for messages.

    Returns
    -------
    LengthCheck
        The comparison.

    Raises
    ------
    UserError
        Where they were hardly ever placed at once.
    """
    lengths = np.concatenate([np.linalg.norm(xyz[:, a] - xyz[:, b], axis=-1) for a, b in pairs])
    lengths = lengths[np.isfinite(lengths)]
    if len(lengths) < LEAST_LENGTHS:
        raise UserError(
            f"{what}: was seen whole by two cameras {len(lengths)} times, at least {LEAST_LENGTHS} are needed"
        )
    return LengthCheck(what, known_mm, float(np.median(lengths)), len(lengths), tolerance)
