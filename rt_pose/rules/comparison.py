"""Comparisons of bound values: what they are called, and their probability where it has a closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rt_pose.rules.closed_forms import Form, Linear
from rt_pose.rules.predicate import form_probability
from rt_pose.rules.value import Value

SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
CONTRARIES: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.greater_equal,
    "<=": np.greater,
    ">": np.less_equal,
    ">=": np.less,
}
"""What is true where a comparison is false; of NaN neither is."""
_PHRASES = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def closed_form(
    values: list[Value], signs: tuple[str, ...], strict: bool = True
) -> Callable[..., float] | None:
    """Find the closed form of a comparison.

    There is one for constants around one value with a form, and for two linear values.

    Parameters
    ----------
    values
        The compared values, in base units.
    signs
        The comparisons between them, one fewer.
    strict
        Whether what is certain, such as `x(nose) - x(nose)`, has none, so that its signs are heeded.

    Returns
    -------
    Callable[..., float] | None
        Probability of the comparison under a state distribution; None where it has no closed form.
    """
    if len(values) == 2 and all(isinstance(v.form, Linear) for v in values):
        left, right = values[0].form, values[1].form
        assert isinstance(left, Linear)
        assert isinstance(right, Linear)
        difference = left.plus(right, -1.0)
        if strict and _is_certain(difference):
            return None
        low, high = (0.0, math.inf) if signs[0][0] == ">" else (-math.inf, 0.0)
        return form_probability(difference, low, high)
    at = [i for i, v in enumerate(values) if v.constant is None]
    if len(at) != 1 or len(values) > 3 or (len(values) == 3 and at != [1]):
        return None
    form = values[at[0]].form
    if form is None or (strict and _is_certain(form)):
        return None
    low, high = -math.inf, math.inf
    for i, sign in enumerate(signs):
        # As `form SIGN constant`.
        constant = values[i + 1].constant if i == at[0] else values[i].constant
        direction = sign if i == at[0] else _MIRRORED[sign]
        assert constant is not None
        if direction[0] == ">":
            low = max(low, constant)
        else:
            high = min(high, constant)
    return form_probability(form, low, high)


def _is_certain(form: Form) -> bool:
    parts = (form,) if isinstance(form, Linear) else form.parts
    return not any(weight for part in parts for weight in part.weights.values())


def comparison_phrase(values: list[Value], signs: tuple[str, ...]) -> str:
    """Format a comparison as a clause.

    Parameters
    ----------
    values
        The compared values.
    signs
        The comparisons between them, one fewer.

    Returns
    -------
    str
        Such as `the speed of nose is above 100 px/s`.
    """
    if len(values) == 3 and values[1].constant is None and signs[0][0] == signs[1][0] == "<":
        low, middle, high = values
        above = f"{_PHRASES[_MIRRORED[signs[0]]]} {low.says}"
        return f"{middle.says} is {above} and {_PHRASES[signs[1]]} {high.says}"
    clauses = []
    for i, sign in enumerate(signs):
        left, right, word = values[i], values[i + 1], _PHRASES[sign]
        if left.constant is not None and right.constant is None:
            left, right, word = right, left, _PHRASES[_MIRRORED[sign]]
        clauses.append(f"{left.says} is {word} {right.says}")
    return " and ".join(clauses)
