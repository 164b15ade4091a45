"""What a quantity of rules is, and how a function becomes one.

A quantity gets samples (`rt_pose.rules.samples`) and its bound arguments: a keypoint is its slot in the
samples, a zone its shape, a number is itself. It returns an array of shape (n,), or one number where all
alternatives share it, in its stated unit; NaN where it has no value. A quantity without a unit is a
condition by itself and returns how far inside it is (>= 0 is true).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from rt_pose.rules.closed_forms import Form, Linear
from rt_pose.rules.memory import Memory
from rt_pose.rules.samples import Array

DEGREE = 180.0 / np.pi
CIRCLE = (-180.0, 180.0)

Kind = Literal[
    "keypoint",
    "place",
    "zone",
    "line",
    "side",
    "angle",
    "frequency",
    "signal",
    "size",
    "time",
    "input",
]
KINDS: dict[str, str] = {
    "keypoint": "a keypoint or a centroid",
    "place": "a keypoint, a centroid or a zone",
    "zone": "a circle, box or polygon",
    "line": "a line",
    "side": "left or right",
    "angle": "an angle such as 30 deg",
    "frequency": "a frequency such as 8 Hz",
    "signal": "a quantity such as y(paw)",
    "size": "an amplitude in the signal's unit",
    "time": "a time such as 500 ms",
    "input": "an input of the configuration",
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A named quantity."""

    name: str
    arguments: tuple[Kind, ...]
    unit: str | None
    """Of what `measure` returns, lengths in px (mm where the comparison is); "" for a plain number, "signal"
    for that of its signal; None for a condition, which is true or false by itself."""
    measure: Callable[..., Any]
    """(samples, *arguments) -> value; with a `memory` (samples, memory).

    The first line of its docstring describes the quantity in `rt-pose rules words`.
    """
    says: str
    """In a sentence, its arguments as {0}, {1} ...; of a condition what follows `it is so that`."""
    form: Callable[..., Form | None] | None = None
    """(*arguments) -> the shape of it, where probabilities have a closed form."""
    moving: bool = False
    """It looks at velocities."""
    random: bool = True
    """It looks at uncertain positions; otherwise it is certain whatever the covariance."""
    memory: Callable[..., Memory] | None = None
    """(*arguments) -> what it keeps between frames; see `rt_pose.rules.memory`."""
    bounds: tuple[float, float] | None = None
    """Least and greatest value, in its unit: a comparison with what lies beyond is refused."""
    circular: bool = False
    """It is an angle on the full circle, whose `bounds` are the same place: sums and differences wrap."""


def linear(*terms: tuple[int, int, float], constant: float = 0.0) -> Linear:
    """Make a weighted sum of coordinates and velocities.

    Parameters
    ----------
    *terms
        (slot, component, weight) each, components in the order x, y, vx, vy.
    constant
        What is added.

    Returns
    -------
    Linear
        The form.
    """
    form = Linear({}, constant)
    for slot, component, weight in terms:
        form = form.plus(Linear({(slot, component): weight}))
    return form


_Measure = TypeVar("_Measure", bound=Callable[..., Any])


def entering(quantities: dict[str, Quantity]) -> Callable[..., Callable[[_Measure], _Measure]]:
    """Make a decorator that enters measures into a table of quantities.

    Parameters
    ----------
    quantities
        The table, by name.

    Returns
    -------
    Callable
        Takes unit, sentence and kinds of arguments, then further fields of `Quantity` by name; a measure is
        entered under its own name.
    """

    def quantity(
        unit: str | None, says: str, *arguments: Kind, **properties: Any
    ) -> Callable[[_Measure], _Measure]:
        def enter(measure: _Measure) -> _Measure:
            name = measure.__name__
            quantities[name] = Quantity(name, arguments, unit, measure, says, **properties)
            return measure

        return enter

    return quantity


def ratio(over: Array, under: Array) -> Array:
    """Divide; NaN, without a warning, where the divisor is not above 0.

    Parameters
    ----------
    over, under
        Of one shape.

    Returns
    -------
    Array
        The quotient, of that shape.
    """
    return np.divide(over, under, out=np.full(np.shape(under), np.nan), where=under > 0.0)
