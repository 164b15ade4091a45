"""Binding a parsed condition to the keypoints and zones of a run: every name, unit and kind checked.

What comes out are closures over numpy arrays, made once. Values are in base units (`rt_pose.rules.units`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.rules.bind_terms import Terms
from rt_pose.rules.comparison import CONTRARIES, SIGNS, closed_form, comparison_phrase
from rt_pose.rules.condition import Condition
from rt_pose.rules.parse import check_size, parse
from rt_pose.rules.predicate import (
    BoundPredicate,
    all_of,
    any_of,
    by_quadrature,
    complement,
    dependent_groups,
    deterministic,
    inside_box,
    inside_circle,
    inside_in_space,
    joint_probability,
)
from rt_pose.rules.quantities import find_quantity
from rt_pose.rules.samples import StateSamples
from rt_pose.rules.semantics import CURRENT, ONE_RIG
from rt_pose.rules.space import FRAME, AnyZone, Space
from rt_pose.rules.state_distribution import QuadraturePoints
from rt_pose.rules.tree import And, Call, Chain, Compare, Negative, Node, Not, Number, Or
from rt_pose.rules.unit_resolver import MetricScale
from rt_pose.rules.units import unit_of
from rt_pose.rules.value import FUNCTIONS, Value
from rt_pose.rules.zones import Box, Circle, Zone
from rt_pose.rules.zones_in_space import Cuboid, Sphere


def bind(
    text: str,
    keypoints: list[str],
    zones: Mapping[str, AnyZone],
    where: str,
    metric_scale: MetricScale | None = None,
    cameras: Sequence[str] = (),
    semantics: int = CURRENT,
    inputs: Sequence[str] = (),
    individuals: int | Sequence[str] = 1,
    space: Space = FRAME,
) -> Condition:
    """Parse a condition and bind it to the keypoints and zones of a run.

    Parameters
    ----------
    text
        The condition as written.
    keypoints
        Names of the model's keypoints, in their order.
    zones
        The configuration's zones by name.
    where
        Place of the condition in the configuration, for messages.
    metric_scale
        What the rig knows of millimetres; None for nothing.
    cameras
        Names of the run's cameras; empty where any name will do.
    semantics
        What the condition means: see `rt_pose.rules.semantics`.
    inputs
        Names of the configuration's inputs.
    individuals
        How many are tracked, or their names.
    space
        In what it is judged: the frames of cameras, or the space of a group of views.

    Returns
    -------
    Condition
        The condition, ready to be evaluated.

    Raises
    ------
    UserError
        Where it cannot be read or a name, unit or kind is wrong; with a caret under the place, and the
        nearest valid name.
    """
    if semantics >= ONE_RIG:
        check_size(text, where)
    terms = Terms(
        *(text, keypoints, zones, where, metric_scale or MetricScale()),
        *(cameras, semantics, inputs, individuals, space),
    )
    return _Binder(terms).whole(text, parse(text, where))


def is_number(text: str, where: str) -> bool:
    """Tell whether an expression of the rules' language is a number, such as `speed(nose)`, or a condition.

    Parameters
    ----------
    text
        The expression as written.
    where
        What it belongs to, for messages.

    Returns
    -------
    bool
        True for a number; False for a condition, or a word that the language does not have.

    Raises
    ------
    UserError
        Where it cannot be read.
    """
    check_size(text, where)
    match parse(text, where):
        case Number() | Negative() | Chain():
            return True
        case Call(name, _, _):
            quantity = find_quantity(name)
            return name in FUNCTIONS or (quantity is not None and quantity.unit is not None)
    return False


def bind_number(
    text: str,
    keypoints: list[str],
    zones: dict[str, Zone],
    where: str,
    metric_scale: MetricScale | None = None,
    cameras: Sequence[str] = (),
    inputs: Sequence[str] = (),
    individuals: int | Sequence[str] = 1,
) -> Condition:
    """Bind a number of the rules' language, to be shown and not compared.

    Lengths are in mm where the rig knows them, unless the expression itself is about px.

    Parameters
    ----------
    text
        The number as written, e.g. `speed(nose)` or `distance(nose, tail) / 2`.
    keypoints, zones, where, metric_scale, cameras, inputs, individuals
        As of `bind`.

    Returns
    -------
    Condition
        Its `measure` is the number, in its `unit`; it holds where the number is finite.

    Raises
    ------
    UserError
        As of `bind`.
    """
    check_size(text, where)
    tree, scale = parse(text, where), metric_scale or MetricScale()

    def bound(*, preferred: bool | None) -> Condition:
        terms = Terms(text, keypoints, zones, where, scale, cameras, CURRENT, inputs, individuals)
        metric = terms.units.is_metric(tree, zones=preferred is None)
        return _Binder(terms).number(text, tree, preferred if metric is None else metric)

    if scale.available:
        with suppress(UserError):  # it names a zone that cannot be brought to mm, or a number without a unit
            return bound(preferred=True)
    return bound(preferred=None)


class _Binder:
    def __init__(self, terms: Terms) -> None:
        self._terms, self._slots = terms, terms.keypoints.slots
        self._nodes: list[QuadraturePoints] = []

    def whole(self, text: str, tree: Node) -> Condition:
        terms = self._terms
        terms.keypoints.take_individuals(tree)
        predicate = self._predicate(tree)
        if terms.first is None:
            raise terms.error(0, "there is no quantity in it: it would always or never be true")
        _, measure, unit = terms.first
        return self._condition(text, predicate, measure, unit)

    def number(self, text: str, tree: Node, metric: bool | None) -> Condition:
        terms = self._terms
        terms.keypoints.take_individuals(tree)
        value = terms.value(tree, metric)
        if value.constant is not None:
            raise terms.error(0, "there is no quantity in it: it would always be the same")
        measure, factor = value.measure, value.stated

        def in_unit(samples: StateSamples) -> Any:
            return np.asarray(measure(samples)) / factor

        def finite(samples: StateSamples) -> Any:
            return np.isfinite(in_unit(samples))

        predicate = BoundPredicate(finite, deterministic(finite), value.slots, value.moving, value.says)
        return self._condition(
            text, predicate, in_unit, value.unit.replace("px", "mm") if metric else value.unit
        )

    def _condition(
        self, text: str, predicate: BoundPredicate, measure: Callable[[StateSamples], Any], unit: str
    ) -> Condition:
        """A condition with what its terms have asked for."""
        terms = self._terms
        return Condition(
            text,
            predicate,
            measure,
            unit,
            terms.keypoints.slots,
            tuple(sorted(terms.needed)),
            terms.memories,
            self._nodes,
            terms.keypoints.camera,
            tuple(terms.inputs),
            terms.keypoints.individual,
            terms.keypoints.joint,
            terms.keypoints.named,
            terms.keypoints.word,
            terms.keypoints.without,
            terms.keypoints.pair,
            terms.space.axes,
        )

    def _predicate(self, node: Node, denied: bool = False) -> BoundPredicate:
        """A condition, or that it is not so: then what holds is the contrary of each of its comparisons, so
        that what is not known (NaN) is neither. Its clause says the condition itself."""
        match node:
            case And(parts):
                return self._join(parts, " and ", denied)
            case Or(parts):
                return self._join(parts, " or ", denied)
            case Not(inner):
                return self._negation(inner, denied)
            case Compare():
                return self._comparison(node, denied)
            case Call():
                return self._truth_quantity(node, denied)
        raise self._terms.error(
            node.place, "a number stands where a condition is meant: compare it, e.g. ... > 100"
        )

    def _negation(self, inner: Node, denied: bool) -> BoundPredicate:
        if self._terms.only_known:
            predicate = self._predicate(inner, not denied)
            return replace(predicate, says=f"it is not so that {predicate.says}")
        predicate = self._predicate(inner)
        holds = predicate.holds
        return replace(
            predicate,
            holds=lambda m: np.logical_not(holds(m)),
            probability=complement(predicate.probability),
            says=f"it is not so that {predicate.says}",
        )

    def _join(self, nodes: tuple[Node, ...], word: str, denied: bool) -> BoundPredicate:
        parts = [self._predicate(node, denied) for node in nodes]
        every = (word == " and ") != denied
        merge, independent = (np.logical_and, all_of) if every else (np.logical_or, any_of)
        probabilities = []
        for group in dependent_groups(parts, lambda s: self._slots[s].keypoints):
            if len(group) == 1:
                probabilities.append(group[0].probability)
            elif all(part.exact for part in group):
                probabilities.append(joint_probability(group, self._new_nodes(group, half=True), every=every))
            else:
                probabilities.append(
                    self._by_quadrature(_merged(group, merge), _slots(group), _moving(group))
                )
        says = word.join(f"({p.says})" if p.compound else p.says for p in parts)
        probability = probabilities[0] if len(probabilities) == 1 else independent(probabilities)
        exact = len(probabilities) == len(parts) and all(part.exact for part in parts)
        return BoundPredicate(
            _merged(parts, merge), probability, _slots(parts), _moving(parts), says, exact, compound=True
        )

    def _new_nodes(self, group: list[BoundPredicate], *, half: bool) -> QuadraturePoints:
        nodes = QuadraturePoints(self._slots, _slots(group), _moving(group), half, self._terms.space.axes)
        self._nodes.append(nodes)
        return nodes

    def _by_quadrature(
        self, holds: Callable[[StateSamples], Any], slots: frozenset[int], moving: frozenset[int]
    ) -> Callable[..., float]:
        if not slots:
            return deterministic(holds)
        nodes = QuadraturePoints(self._slots, slots, moving, axes=self._terms.space.axes)
        self._nodes.append(nodes)
        return by_quadrature(holds, nodes)

    def _compared(self, node: Compare) -> list[Value]:
        """The compared values in one unit."""
        metric = self._terms.units.is_metric(node)
        values = [self._terms.value(operand, metric) for operand in node.operands]
        settled = next((v for v in values if not v.bare), values[0])
        for i, value in enumerate(values):
            if value.bare and not settled.bare:
                values[i] = self._terms.with_unit_of(value, settled, metric)
            elif value.dimension != settled.dimension:
                raise self._terms.error(
                    value.place, f"cannot compare {settled.unit_name} with {value.unit_name}"
                )
        self._note_units(node, values)
        self._check_bounds(values)
        return values

    def _comparison(self, node: Compare, denied: bool) -> BoundPredicate:
        values = self._compared(node)
        signs, merge = (CONTRARIES, np.logical_or) if denied else (SIGNS, np.logical_and)
        compares = [
            (signs[sign], values[i].measure, values[i + 1].measure) for i, sign in enumerate(node.signs)
        ]

        def holds(samples: StateSamples) -> Any:
            compare, left, right = compares[0]
            result = compare(left(samples), right(samples))
            for compare, left, right in compares[1:]:
                result = merge(result, compare(left(samples), right(samples)))
            return result

        slots = frozenset().union(*(v.slots for v in values))
        moving = frozenset().union(*(v.moving for v in values))
        closed = closed_form(values, node.signs, strict=self._terms.circular) if slots else None
        if closed is not None and denied:
            closed = complement(closed)
        closed = closed if slots else deterministic(holds)
        probability = closed or self._by_quadrature(holds, slots, moving)
        says = comparison_phrase(values, node.signs)
        return BoundPredicate(
            holds, probability, slots, moving, says, closed is not None, compound=len(values) > 2
        )

    def _check_bounds(self, values: list[Value]) -> None:
        """Refuse what cannot depend on the animal, and an order of angles on the circle, which has none."""
        for left, right in pairwise(values):
            if left.circular and right.circular:
                raise self._terms.error(
                    right.place,
                    "two angles on the circle have no order: compare their difference, which wraps, e.g. "
                    "abs(heading(a, b) - heading(a, c)) < 30 deg",
                )
            for value, limit in ((left, right), (right, left)):
                if limit.constant is not None and value.beyond(limit.constant):
                    raise self._terms.error(limit.place, _beyond(value, limit))

    def _note_units(self, node: Compare, values: list[Value]) -> None:
        """Report the first quantity in the unit that it is compared in."""
        written = next((o.unit for o in node.operands if isinstance(o, Number) and o.unit), "")
        unit = unit_of(written)
        alone = next((o for o in node.operands if isinstance(o, Call)), None)
        if unit is None or alone is None or self._terms.first is None or self._terms.first[0] != alone.place:
            return
        value, factor = values[node.operands.index(alone)], unit.factor
        self._terms.first = (alone.place, lambda m: np.asarray(value.measure(m)) / factor, written)

    def _truth_quantity(self, call: Call, denied: bool) -> BoundPredicate:
        if call.name in FUNCTIONS:
            raise self._terms.error(call.place, f"{call.name}(...) is a number: compare it, e.g. ... > 100")
        quantity = self._terms.quantity(call)
        if quantity.unit is not None:
            unit = quantity.unit or "a plain number"
            raise self._terms.error(
                call.place, f"{call.name} is a number in {unit}: compare it, e.g. {call.name}(...) > 100"
            )
        measure, bound = self._terms.bind_measure(quantity, call, self._terms.units.is_metric(call))
        self._terms.note_first(call.place, measure, self._terms.units.unit_name("px", call))

        compare = np.less if denied else np.greater_equal

        def holds(samples: StateSamples) -> Any:
            return compare(measure(samples), 0.0)

        moving = bound.slots if quantity.moving else frozenset()
        match bound.values:
            case (int() as slot, Circle() as zone) if quantity.name == "inside":
                probability = inside_circle(slot, zone)
            case (int() as slot, Box() as zone) if quantity.name == "inside":
                probability = inside_box(slot, zone)
            case (int() as slot, (Sphere() | Cuboid()) as zone):
                probability = inside_in_space(slot, zone)
            case _:
                probability = self._by_quadrature(holds, bound.slots, moving)
        exact = isinstance(bound.values[-1], Circle | Box | Sphere | Cuboid) and quantity.name == "inside"
        if exact and denied:
            probability = complement(probability)
        return BoundPredicate(
            holds, probability, bound.slots, moving, quantity.says.format(*bound.says), exact
        )


def _beyond(value: Value, limit: Value) -> str:
    assert value.bounds is not None
    low, high = (bound / limit.stated for bound in value.bounds)
    unit = f" {limit.unit}".rstrip()
    message = f"{value.says} lies between {low:g} and {high:g}{unit}, never at {limit.says}"
    if value.circular:
        message += "; for a range across its end compare a difference, which wraps, e.g. "
        message += "abs(heading(tail, nose) - 180 deg) < 10 deg"
    return message


def _merged(parts: list[BoundPredicate], merge: Callable[[Any, Any], Any]) -> Callable[[StateSamples], Any]:
    functions = [part.holds for part in parts]

    def holds(samples: StateSamples) -> Any:
        result = functions[0](samples)
        for function in functions[1:]:
            result = merge(result, function(samples))
        return result

    return holds


def _slots(parts: list[BoundPredicate]) -> frozenset[int]:
    return frozenset().union(*(part.slots for part in parts))


def _moving(parts: list[BoundPredicate]) -> frozenset[int]:
    return frozenset().union(*(part.moving for part in parts))
