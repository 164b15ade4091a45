"""Numbers of a condition: constants, quantities and arithmetic of them, each with its dimension."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rt_pose.rules.closed_forms import Form, Linear
from rt_pose.rules.samples import StateSamples
from rt_pose.rules.tree import Number
from rt_pose.rules.units import Dimension, unit_of

TURN_DEG = 360.0
BOUNDS_TOLERANCE = 1e-3
"""Share of the width by which a threshold may pass a bound: 3.1416 rad is meant to be half a turn."""
FUNCTIONS = {"abs": (1, 1), "min": (2, 99), "max": (2, 99)}
"""Fewest and most arguments."""
_NUMPY: dict[str, Callable[..., Any]] = {"abs": np.abs, "min": np.minimum, "max": np.maximum}


@dataclass(frozen=True, slots=True)
class Value:
    """A bound number, in base units."""

    dimension: Dimension
    stated: float
    """Base units in one of its stated unit, which plain numbers beside it take."""
    unit: str
    """The stated unit, for messages."""
    measure: Callable[[StateSamples], Any]
    says: str
    place: int
    constant: float | None = None
    bare: bool = False
    """A number without a unit: it takes that of what it meets."""
    form: Form | None = None
    slots: frozenset[int] = frozenset()
    moving: frozenset[int] = frozenset()
    bounds: tuple[float, float] | None = None
    """Least and greatest value, in base units; None for any."""
    circular: bool = False
    """An angle on the full circle."""

    def beyond(self, limit: float) -> bool:
        """Tell whether a threshold lies beyond the value's bounds, so that nothing can depend on it.

        Parameters
        ----------
        limit
            The threshold, in base units.

        Returns
        -------
        bool
            Whether it does.
        """
        if self.bounds is None:
            return False
        low, high = self.bounds
        slack = BOUNDS_TOLERANCE * (high - low)
        return not low - slack <= limit <= high + slack

    @property
    def unit_name(self) -> str:
        """For messages."""
        return self.unit or "a plain number"


def constant(value: float, dimension: Dimension, stated: float, unit: str, says: str, place: int) -> Value:
    """Make a number that does not change.

    Parameters
    ----------
    value
        The number, in base units.
    dimension
        Its dimension.
    stated
        Base units in one of its stated unit.
    unit
        The stated unit.
    says
        The number in words.
    place
        Its offset in the text.

    Returns
    -------
    Value
        The value.
    """
    return Value(
        dimension, stated, unit, lambda _: value, says, place, constant=value, form=Linear({}, value)
    )


def number(node: Number) -> Value:
    """Bind a number as written.

    Parameters
    ----------
    node
        The number and its unit.

    Returns
    -------
    Value
        A constant in base units; `bare` where it has no unit.
    """
    says = f"{node.value:g} {node.unit}".strip()
    unit = unit_of(node.unit)
    if unit is None:
        return replace(constant(node.value, Dimension(), 1.0, "", says, node.place), bare=True)
    return constant(node.value * unit.factor, unit.dimension, unit.factor, node.unit, says, node.place)


def adopt(bare: Value, other: Value) -> Value:
    """Give a number without a unit the stated unit of another value.

    Parameters
    ----------
    bare
        A constant without a unit.
    other
        The value whose unit it takes.

    Returns
    -------
    Value
        The constant in base units.
    """
    assert bare.constant is not None
    value = bare.constant * other.stated
    says = f"{bare.says} {other.unit}".strip()
    return constant(value, other.dimension, other.stated, other.unit, says, bare.place)


def negative(value: Value, place: int) -> Value:
    """Negate a value.

    Parameters
    ----------
    value
        The value.
    place
        Offset of the sign in the text.

    Returns
    -------
    Value
        `- value`.
    """
    if value.constant is not None:
        made = constant(-value.constant, value.dimension, value.stated, value.unit, f"-{value.says}", place)
        return replace(made, bare=value.bare)
    measure = value.measure
    form = value.form.scaled(-1.0) if isinstance(value.form, Linear) else None
    return replace(
        value,
        measure=lambda m: np.negative(measure(m)),
        says=f"-({value.says})",
        form=form,
        place=place,
        bounds=None if value.bounds is None else (-value.bounds[1], -value.bounds[0]),
    )


def chain(values: list[Value], signs: tuple[str, ...], place: int) -> Value:
    """Compute a sum or product from left to right.

    Parameters
    ----------
    values
        The operands; those of a sum have the same dimension.
    signs
        The operators between them, one fewer.
    place
        Offset of the first sign in the text.

    Returns
    -------
    Value
        The result.
    """
    total = values[0]
    for sign, value in zip(signs, values[1:], strict=True):
        total = _sum(total, value, sign) if sign in "+-" else _product(total, value, sign)
    return replace(total, place=place)


def apply(name: str, values: list[Value], place: int) -> Value:
    """Apply abs, min or max.

    Parameters
    ----------
    name
        Name of the function.
    values
        Its arguments, of the same dimension.
    place
        Offset of the call in the text.

    Returns
    -------
    Value
        The result.
    """
    function, first = _NUMPY[name], values[0]
    measures = [value.measure for value in values]

    def measure(samples: StateSamples) -> Any:
        result = measures[0](samples)
        if len(measures) == 1:
            return function(result)
        for other in measures[1:]:
            result = function(result, other(samples))
        return result

    says = f"{name}({', '.join(value.says for value in values)})"
    made = replace(first, measure=measure, says=says, form=None, place=place, bounds=None, circular=False)
    if name == "abs" and first.bounds is not None:
        made = replace(made, bounds=(0.0, max(abs(bound) for bound in first.bounds)))
    return _fold_constants(values, made)


def _sum(left: Value, right: Value, sign: str) -> Value:
    function = np.add if sign == "+" else np.subtract
    first, second = left.measure, right.measure
    form = None
    if isinstance(left.form, Linear) and isinstance(right.form, Linear):
        form = left.form.plus(right.form, 1.0 if sign == "+" else -1.0)
    made = replace(
        left,
        measure=lambda m: function(first(m), second(m)),
        says=f"{left.says} {'plus' if sign == '+' else 'minus'} {right.says}",
        form=form,
        bounds=None,
    )
    if left.circular or right.circular:
        made = _wrapped(made, left, right)
    return _fold_constants([left, right], made)


def _wrapped(total: Value, left: Value, right: Value) -> Value:
    """A sum of angles on the circle: between two of them from half a turn back to half a turn on."""
    around = [v.bounds for v in (left, right) if v.circular]
    low = around[0][0] if len(around) == 1 and around[0] is not None else -0.5 * TURN_DEG
    measure = total.measure
    return replace(
        total,
        measure=lambda m: low + np.mod(measure(m) - low, TURN_DEG),
        form=None,
        bounds=(low, low + TURN_DEG),
        circular=True,
    )


def _product(left: Value, right: Value, sign: str) -> Value:
    function = np.multiply if sign == "*" else np.divide
    first, second = left.measure, right.measure
    times = sign == "*"
    form = None
    if isinstance(left.form, Linear) and right.constant is not None:
        form = left.form.scaled(right.constant if times else _inverse(right.constant))
    elif isinstance(right.form, Linear) and left.constant is not None and times:
        form = right.form.scaled(left.constant)
    dimension = left.dimension.times(right.dimension, 1 if times else -1)
    stated = left.stated * right.stated if times else left.stated / right.stated
    kept = {left.dimension: left.unit, right.dimension: right.unit if times else ""}
    made = Value(
        dimension=dimension,
        stated=stated,
        unit=kept.get(dimension, "") or _unit_text(dimension),
        measure=lambda m: function(first(m), second(m)),
        says=f"{left.says} {'times' if times else 'divided by'} {right.says}",
        place=left.place,
        form=form,
    )
    return _fold_constants([left, right], made)


def _fold_constants(values: list[Value], made: Value) -> Value:
    """`made` out of `values`: what it looks at; a constant where they all are."""
    slots = frozenset().union(*(v.slots for v in values))
    moving = frozenset().union(*(v.moving for v in values))
    bare = all(v.bare for v in values)
    if any(v.constant is None for v in values):
        return replace(made, slots=slots, moving=moving, bare=False, constant=None)
    with np.errstate(all="ignore"):
        value = float(made.measure(_NO_SAMPLES))
    folded = constant(value, made.dimension, made.stated, made.unit, made.says, made.place)
    return replace(folded, bare=bare)


def _inverse(value: float) -> float:
    return 1.0 / value if value else math.nan


def _unit_text(dimension: Dimension) -> str:
    return "" if dimension == Dimension() else dimension.text()


_NO_SAMPLES = StateSamples([], [], [], [], [], [])
