"""Binding a parsed condition to the keypoints and zones of a run: every name, unit and kind checked.

What comes out are closures over numpy arrays, made once. Values are in base units (`rt_pose.rules.units`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rt_pose.errors import UserError, nearest
from rt_pose.rules.belief import Nodes
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
    of_form,
    together,
)
from rt_pose.rules.condition import Condition
from rt_pose.rules.forms import Linear
from rt_pose.rules.frame import Frames, Measures
from rt_pose.rules.memory import Signal
from rt_pose.rules.moment import Moment, Slot
from rt_pose.rules.parse import parse
from rt_pose.rules.quantities import KINDS, Quantity, find_quantity, quantity_names
from rt_pose.rules.tokens import complain
from rt_pose.rules.tree import And, Call, Chain, Compare, Name, Negative, Node, Not, Number, Or
from rt_pose.rules.units import Dimension, unit_of
from rt_pose.rules.value import FUNCTIONS, Value, adopt, apply, chain, negative, number, plain
from rt_pose.rules.zones import Box, Circle, Line, Point, Polygon, Zone

_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_SAID = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class _Bound:
    """Arguments of a call, bound."""

    values: tuple[Any, ...]
    says: tuple[str, ...]
    slots: frozenset[int]


def bind(
    text: str, keypoints: list[str], zones: dict[str, Zone], where: str, measures: Measures | None = None
) -> Condition:
    """The condition `text`; UserError with a caret under a wrong name and the nearest valid one."""
    return _Binder(text, keypoints, zones, where, measures or Measures()).whole()


class _Binder:
    def __init__(
        self, text: str, keypoints: list[str], zones: dict[str, Zone], where: str, measures: Measures
    ) -> None:
        self._text, self._keypoints, self._zones, self._where = text, keypoints, zones, where
        self._frames = Frames(text, where, zones, measures)
        self._slots: list[Slot] = []
        self._memories: list[Callable[[], Any]] = []
        self._nodes: list[Nodes] = []
        self._needed: set[int] = set()
        self._first: tuple[int, Callable[[Moment], Any], str] | None = None
        """(place, measure, unit) of the quantity that stands first."""

    def whole(self) -> Condition:
        truth = self._truth(parse(self._text, self._where))
        if self._first is None:
            raise self._error(0, "there is no quantity in it: it would always or never be true")
        _, measure, unit = self._first
        return Condition(
            self._text,
            truth,
            measure,
            unit,
            self._slots,
            tuple(sorted(self._needed)),
            self._memories,
            self._nodes,
        )

    def _error(self, place: int, message: str) -> UserError:
        return complain(self._text, place, message, self._where)

    # ------------------------------------------------------------ conditions

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
        raise self._error(
            node.place, "a number stands where a condition is meant: compare it, e.g. ... > 100"
        )

    def _joined(self, nodes: tuple[Node, ...], word: str) -> Truth:
        parts = [self._truth(node) for node in nodes]
        every = word == " and "
        merge, independent = (np.logical_and, all_of) if every else (np.logical_or, any_of)
        chances = []
        for group in together(parts, lambda s: self._slots[s].keypoint):
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
        nodes = Nodes(self._slots, _slots(group), _moving(group), half)
        self._nodes.append(nodes)
        return nodes

    def _by_nodes(
        self, holds: Callable[[Moment], Any], slots: frozenset[int], moving: frozenset[int]
    ) -> Callable[..., float]:
        if not slots:
            return certain(holds)
        nodes = Nodes(self._slots, slots, moving)
        self._nodes.append(nodes)
        return by_nodes(holds, nodes)

    def _comparison(self, node: Compare) -> Truth:
        metric = self._frames.of(node)
        values = [self._value(operand, metric) for operand in node.operands]
        settled = next((v for v in values if not v.bare), values[0])
        for i, value in enumerate(values):
            if value.bare and not settled.bare:
                values[i] = self._adopted(value, settled, metric)
            elif value.dimension != settled.dimension:
                raise self._error(value.place, f"cannot compare {settled.said_unit} with {value.said_unit}")
        self._note_units(node, values)
        compares = [
            (_SIGNS[sign], values[i].measure, values[i + 1].measure) for i, sign in enumerate(node.signs)
        ]

        def holds(moment: Moment) -> Any:
            compare, left, right = compares[0]
            result = compare(left(moment), right(moment))
            for compare, left, right in compares[1:]:
                result = np.logical_and(result, compare(left(moment), right(moment)))
            return result

        slots = frozenset().union(*(v.slots for v in values))
        moving = frozenset().union(*(v.moving for v in values))
        closed = _closed(values, node.signs) if slots else certain(holds)
        chance = closed or self._by_nodes(holds, slots, moving)
        says = _said(values, node.signs)
        return Truth(holds, chance, slots, moving, says, closed is not None, joined=len(values) > 2)

    def _note_units(self, node: Compare, values: list[Value]) -> None:
        """The first quantity is told in the unit that it is compared in."""
        written = next((o.unit for o in node.operands if isinstance(o, Number) and o.unit), "")
        unit = unit_of(written)
        alone = next((o for o in node.operands if isinstance(o, Call)), None)
        if unit is None or alone is None or self._first is None or self._first[0] != alone.place:
            return
        value, factor = values[node.operands.index(alone)], unit.factor
        self._first = (alone.place, lambda m: np.asarray(value.measure(m)) / factor, written)

    def _bare(self, call: Call) -> Truth:
        if call.name in FUNCTIONS:
            raise self._error(call.place, f"{call.name}(...) is a number: compare it, e.g. ... > 100")
        quantity = self._quantity(call)
        if quantity.unit is not None:
            unit = quantity.unit or "a plain number"
            raise self._error(
                call.place, f"{call.name} is a number in {unit}: compare it, e.g. {call.name}(...) > 100"
            )
        measure, bound = self._measured(quantity, call, self._frames.of(call))
        self._note_first(call.place, measure, self._frames.length_unit(call))

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

    # ------------------------------------------------------------ numbers

    def _value(self, node: Node, metric: bool | None) -> Value:
        match node:
            case Number():
                return number(node)
            case Negative(inner, place):
                return negative(self._value(inner, metric), place)
            case Chain(operands, signs, place):
                return self._chained(operands, signs, place, metric)
            case Call(name, arguments, place) if name in FUNCTIONS:
                return self._function(name, arguments, place, metric)
            case Call():
                return self._quantity_value(node, metric)
            case Name(text, place):
                raise self._error(place, f"expected a number or a quantity, got the name '{text}'")
        raise self._error(node.place, "a condition stands where a number is meant")

    def _chained(
        self, operands: tuple[Node, ...], signs: tuple[str, ...], place: int, metric: bool | None
    ) -> Value:
        values = [self._value(operand, metric) for operand in operands]
        if signs[0] in "+-":
            values = self._alike(values, metric)
        for sign, value in zip(signs, values[1:], strict=True):
            if sign == "/" and value.constant == 0.0:
                raise self._error(value.place, "a division by 0")
        joined = chain(values, signs, place)
        if joined.constant is not None and not math.isfinite(joined.constant):
            raise self._error(place, "too large a number")
        return joined

    def _alike(self, values: list[Value], metric: bool | None) -> list[Value]:
        """Plain numbers take the unit of what they meet; the rest must have the same dimension."""
        settled = next((v for v in values if not v.bare), None)
        if settled is None:
            return values
        alike = [self._adopted(v, settled, metric) if v.bare else v for v in values]
        for value in alike:
            if value.dimension != settled.dimension:
                raise self._error(
                    value.place, f"{settled.said_unit} and {value.said_unit} do not go together"
                )
        return alike

    def _adopted(self, value: Value, settled: Value, metric: bool | None) -> Value:
        if metric and settled.dimension.length:
            unit = settled.dimension.text(metric=True)
            raise self._error(value.place, f"a number without a unit among mm: write e.g. `20 {unit}`")
        return adopt(value, settled)

    def _function(self, name: str, arguments: tuple[Node, ...], place: int, metric: bool | None) -> Value:
        fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            expected = "one number" if most == 1 else "two numbers or more"
            raise self._error(place, f"{name} takes {expected}, got {len(arguments)}")
        values = self._alike([self._value(argument, metric) for argument in arguments], metric)
        return apply(name, values, place)

    def _quantity_value(self, call: Call, metric: bool | None) -> Value:
        quantity = self._quantity(call)
        if quantity.unit is None:
            raise self._error(call.place, f"{call.name} is true or false, it cannot be compared")
        measure, bound = self._measured(quantity, call, metric)
        value = self._stated(quantity, call, measure, bound)
        factor = value.stated
        self._note_first(call.place, lambda m: np.asarray(value.measure(m)) / factor, value.unit)
        return value

    def _stated(self, quantity: Quantity, call: Call, measure: Callable[..., Any], bound: _Bound) -> Value:
        says = quantity.says.format(*bound.says)
        if quantity.unit == "signal":
            followed = next(v for v in bound.values if isinstance(v, _Followed))
            return plain(followed.dimension, 1.0, followed.unit, measure, says, call.place)
        unit = unit_of(quantity.unit or "")
        if quantity.unit and unit is None:
            raise self._error(
                call.place, f"{call.name}: its package states an unknown unit '{quantity.unit}'"
            )
        factor = 1.0 if unit is None else unit.factor
        scaled = measure if factor == 1.0 else lambda m: measure(m) * factor
        form = quantity.form(*bound.values) if quantity.form else None
        return Value(
            dimension=Dimension() if unit is None else unit.dimension,
            stated=factor,
            unit=self._frames.renamed(quantity.unit or "", call),
            measure=scaled,
            says=says,
            place=call.place,
            form=form,
            slots=bound.slots,
            moving=bound.slots if quantity.moving else frozenset(),
        )

    # ------------------------------------------------------------ quantities

    def _quantity(self, call: Call) -> Quantity:
        quantity = find_quantity(call.name)
        if quantity is None:
            hint = nearest(call.name, [*quantity_names(), *FUNCTIONS])
            raise self._error(call.place, f"unknown quantity '{call.name}'{hint}")
        if len(call.arguments) != len(quantity.arguments) and not _may_lack_size(call, quantity):
            expected = ", ".join(quantity.arguments)
            raise self._error(
                call.place, f"{call.name} takes ({expected}), got {len(call.arguments)} argument(s)"
            )
        return quantity

    def _note_first(self, place: int, measure: Callable[[Moment], Any], unit: str) -> None:
        if self._first is None or place < self._first[0]:
            self._first = (place, measure, unit)

    def _measured(
        self, quantity: Quantity, call: Call, metric: bool | None
    ) -> tuple[Callable[[Moment], Any], _Bound]:
        metric = self._frames.settle(metric, quantity)
        values: list[Any] = []
        says: list[str] = []
        for kind, argument in zip(quantity.arguments, call.arguments, strict=False):
            value, said = self._argument(kind, argument, metric, values)
            values.append(value)
            says.append(said)
        says += ["any"] * (len(quantity.arguments) - len(says))
        slots = {
            v
            for v, k in zip(values, quantity.arguments, strict=False)
            if k in ("keypoint", "place") and isinstance(v, int)
        }
        if quantity.random:
            self._needed |= {self._slots[s].keypoint for s in slots}
        bound = _Bound(tuple(values), tuple(says), frozenset(slots) if quantity.random else frozenset())
        function = quantity.measure
        if quantity.memory is None:
            return (lambda moment: function(moment, *values)), bound
        make, place = quantity.memory, len(self._memories)
        kept = [v.signal if isinstance(v, _Followed) else v for v in values]
        self._memories.append(lambda: make(*kept))
        return (lambda moment: function(moment, moment.memories[place])), bound

    def _argument(self, kind: str, node: Node, metric: bool, before: list[Any]) -> tuple[Any, str]:
        if kind == "signal":
            return self._signal(node, metric)
        if kind in ("angle", "frequency", "size"):
            return self._constant(kind, node, metric, before)
        if not isinstance(node, Name):
            raise self._error(node.place, f"expected {KINDS[kind]}, got a number or condition")
        if kind == "side":
            if node.text not in SIDES:
                hint = nearest(node.text, SIDES)
                raise self._error(node.place, f"expected left or right, got '{node.text}'{hint}")
            return node.text, node.text
        if kind == "keypoint" or (kind == "place" and node.text in self._keypoints):
            return self._slot(node, metric), node.text
        return self._zone(kind, node, metric), node.text

    def _slot(self, node: Name, metric: bool) -> int:
        if node.text not in self._keypoints:
            raise self._unknown("keypoint", node, self._keypoints)
        slot = Slot(self._keypoints.index(node.text), metric)
        if slot not in self._slots:
            self._slots.append(slot)
        return self._slots.index(slot)

    def _zone(self, kind: str, node: Name, metric: bool) -> Zone:
        if node.text not in self._zones:
            valid = [*self._zones, *(self._keypoints if kind == "place" else ())]
            raise self._unknown("keypoint or zone" if kind == "place" else "zone", node, valid)
        zone = self._zones[node.text]
        fits = {"zone": (Circle, Box, Polygon), "line": (Line,), "place": (Circle, Box, Polygon, Line, Point)}
        if not isinstance(zone, fits[kind]):
            raise self._error(
                node.place, f"expected {KINDS[kind]}, but '{node.text}' is a {type(zone).__name__.lower()}"
            )
        return self._frames.zone_in(zone, metric, node)

    def _signal(self, node: Node, metric: bool) -> tuple[_Followed, str]:
        value = self._value(node, metric)
        if value.constant is not None or not value.slots:
            raise self._error(node.place, f"expected {KINDS['signal']}")
        signal = Signal(value.measure, tuple(value.slots))
        return _Followed(signal, value.dimension, value.unit, value), value.says

    def _constant(self, kind: str, node: Node, metric: bool, before: list[Any]) -> tuple[float, str]:
        value = self._value(node, metric)
        like = {
            "angle": plain(Dimension(angle=1), 1.0, "deg", _nothing, "", 0),
            "frequency": plain(Dimension(time=-1), 1.0, "Hz", _nothing, "", 0),
            "size": next((v.value for v in before if isinstance(v, _Followed)), value),
        }[kind]
        if value.bare:
            value = self._adopted(value, like, metric)
        if value.constant is None or value.dimension != like.dimension:
            raise self._error(node.place, f"expected {KINDS[kind]}")
        if (kind == "frequency" and value.constant <= 0) or (kind == "size" and value.constant < 0):
            raise self._error(node.place, f"expected {KINDS[kind]} above 0")
        return value.constant, value.says

    def _unknown(self, kind: str, node: Name, valid: list[str]) -> UserError:
        hint = nearest(node.text, valid) if valid else f"; the configuration has no {kind}s"
        return self._error(node.place, f"unknown {kind} '{node.text}'{hint}")


@dataclass(frozen=True, slots=True)
class _Followed:
    """A bound signal and what it is in."""

    signal: Signal
    dimension: Dimension
    unit: str
    value: Value


def _nothing(moment: Moment) -> float:  # noqa: ARG001
    return 0.0


def _may_lack_size(call: Call, quantity: Quantity) -> bool:
    """The least amplitude of a phase may be left out."""
    return quantity.arguments[-1:] == ("size",) and len(call.arguments) == len(quantity.arguments) - 1


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


def _closed(values: list[Value], signs: tuple[str, ...]) -> Callable[..., float] | None:
    """The closed form of constants around one value with a form, or of two linear values; None without."""
    if len(values) == 2 and all(isinstance(v.form, Linear) for v in values):
        left, right = values[0].form, values[1].form
        assert isinstance(left, Linear)
        assert isinstance(right, Linear)
        difference = left.plus(right, -1.0)
        low, high = (0.0, math.inf) if signs[0][0] == ">" else (-math.inf, 0.0)
        return of_form(difference, low, high)
    at = [i for i, v in enumerate(values) if v.constant is None]
    if len(at) != 1 or len(values) > 3 or (len(values) == 3 and at != [1]):
        return None
    form = values[at[0]].form
    if form is None:
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
    return of_form(form, low, high)


def _said(values: list[Value], signs: tuple[str, ...]) -> str:
    if len(values) == 3 and values[1].constant is None and signs[0][0] == signs[1][0] == "<":
        low, middle, high = values
        above = f"{_SAID[_MIRRORED[signs[0]]]} {low.says}"
        return f"{middle.says} is {above} and {_SAID[signs[1]]} {high.says}"
    clauses = []
    for i, sign in enumerate(signs):
        left, right, said = values[i], values[i + 1], _SAID[sign]
        if left.constant is not None and right.constant is None:
            left, right, said = right, left, _SAID[_MIRRORED[sign]]
        clauses.append(f"{left.says} is {said} {right.says}")
    return " and ".join(clauses)
