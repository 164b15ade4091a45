"""Binding the numbers of a condition: quantities of keypoints and zones, units, and arithmetic on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from rt_pose.errors import UserError, nearest
from rt_pose.rules.bind_arguments import (
    CONSTANTS,
    BoundArguments,
    BoundSignal,
    bounds_of,
    constant_fault,
    expected_unit,
    may_lack_size,
)
from rt_pose.rules.keypoint_name import CENTROID
from rt_pose.rules.keypoint_slots import KeypointSlots
from rt_pose.rules.memory import LineCrossing, Memory, Signal
from rt_pose.rules.quantity import Quantity
from rt_pose.rules.samples import StateSamples
from rt_pose.rules.semantics import CURRENT, KNOWN, ONE_RIG, POSSIBLE
from rt_pose.rules.space import FRAME, AnyZone, Space, shape_name
from rt_pose.rules.tokens import condition_error
from rt_pose.rules.tree import Call, Chain, Name, Negative, Node, Number
from rt_pose.rules.unit_resolver import MetricScale
from rt_pose.rules.units import Dimension, unit_of
from rt_pose.rules.value import FUNCTIONS, TURN_DEG, Value, adopt, apply, chain, negative, number
from rt_pose.rules.zones_in_space import Cuboid, SpatialPoint, Sphere

SIDES = ("left", "right")


class Terms:
    """Binds the numbers of one condition, and gathers what it will need of each frame."""

    def __init__(
        self,
        text: str,
        keypoints: list[str],
        zones: Mapping[str, AnyZone],
        where: str,
        metric_scale: MetricScale,
        cameras: Sequence[str] = (),
        semantics: int = CURRENT,
        inputs: Sequence[str] = (),
        individuals: int | Sequence[str] = 1,
        space: Space = FRAME,
    ) -> None:
        """Begin with nothing bound.

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
            What the rig knows of millimetres.
        cameras
            Names of the run's cameras; empty where any name will do.
        semantics
            What the condition means: see `rt_pose.rules.semantics`.
        inputs
            Names of the configuration's inputs.
        individuals
            How many are tracked, or their names.
        space
            In what it is judged.
        """
        self._text, self._keypoints, self._zones, self._where = text, keypoints, zones, where
        self._known_inputs = inputs
        self.inputs: list[str] = []
        """The inputs that it names."""
        self.circular = semantics >= ONE_RIG
        """Whether angles wrap, and `<` differs from `<=` where nothing is uncertain."""
        self.only_known = semantics >= KNOWN
        """Whether `not` of what is not known is not known, and a name of two things is refused."""
        self._across_losses = semantics < POSSIBLE
        self.space = space
        """In what it is judged."""
        self.units = space.units(self.error, zones, metric_scale)
        self.keypoints = KeypointSlots(self.error, keypoints, cameras, individuals, self.only_known)
        """The keypoints and centroids that it names."""
        self.memories: list[Callable[[], Memory]] = []
        """Makers of what its quantities keep from frame to frame."""
        self.needed: set[int] = set()
        """Keypoints without which it cannot be evaluated."""
        self.first: tuple[int, Callable[[StateSamples], Any], str] | None = None
        """(place, measure, unit) of the quantity that stands first."""

    def error(self, place: int, message: str) -> UserError:
        """Make an error with a caret under a place of the condition.

        Parameters
        ----------
        place
            Offset in the text.
        message
            What is wrong, and what was expected.

        Returns
        -------
        UserError
            The error, to be raised.
        """
        return condition_error(self._text, place, message, self._where)

    def value(self, node: Node, metric: bool | None) -> Value:
        """Bind a number of the condition.

        Parameters
        ----------
        node
            Its tree.
        metric
            Whether lengths are in mm; None where nothing has settled that yet.

        Returns
        -------
        Value
            The number, in base units.

        Raises
        ------
        UserError
            Where a name, unit or kind is wrong, or a condition stands there.
        """
        match node:
            case Number():
                return number(node)
            case Negative(inner, place):
                return negative(self.value(inner, metric), place)
            case Chain(operands, signs, place):
                return self._chain(operands, signs, place, metric)
            case Call(name, arguments, place) if name in FUNCTIONS:
                return self._function(name, arguments, place, metric)
            case Call():
                return self._quantity_value(node, metric)
            case Name(text, place):
                raise self.error(place, f"expected a number or a quantity, got the name '{text}'")
        raise self.error(node.place, "a condition stands where a number is meant")

    def _chain(
        self, operands: tuple[Node, ...], signs: tuple[str, ...], place: int, metric: bool | None
    ) -> Value:
        values = [self.value(operand, metric) for operand in operands]
        if signs[0] in "+-":
            values = self._unify_units(values, metric)
        for sign, value in zip(signs, values[1:], strict=True):
            if sign == "/" and value.constant == 0.0:
                raise self.error(value.place, "a division by 0")
        joined = chain(values, signs, place)
        if joined.constant is not None and not math.isfinite(joined.constant):
            raise self.error(place, "too large a number")
        return joined

    def _unify_units(self, values: list[Value], metric: bool | None) -> list[Value]:
        """Plain numbers take the unit of what they meet; the rest must have the same dimension."""
        settled = next((v for v in values if not v.bare), None)
        if settled is None:
            return values
        alike = [self.with_unit_of(v, settled, metric) if v.bare else v for v in values]
        for value in alike:
            if value.dimension != settled.dimension:
                raise self.error(value.place, f"{settled.unit_name} and {value.unit_name} do not go together")
        return alike

    def with_unit_of(self, value: Value, settled: Value, metric: bool | None) -> Value:
        """Give a plain number the unit of what it stands beside.

        Parameters
        ----------
        value
            A constant without a unit.
        settled
            The value beside it.
        metric
            Whether lengths are in mm.

        Returns
        -------
        Value
            The number in the stated unit of `settled`.

        Raises
        ------
        UserError
            Where that would be a length in mm, whose unit must be written, unless it can be in no other.
        """
        if metric and settled.dimension.length and not self.space.group:
            unit = settled.dimension.text(metric=True)
            raise self.error(value.place, f"a number without a unit among mm: write e.g. `20 {unit}`")
        return adopt(value, settled)

    def _function(self, name: str, arguments: tuple[Node, ...], place: int, metric: bool | None) -> Value:
        fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            expected = "one number" if most == 1 else "two numbers or more"
            raise self.error(place, f"{name} takes {expected}, got {len(arguments)}")
        values = self._unify_units([self.value(argument, metric) for argument in arguments], metric)
        around = next((v for v in values if v.circular), None)
        if name != "abs" and around is not None:
            raise self.error(
                around.place,
                f"{around.says} is an angle on the circle, of which none is the {name}imum: use a "
                "difference, e.g. abs(... - 90 deg)",
            )
        return apply(name, values, place)

    def _quantity_value(self, call: Call, metric: bool | None) -> Value:
        quantity = self.quantity(call)
        if quantity.unit is None:
            raise self.error(call.place, f"{call.name} is true or false, it cannot be compared")
        measure, bound = self.bind_measure(quantity, call, metric)
        value = self._with_unit(quantity, call, measure, bound)
        factor = value.stated
        self.note_first(call.place, lambda m: np.asarray(value.measure(m)) / factor, value.unit)
        return value

    def _with_unit(
        self, quantity: Quantity, call: Call, measure: Callable[..., Any], bound: BoundArguments
    ) -> Value:
        says = quantity.says.format(*bound.says)
        if quantity.unit == "signal":
            followed = next(v for v in bound.values if isinstance(v, BoundSignal))
            if quantity.name == "mean" and followed.value.circular:
                raise self.error(
                    call.place,
                    f"{followed.value.says} is an angle on the circle, which has no mean of its numbers: "
                    "take that of a difference, e.g. mean(abs(heading(a, b) - 90 deg), 500 ms)",
                )
            return Value(followed.dimension, 1.0, followed.unit, measure, says, call.place)
        unit = unit_of(quantity.unit or "")
        if quantity.unit and unit is None:
            raise self.error(call.place, f"{call.name}: its package states an unknown unit '{quantity.unit}'")
        factor = 1.0 if unit is None else unit.factor
        scaled = measure if factor == 1.0 else lambda m: measure(m) * factor
        form = quantity.form(*bound.values) if quantity.form else None
        return Value(
            dimension=Dimension() if unit is None else unit.dimension,
            stated=factor,
            unit=self.units.unit_name(quantity.unit or "", call),
            measure=scaled,
            says=says,
            place=call.place,
            form=form,
            slots=bound.slots,
            moving=bound.slots if quantity.moving else frozenset(),
            bounds=bounds_of(quantity, factor) if self.circular else None,
            circular=quantity.circular and self.circular,
        )

    def quantity(self, call: Call) -> Quantity:
        """Look up the quantity that is called, and check the number of its arguments.

        Parameters
        ----------
        call
            The call.

        Returns
        -------
        Quantity
            The quantity.

        Raises
        ------
        UserError
            Where there is no such quantity, or it takes another number of arguments.
        """
        quantity = self.space.find(call.name)
        if quantity is None and call.name == CENTROID:
            raise self.error(
                call.place, "a centroid stands where a keypoint does, e.g. speed(centroid(nose, tail)) > 100"
            )
        if quantity is None:
            raise self.error(call.place, self.space.unknown_quantity(call.name))
        if len(call.arguments) != len(quantity.arguments) and not may_lack_size(call, quantity):
            expected = ", ".join(quantity.arguments)
            raise self.error(
                call.place, f"{call.name} takes ({expected}), got {len(call.arguments)} argument(s)"
            )
        return quantity

    def note_first(self, place: int, measure: Callable[[StateSamples], Any], unit: str) -> None:
        """Keep the quantity if it stands before the others: it gives the condition's value.

        Parameters
        ----------
        place
            Its offset in the text.
        measure
            Computes it of samples, in `unit`.
        unit
            Its unit, for people.
        """
        if self.first is None or place < self.first[0]:
            self.first = (place, measure, unit)

    def bind_measure(
        self, quantity: Quantity, call: Call, metric: bool | None
    ) -> tuple[Callable[[StateSamples], Any], BoundArguments]:
        """Bind a quantity to the arguments of a call.

        Parameters
        ----------
        quantity
            The quantity.
        call
            The call.
        metric
            Whether lengths are in mm; None where nothing has settled that yet.

        Returns
        -------
        tuple[Callable[[StateSamples], Any], BoundArguments]
            How the quantity is computed of samples, and its bound arguments.

        Raises
        ------
        UserError
            Where an argument is of the wrong kind, or a name is not known.
        """
        metric = self.units.resolve(metric, quantity)
        values: list[Any] = []
        says: list[str] = []
        for kind, argument in zip(quantity.arguments, call.arguments, strict=False):
            value, messages = self._argument(kind, argument, metric, values)
            values.append(value)
            says.append(messages)
        says += ["any"] * (len(quantity.arguments) - len(says))
        slots = {
            v
            for v, k in zip(values, quantity.arguments, strict=False)
            if k in ("keypoint", "place") and isinstance(v, int)
        }
        if quantity.random:
            self.needed |= {k for s in slots for k in self.keypoints.slots[s].keypoints}
        bound = BoundArguments(
            tuple(values), tuple(says), frozenset(slots) if quantity.random else frozenset()
        )
        function = quantity.measure
        if quantity.memory is None:
            return (lambda samples: function(samples, *values)), bound
        make, place = quantity.memory, len(self.memories)
        if make is LineCrossing and self._across_losses:
            make = partial(LineCrossing, across_losses=True)
        kept = [v.signal if isinstance(v, BoundSignal) else v for v in values]
        self.memories.append(lambda: make(*kept))
        return (lambda samples: function(samples, samples.memories[place])), bound

    def _argument(self, kind: str, node: Node, metric: bool, before: list[Any]) -> tuple[Any, str]:
        if kind == "signal":
            return self._signal(node, metric)
        if kind in CONSTANTS:
            return self._constant(kind, node, metric, before)
        if kind in ("keypoint", "place"):
            bound = self.keypoints.bind(node, metric, self._zones if kind == "place" else ())
            if bound is not None:
                return bound
        if not isinstance(node, Name):
            raise self.error(node.place, f"expected {self.space.kind(kind)}, got a number or condition")
        if kind == "keypoint":
            raise self.keypoints.unknown("keypoint", node, self._keypoints)
        if kind == "input":
            return self._input(node), node.text
        if kind == "side":
            if node.text not in SIDES:
                hint = nearest(node.text, SIDES)
                raise self.error(node.place, f"expected left or right, got '{node.text}'{hint}")
            return node.text, node.text
        return self._zone(kind, node, metric), node.text

    def _input(self, node: Name) -> int:
        """The number of an input among those of the condition."""
        if node.text not in self._known_inputs:
            raise self.keypoints.unknown("input", node, list(self._known_inputs))
        if node.text not in self.inputs:
            self.inputs.append(node.text)
        return self.inputs.index(node.text)

    def _zone(self, kind: str, node: Name, metric: bool) -> AnyZone:
        if node.text in self.space.elsewhere:
            raise self.error(node.place, self.space.misplaced_zone(node.text, kind, self._zones))
        if node.text not in self._zones:
            valid = [*self._zones, *(self._keypoints if kind == "place" else ())]
            raise self.keypoints.unknown("keypoint or zone" if kind == "place" else "zone", node, valid)
        zone = self._zones[node.text]
        if not self.space.fits(zone, kind):
            expected = self.space.kind(kind)
            raise self.error(node.place, f"expected {expected}, but '{node.text}' is a {shape_name(zone)}")
        if isinstance(zone, Sphere | Cuboid | SpatialPoint):
            return zone
        return self.units.convert_zone(zone, metric, node)

    def _signal(self, node: Node, metric: bool) -> tuple[BoundSignal, str]:
        value = self.value(node, metric)
        if value.constant is not None or not value.slots:
            raise self.error(node.place, f"expected {self.space.kind('signal')}")
        signal = Signal(value.measure, tuple(value.slots), TURN_DEG if value.circular else None)
        return BoundSignal(signal, value.dimension, value.unit, value), value.says

    def _constant(self, kind: str, node: Node, metric: bool, before: list[Any]) -> tuple[float, str]:
        value = self.value(node, metric)
        expected = expected_unit(kind, value, before)
        if value.bare:
            value = self.with_unit_of(value, expected, metric)
        fault = constant_fault(kind, value, expected)
        if fault:
            raise self.error(node.place, fault)
        assert value.constant is not None
        return value.constant, value.says
