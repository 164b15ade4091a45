"""Units of the trigger language.

Values are computed in base units: px or mm (which of the two is settled for each comparison), s and deg.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from rt_pose.errors import UserError


@dataclass(frozen=True, slots=True)
class Dimension:
    """Exponents of length, time and angle."""

    length: int = 0
    time: int = 0
    angle: int = 0

    def times(self, other: Dimension, sign: int = 1) -> Dimension:
        """Multiply or divide dimensions.

        Parameters
        ----------
        other
            The other dimension.
        sign
            1 for a product, -1 for a quotient.

        Returns
        -------
        Dimension
            The dimension of the result.
        """
        return Dimension(
            self.length + sign * other.length,
            self.time + sign * other.time,
            self.angle + sign * other.angle,
        )

    def text(self, metric: bool = False) -> str:
        """Format the dimension in base units.

        Parameters
        ----------
        metric
            Whether lengths are in mm.

        Returns
        -------
        str
            Such as `px/s`; `a plain number` where it has none.
        """
        parts = (("mm" if metric else "px", self.length), ("s", self.time), ("deg", self.angle))
        over = "*".join(_power(name, e) for name, e in parts if e > 0)
        under = "/".join(_power(name, -e) for name, e in parts if e < 0)
        if not over and not under:
            return "a plain number"
        return f"{over or '1'}/{under}" if under else over


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that may be written."""

    dimension: Dimension
    factor: float
    """Base units in one of it."""
    metric: bool | None = None
    """True for metric lengths, False for px, None where lengths do not matter."""


_LENGTH, _TIME, _ANGLE = Dimension(length=1), Dimension(time=1), Dimension(angle=1)
_RADIAN = 57.29577951308232
_LENGTH_TEXT = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-z]{1,2})\s*")
_SIMPLE: dict[str, Unit] = {
    "px": Unit(_LENGTH, 1.0, False),
    "mm": Unit(_LENGTH, 1.0, True),
    "cm": Unit(_LENGTH, 10.0, True),
    "m": Unit(_LENGTH, 1000.0, True),
    "us": Unit(_TIME, 1e-6),
    "ms": Unit(_TIME, 1e-3),
    "s": Unit(_TIME, 1.0),
    "min": Unit(_TIME, 60.0),
    "deg": Unit(_ANGLE, 1.0),
    "rad": Unit(_ANGLE, _RADIAN),
    "Hz": Unit(Dimension(time=-1), 1.0),
    "%": Unit(Dimension(), 0.01),
}
UNIT_NAMES = (*_SIMPLE, "px/s", "mm/s", "cm/s", "m/s", "deg/s", "rad/s")
"""The units that an error message lists."""


def unit_of(text: str) -> Unit | None:
    """Look up a unit.

    Parameters
    ----------
    text
        Its name, such as `cm/s`.

    Returns
    -------
    Unit | None
        The unit; None where there is none of that name.
    """
    over, slash, under = text.partition("/")
    unit = _SIMPLE.get(over)
    if not slash or unit is None:
        return unit
    per = _SIMPLE.get(under)
    if per is None or per.dimension != _TIME:
        return None
    return Unit(unit.dimension.times(per.dimension, -1), unit.factor / per.factor, unit.metric)


def read_length(text: str, where: str) -> tuple[float, bool]:
    """Read a length with its unit, such as `3 mm`.

    Parameters
    ----------
    text
        A number and one of the units px, mm, cm, m.
    where
        Place in the configuration or the option, for messages.

    Returns
    -------
    tuple[float, bool]
        The length in px or mm, and whether it is in mm.

    Raises
    ------
    UserError
        Where it is no length above 0.
    """
    match = _LENGTH_TEXT.fullmatch(text) if isinstance(text, str) else None
    unit = unit_of(match[2]) if match else None
    if match is None or unit is None or unit.dimension != _LENGTH or not 0.0 < float(match[1]) < math.inf:
        raise UserError(
            f"{where}: expected a length above 0 with its unit, such as '3 mm' or '12 px', got {text!r}"
        )
    return float(match[1]) * unit.factor, bool(unit.metric)


def _power(name: str, exponent: int) -> str:
    return name if exponent == 1 else f"{name}^{exponent}"
