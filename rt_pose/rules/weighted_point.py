"""A point of the frame made of keypoints, such as a keypoint itself or the middle between two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rt_pose.errors import nearest
from rt_pose.rules.ellipse import Covariance, Place
from rt_pose.rules.keypoint_name import individual_names, read_name
from rt_pose.rules.parse import check_size, parse_point
from rt_pose.rules.tokens import condition_error
from rt_pose.rules.tree import Chain, Name, Negative, Node, Number
from rt_pose.types import Track

Weights = dict[int, float]
INDIVIDUALS = individual_names(1)
"""Light is aimed at the one individual that a run tracks."""


@dataclass(frozen=True, slots=True)
class WeightedPoint:
    """A weighted mean of keypoints; a weight may be negative, their sum is 1."""

    text: str
    """As written."""
    keypoints: tuple[int, ...]
    weights: tuple[float, ...]
    camera: str = ""
    """The one that it names (`nose@top`); empty for none."""
    individual: str = ""
    """The one that it names; empty for none. Light goes to the animal of the event."""

    def moments(self, track: Track, who: int) -> tuple[Place, Covariance] | None:
        """Compute mean and covariance of the point.

        Parameters
        ----------
        track
            A prediction.
        who
            Index of the individual.

        Returns
        -------
        tuple[Place, Covariance] | None
            In px and px^2, keypoints being independent of each other as the filter has them; None where one
            of them is lost or not known.
        """
        x = y = xx = xy = yy = 0.0
        for k, weight in zip(self.keypoints, self.weights, strict=True):
            if track.lost[who, k]:
                return None
            cov, squared = track.cov[who, k], weight * weight
            x += weight * float(track.xy[who, k, 0])
            y += weight * float(track.xy[who, k, 1])
            xx += squared * float(cov[0, 0])
            xy += squared * float(cov[0, 1])
            yy += squared * float(cov[1, 1])
        return ((x, y), (xx, xy, yy)) if math.isfinite(x + y + xx + xy + yy) else None


def bind_point(text: str, keypoints: Sequence[str], where: str) -> WeightedPoint:
    """Parse a point and bind it to the keypoints of a model.

    Parameters
    ----------
    text
        The point as written: `nose`, `(nose + neck) / 2`, `nose + 0.3 * (nose - neck)`.
    keypoints
        Names of the model's keypoints, in their order.
    where
        Place of the point in the configuration, for messages.

    Returns
    -------
    WeightedPoint
        The point.

    Raises
    ------
    UserError
        Where it cannot be read, a name is not known, or its weights do not add up to 1.
    """
    return _Binder(text, keypoints, where).whole()


def point_names(text: str, where: str) -> list[str]:
    """List the names in a point, without their cameras.

    Parameters
    ----------
    text
        The point as written.
    where
        Its place in the configuration, for messages.

    Returns
    -------
    list[str]
        In the order in which they stand.

    Raises
    ------
    UserError
        Where it cannot be read.
    """
    return [read_name(name.text, (), INDIVIDUALS).keypoint for name in _names(parse_point(text, where))]


def _names(node: Node) -> Iterator[Name]:
    match node:
        case Name():
            yield node
        case Chain(parts):
            for part in parts:
                yield from _names(part)
        case Negative(inner):
            yield from _names(inner)


class _Binder:
    def __init__(self, text: str, keypoints: Sequence[str], where: str) -> None:
        self._text, self._keypoints, self._where = text, keypoints, where
        self._camera = self._individual = ""

    def whole(self) -> WeightedPoint:
        check_size(self._text, self._where)
        weights, constant = self._linear(parse_point(self._text, self._where))
        total = sum(weights.values())
        if constant != 0.0 or not abs(total - 1.0) < 1e-9:
            raise condition_error(
                self._text,
                0,
                f"expected a point, whose weights of keypoints add up to 1, e.g. (nose + neck) / 2; got "
                f"weights of {total:g} in all" + (f" and {constant:g} beside them" if constant else ""),
                self._where,
            )
        used = {k: weight for k, weight in weights.items() if weight != 0.0}
        return WeightedPoint(self._text, tuple(used), tuple(used.values()), self._camera, self._individual)

    def _linear(self, node: Node) -> tuple[Weights, float]:
        """Weights of keypoints, and a plain number beside them."""
        match node:
            case Number(value, "", _):
                return {}, value
            case Name():
                return {self._keypoint(node): 1.0}, 0.0
            case Negative(inner, _):
                return _scaled(self._linear(inner), -1.0)
            case Chain(operands, signs, _) if signs[0] in "+-":
                return self._sum(operands, signs)
            case Chain(operands, signs, place):
                return self._product(operands, signs, place)
        raise condition_error(
            self._text, node.place, "expected keypoints and plain numbers joined by + - * /", self._where
        )

    def _sum(self, operands: tuple[Node, ...], signs: tuple[str, ...]) -> tuple[Weights, float]:
        weights, constant = self._linear(operands[0])
        weights = dict(weights)
        for sign, operand in zip(signs, operands[1:], strict=True):
            more, number = _scaled(self._linear(operand), 1.0 if sign == "+" else -1.0)
            constant += number
            for k, weight in more.items():
                weights[k] = weights.get(k, 0.0) + weight
        return weights, constant

    def _product(
        self, operands: tuple[Node, ...], signs: tuple[str, ...], place: int
    ) -> tuple[Weights, float]:
        product = self._linear(operands[0])
        for sign, operand in zip(signs, operands[1:], strict=True):
            factor = self._linear(operand)
            if sign == "*" and not product[0]:
                product, factor = factor, product
            if factor[0] or (sign == "/" and factor[1] == 0.0):
                raise condition_error(
                    self._text, place, "expected a keypoint times or over a number other than 0", self._where
                )
            product = _scaled(product, factor[1] if sign == "*" else 1.0 / factor[1])
        return product

    def _keypoint(self, name: Name) -> int:
        read = read_name(name.text, self._keypoints, INDIVIDUALS)
        text, camera = read.keypoint, read.camera
        problem = ""
        if text not in self._keypoints:
            problem = f"unknown keypoint '{text}'{nearest(text, self._keypoints)}"
        elif read.individual not in ("", *INDIVIDUALS):
            problem = (
                f"there is no individual '{read.individual}' here: light goes to the animal of the "
                f"event; write {text} alone"
            )
        if problem:
            raise condition_error(self._text, name.place, problem, self._where)
        if camera and self._camera not in ("", camera):
            raise condition_error(
                self._text,
                name.place,
                f"the point is of '{self._camera}' already; expected one camera",
                self._where,
            )
        self._camera = camera or self._camera
        self._individual = read.individual or self._individual
        return self._keypoints.index(text)


def _scaled(linear: tuple[Weights, float], factor: float) -> tuple[Weights, float]:
    weights, constant = linear
    return {k: factor * weight for k, weight in weights.items()}, factor * constant
