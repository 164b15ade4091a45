"""Arguments of quantities that are bound, and what a constant among them must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rt_pose.rules.memory import Signal
from rt_pose.rules.quantity import KINDS, Quantity
from rt_pose.rules.samples import StateSamples
from rt_pose.rules.tree import Call
from rt_pose.rules.units import Dimension
from rt_pose.rules.value import Value

CONSTANTS = ("angle", "frequency", "size", "time")
"""Kinds of arguments that are numbers."""
LONGEST_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class BoundArguments:
    """Arguments of a call, bound."""

    values: tuple[Any, ...]
    says: tuple[str, ...]
    slots: frozenset[int]


@dataclass(frozen=True, slots=True)
class BoundSignal:
    """A bound signal and what it is in."""

    signal: Signal
    dimension: Dimension
    unit: str
    value: Value


def expected_unit(kind: str, value: Value, before: Sequence[Any]) -> Value:
    """Get a value in the unit that a constant argument is in.

    Parameters
    ----------
    kind
        One of `CONSTANTS`.
    value
        The constant.
    before
        The arguments before it, bound; the size of a movement is in the unit of its signal.

    Returns
    -------
    Value
        Any value of that unit.
    """
    if kind == "size":
        return next((v.value for v in before if isinstance(v, BoundSignal)), value)
    dimension, stated, unit = {
        "angle": (Dimension(angle=1), 1.0, "deg"),
        "frequency": (Dimension(time=-1), 1.0, "Hz"),
        "time": (Dimension(time=1), 1e-3, "ms"),
    }[kind]
    return Value(dimension, stated, unit, _nothing, "", 0)


def constant_fault(kind: str, value: Value, expected: Value) -> str:
    """Say what is wrong with a constant argument.

    Parameters
    ----------
    kind
        One of `CONSTANTS`.
    value
        The argument.
    expected
        A value of the unit that it must be in.

    Returns
    -------
    str
        The message; empty where nothing is wrong.
    """
    if value.constant is None or value.dimension != expected.dimension:
        return f"expected {KINDS[kind]}"
    if (kind == "frequency" and value.constant <= 0) or (kind == "size" and value.constant < 0):
        return f"expected {KINDS[kind]} above 0"
    if kind == "time" and not 0.0 < value.constant <= LONGEST_WINDOW_S:
        return f"expected a time above 0, up to {LONGEST_WINDOW_S:g} s"
    return ""


def bounds_of(quantity: Quantity, factor: float) -> tuple[float, float] | None:
    """Convert the bounds of a quantity to base units.

    Parameters
    ----------
    quantity
        The quantity.
    factor
        Base units in one of its unit.

    Returns
    -------
    tuple[float, float] | None
        Least and greatest value; None for any.
    """
    if quantity.bounds is None:
        return None
    return quantity.bounds[0] * factor, quantity.bounds[1] * factor


def may_lack_size(call: Call, quantity: Quantity) -> bool:
    """Tell whether a call leaves out the least amplitude of a phase, which may be left out.

    Parameters
    ----------
    call
        The call.
    quantity
        What is called.

    Returns
    -------
    bool
        Whether it does.
    """
    return quantity.arguments[-1:] == ("size",) and len(call.arguments) == len(quantity.arguments) - 1


def _nothing(samples: StateSamples) -> float:  # noqa: ARG001
    return 0.0
