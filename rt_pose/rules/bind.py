"""Binding a parsed condition to the keypoints and zones of a run, every name checked."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from rt_pose.config import ZoneConfig
from rt_pose.errors import UserError, nearest
from rt_pose.rules.parse import complain, parse
from rt_pose.rules.quantities import QUANTITIES, Argument, Circle, Quantity
from rt_pose.rules.tree import And, Call, Compare, Node, Not, Or
from rt_pose.types import Track

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Judge = Callable[[Track, int], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition ready to be judged."""

    text: str
    holds: Judge
    """(track, individual) -> whether it is true of the predicted mean. NaN makes a comparison false."""
    value: Callable[[Track, int], float]
    """Its first quantity, in that quantity's unit."""
    keypoints: tuple[int, ...]
    """Every keypoint it looks at: none of them may be lost when it fires."""


def make_zones(zones: dict[str, ZoneConfig], where: str) -> dict[str, Circle]:
    """The zones of a configuration; UserError where one is not a shape."""
    made = {}
    for name, zone in zones.items():
        circle = zone.circle
        if circle is None or len(circle) != 3 or not all(map(math.isfinite, circle)) or circle[2] <= 0:
            raise UserError(
                f"{where}: zones.{name}: expected `circle: [centre x, centre y, radius]` in px "
                f"with a radius above 0, got {circle}"
            )
        made[name] = Circle(*circle)
    return made


def bind(text: str, keypoints: list[str], zones: dict[str, Circle], where: str) -> Condition:
    """The condition `text`; UserError with a caret under a wrong name and the nearest valid one."""
    binder = _Binder(text, keypoints, zones, where)
    holds = binder.judge(parse(text, where))
    return Condition(text, holds, binder.values[0], tuple(sorted(binder.used)))


class _Binder:
    def __init__(self, text: str, keypoints: list[str], zones: dict[str, Circle], where: str) -> None:
        self._text, self._keypoints, self._zones, self._where = text, keypoints, zones, where
        self.values: list[Callable[[Track, int], float]] = []
        self.used: set[int] = set()

    def judge(self, node: Node) -> Judge:
        match node:
            case And(left, right):
                first, second = self.judge(left), self.judge(right)
                return lambda track, who: first(track, who) and second(track, who)
            case Or(left, right):
                first, second = self.judge(left), self.judge(right)
                return lambda track, who: first(track, who) or second(track, who)
            case Not(inner):
                negated = self.judge(inner)
                return lambda track, who: not negated(track, who)
            case Compare(call, sign, number, place):
                return self._comparison(call, sign, number, place)
            case Call():
                return self._bare(node)

    def _comparison(self, call: Call, sign: str, number: float, place: int) -> Judge:
        quantity, value = self._measure(call)
        if quantity.unit is None:
            raise complain(
                self._text, place, f"{call.name} is true or false, it cannot be compared", self._where
            )
        compare = _OPERATORS[sign]
        return lambda track, who: compare(value(track, who), number)

    def _bare(self, call: Call) -> Judge:
        quantity, value = self._measure(call)
        if quantity.unit is not None:
            raise complain(
                self._text,
                call.place,
                f"{call.name} is a number in {quantity.unit}: compare it, e.g. {call.name}(...) > 100",
                self._where,
            )
        return lambda track, who: value(track, who) >= 0.0

    def _measure(self, call: Call) -> tuple[Quantity, Callable[[Track, int], float]]:
        quantity = QUANTITIES.get(call.name)
        if quantity is None:
            hint = nearest(call.name, QUANTITIES)
            raise complain(self._text, call.place, f"unknown quantity '{call.name}'{hint}", self._where)
        if len(call.arguments) != len(quantity.arguments):
            raise complain(
                self._text,
                call.place,
                f"{call.name} takes ({', '.join(quantity.arguments)}), got {len(call.arguments)} argument(s)",
                self._where,
            )
        arguments = [
            self._argument(kind, name, place)
            for kind, name, place in zip(
                quantity.arguments, call.arguments, call.argument_places, strict=True
            )
        ]
        measure = quantity.measure

        def value(track: Track, who: int) -> float:
            return measure(track, who, *arguments)

        self.values.append(value)
        return quantity, value

    def _argument(self, kind: str, name: str, place: int) -> Argument:
        if kind == "keypoint":
            if name not in self._keypoints:
                raise self._unknown("keypoint", name, place, self._keypoints)
            index = self._keypoints.index(name)
            self.used.add(index)
            return index
        if name not in self._zones:
            raise self._unknown("zone", name, place, list(self._zones))
        return self._zones[name]

    def _unknown(self, kind: str, name: str, place: int, valid: list[str]) -> UserError:
        hint = nearest(name, valid) if valid else f"; the configuration has no {kind}s"
        return complain(self._text, place, f"unknown {kind} '{name}'{hint}", self._where)
