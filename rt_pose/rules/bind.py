"""Binding a parsed condition to the keypoints and zones of a run: every name, unit and kind checked.

What comes out are closures over numpy arrays, made once. Values are in base units (`rt_pose.rules.units`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rt_pose.rules.belief import Nodes
from rt_pose.rules.bind_terms import Terms
from rt_pose.rules.chance import (
    Truth,
    all_of,
    any_of,
    by_nodes,
    certain,
    inside_box,
    inside_circle,
    jointly,
    negated,
    together,
)
from rt_pose.rules.comparison import SIGNS, closed_form, said
from rt_pose.rules.condition import Condition
from rt_pose.rules.frame import Measures
from rt_pose.rules.moment import Moment
from rt_pose.rules.parse import parse
from rt_pose.rules.tree import And, Call, Compare, Node, Not, Number, Or
from rt_pose.rules.units import unit_of
from rt_pose.rules.value import FUNCTIONS, Value
from rt_pose.rules.zones import Box, Circle, Zone


def bind(
    text: str, keypoints: list[str], zones: dict[str, Zone], where: str, measures: Measures | None = None
) -> Condition:
    """The condition `text`; UserError with a caret under a wrong name and the nearest valid one."""
    terms = Terms(text, keypoints, zones, where, measures or Measures())
    return _Binder(text, where, terms).whole()


class _Binder:
    def __init__(self, text: str, where: str, terms: Terms) -> None:
        self._text, self._where, self._terms = text, where, terms
        self._nodes: list[Nodes] = []

    def whole(self) -> Condition:
        terms = self._terms
        truth = self._truth(parse(self._text, self._where))
        if terms.first is None:
            raise terms.error(0, "there is no quantity in it: it would always or never be true")
        _, measure, unit = terms.first
        return Condition(
            self._text,
            truth,
            measure,
            unit,
            terms.slots,
            tuple(sorted(terms.needed)),
            terms.memories,
            self._nodes,
        )

    def _truth(self, node: Node) -> Truth:
        match node:
            case And(parts):
                return self._joined(parts, " and ")
            case Or(parts):
                return self._joined(parts, " or ")
            case Not(inner):
                truth = self._truth(inner)
                holds = truth.holds
                says = f"it is not so that {truth.says}"
                return Truth(
                    lambda m: np.logical_not(holds(m)),
                    negated(truth.chance),
                    truth.slots,
                    truth.moving,
                    says,
                    truth.exact,
                    truth.joined,
                )
            case Compare():
                return self._comparison(node)
            case Call():
                return self._bare(node)
        raise self._terms.error(
            node.place, "a number stands where a condition is meant: compare it, e.g. ... > 100"
        )

    def _joined(self, nodes: tuple[Node, ...], word: str) -> Truth:
        parts = [self._truth(node) for node in nodes]
        every = word == " and "
        merge, independent = (np.logical_and, all_of) if every else (np.logical_or, any_of)
        chances = []
        for group in together(parts, lambda s: self._terms.slots[s].keypoint):
            if len(group) == 1:
                chances.append(group[0].chance)
            elif all(part.exact for part in group):
                chances.append(jointly(group, self._new_nodes(group, half=True), every=every))
            else:
                chances.append(self._by_nodes(_merged(group, merge), _slots(group), _moving(group)))
        says = word.join(f"({p.says})" if p.joined else p.says for p in parts)
        chance = chances[0] if len(chances) == 1 else independent(chances)
        exact = len(chances) == len(parts) and all(part.exact for part in parts)
        return Truth(_merged(parts, merge), chance, _slots(parts), _moving(parts), says, exact, joined=True)

    def _new_nodes(self, group: list[Truth], *, half: bool) -> Nodes:
        nodes = Nodes(self._terms.slots, _slots(group), _moving(group), half)
        self._nodes.append(nodes)
        return nodes

    def _by_nodes(
        self, holds: Callable[[Moment], Any], slots: frozenset[int], moving: frozenset[int]
    ) -> Callable[..., float]:
        if not slots:
            return certain(holds)
        nodes = Nodes(self._terms.slots, slots, moving)
        self._nodes.append(nodes)
        return by_nodes(holds, nodes)

    def _comparison(self, node: Compare) -> Truth:
        metric = self._terms.frames.of(node)
        values = [self._terms.value(operand, metric) for operand in node.operands]
        settled = next((v for v in values if not v.bare), values[0])
        for i, value in enumerate(values):
            if value.bare and not settled.bare:
                values[i] = self._terms.adopted(value, settled, metric)
            elif value.dimension != settled.dimension:
                raise self._terms.error(
                    value.place, f"cannot compare {settled.said_unit} with {value.said_unit}"
                )
        self._note_units(node, values)
        compares = [
            (SIGNS[sign], values[i].measure, values[i + 1].measure) for i, sign in enumerate(node.signs)
        ]

        def holds(moment: Moment) -> Any:
            compare, left, right = compares[0]
            result = compare(left(moment), right(moment))
            for compare, left, right in compares[1:]:
                result = np.logical_and(result, compare(left(moment), right(moment)))
            return result

        slots = frozenset().union(*(v.slots for v in values))
        moving = frozenset().union(*(v.moving for v in values))
        closed = closed_form(values, node.signs) if slots else certain(holds)
        chance = closed or self._by_nodes(holds, slots, moving)
        says = said(values, node.signs)
        return Truth(holds, chance, slots, moving, says, closed is not None, joined=len(values) > 2)

    def _note_units(self, node: Compare, values: list[Value]) -> None:
        """The first quantity is told in the unit that it is compared in."""
        written = next((o.unit for o in node.operands if isinstance(o, Number) and o.unit), "")
        unit = unit_of(written)
        alone = next((o for o in node.operands if isinstance(o, Call)), None)
        if unit is None or alone is None or self._terms.first is None or self._terms.first[0] != alone.place:
            return
        value, factor = values[node.operands.index(alone)], unit.factor
        self._terms.first = (alone.place, lambda m: np.asarray(value.measure(m)) / factor, written)

    def _bare(self, call: Call) -> Truth:
        if call.name in FUNCTIONS:
            raise self._terms.error(call.place, f"{call.name}(...) is a number: compare it, e.g. ... > 100")
        quantity = self._terms.quantity(call)
        if quantity.unit is not None:
            unit = quantity.unit or "a plain number"
            raise self._terms.error(
                call.place, f"{call.name} is a number in {unit}: compare it, e.g. {call.name}(...) > 100"
            )
        measure, bound = self._terms.measured(quantity, call, self._terms.frames.of(call))
        self._terms.note_first(call.place, measure, self._terms.frames.length_unit(call))

        def holds(moment: Moment) -> Any:
            return np.greater_equal(measure(moment), 0.0)

        moving = bound.slots if quantity.moving else frozenset()
        match bound.values:
            case (int() as slot, Circle() as zone) if quantity.name == "inside":
                chance = inside_circle(slot, zone)
            case (int() as slot, Box() as zone) if quantity.name == "inside":
                chance = inside_box(slot, zone)
            case _:
                chance = self._by_nodes(holds, bound.slots, moving)
        exact = isinstance(bound.values[-1], Circle | Box) and quantity.name == "inside"
        return Truth(holds, chance, bound.slots, moving, quantity.says.format(*bound.says), exact)


def _merged(parts: list[Truth], merge: Callable[[Any, Any], Any]) -> Callable[[Moment], Any]:
    functions = [part.holds for part in parts]

    def holds(moment: Moment) -> Any:
        result = functions[0](moment)
        for function in functions[1:]:
            result = merge(result, function(moment))
        return result

    return holds


def _slots(parts: list[Truth]) -> frozenset[int]:
    return frozenset().union(*(part.slots for part in parts))


def _moving(parts: list[Truth]) -> frozenset[int]:
    return frozenset().union(*(part.moving for part in parts))
