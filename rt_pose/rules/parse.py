"""Parser of the trigger language.

condition   = conjunction { "or" conjunction }
conjunction = negation { "and" negation }
negation    = "not" negation | comparison
comparison  = sum { ("<" | "<=" | ">" | ">=") sum }
sum         = product { ("+" | "-") product }
product     = factor { ("*" | "/") factor }
factor      = "-" factor | number [ unit ] | call | "(" condition ")"
call        = name "(" argument { "," argument } ")"
argument    = name | condition
name        = what `rt_pose.rules.keypoint_name` describes

That a condition stands where a number is meant, or the other way round, is found when it is bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rt_pose.errors import UserError, nearest
from rt_pose.rules.tokens import KEYWORDS, Token, condition_error, tokenise
from rt_pose.rules.tree import And, Call, Chain, Compare, Name, Negative, Node, Not, Number, Or
from rt_pose.rules.units import UNIT_NAMES, unit_of

COMPARISONS = ("<", "<=", ">", ">=")
MAX_DEPTH = 40
"""Of nested brackets, calls and negations: far more than anyone writes, far less than Python's stack."""
MAX_PARTS = 100
"""Of names and numbers in all: each is computed for every frame, and a sum is as deep as it has terms."""


def parse(text: str, where: str = "rule") -> Node:
    """Parse a condition.

    Parameters
    ----------
    text
        The condition as written.
    where
        Place of the condition in the configuration, for messages.

    Returns
    -------
    Node
        Its tree.

    Raises
    ------
    UserError
        Where it cannot be read; with a caret under the place.
    """
    return _Parser(text, where).whole()


def parse_point(text: str, where: str = "rule") -> Node:
    """Parse a point made of keypoints: a sum in which keypoints stand where a condition has quantities.

    Parameters
    ----------
    text
        The point as written, e.g. `(nose + neck) / 2`.
    where
        Place of the point in the configuration, for messages.

    Returns
    -------
    Node
        Its tree.

    Raises
    ------
    UserError
        Where it cannot be read; with a caret under the place.
    """
    return _Parser(text, where, points=True).whole()


def check_size(text: str, where: str) -> None:
    """Check that a condition is not too long to be evaluated for every frame.

    Parameters
    ----------
    text
        The condition as written.
    where
        Place of the condition in the configuration, for messages.

    Raises
    ------
    UserError
        Where it has more than `MAX_PARTS` names and numbers.
    """
    parts = [token for token in tokenise(text, where) if token.kind in ("name", "number")]
    if len(parts) > MAX_PARTS:
        raise UserError(
            f"{where}: {len(parts)} names and numbers in one condition; expected at most {MAX_PARTS}, since "
            "each is computed for every frame: divide it into several rules"
        )


class _Parser:
    def __init__(self, text: str, where: str, *, points: bool = False) -> None:
        self._text, self._where = text, where
        self._points = points
        self._tokens = tokenise(text, where)
        self._i = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._condition()
        if self._peek().kind != "end":
            raise self._error(f"expected 'and', 'or', a sign or the end, got '{self._peek().text}'")
        return node

    def _peek(self) -> Token:
        return self._tokens[self._i]

    def _next(self) -> Token:
        token = self._tokens[self._i]
        self._i += token.kind != "end"
        return token

    def _error(self, message: str, place: int | None = None) -> UserError:
        """An error at the next word, or at a place."""
        place = self._peek().place if place is None else place
        return condition_error(self._text, place, message, self._where)

    def _at(self, *texts: str) -> bool:
        return self._peek().kind in ("sign", "name") and self._peek().text in texts

    def _expect(self, text: str) -> None:
        if not self._at(text):
            raise self._error(f"expected '{text}', got '{self._peek().text}'")
        self._next()

    def _condition(self) -> Node:
        parts, place = self._joined("or", self._joined_and)
        return parts[0] if len(parts) == 1 else Or(parts, place)

    def _joined_and(self) -> Node:
        parts, place = self._joined("and", self._negation)
        return parts[0] if len(parts) == 1 else And(parts, place)

    def _joined(self, word: str, read: Callable[[], Node]) -> tuple[tuple[Node, ...], int]:
        place = self._peek().place
        parts = [read()]
        while self._at(word):
            self._next()
            parts.append(read())
        return tuple(parts), place

    def _negation(self) -> Node:
        if self._at("not"):
            place = self._next().place
            return Not(self._deeper(self._negation), place)
        return self._comparison()

    def _comparison(self) -> Node:
        operands, signs, place = self._signed(COMPARISONS, self._sum)
        return operands[0] if not signs else Compare(operands, signs, place)

    def _sum(self) -> Node:
        operands, signs, place = self._signed(("+", "-"), self._product)
        return operands[0] if not signs else Chain(operands, signs, place)

    def _product(self) -> Node:
        operands, signs, place = self._signed(("*", "/"), self._factor)
        return operands[0] if not signs else Chain(operands, signs, place)

    def _signed(
        self, wanted: tuple[str, ...], read: Callable[[], Node]
    ) -> tuple[tuple[Node, ...], tuple[str, ...], int]:
        operands, place = [read()], 0
        signs: list[str] = []
        while self._at(*wanted):
            sign = self._next()
            place = place if signs else sign.place
            signs.append(sign.text)
            operands.append(read())
        return tuple(operands), tuple(signs), place

    def _deeper(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} nested brackets, signs or 'not'")
        node = read()
        self._depth -= 1
        return node

    def _factor(self) -> Node:
        if self._at("-"):
            place = self._next().place
            return Negative(self._deeper(self._factor), place)
        if self._at("("):
            self._next()
            node = self._deeper(self._condition)
            self._expect(")")
            return node
        if self._peek().kind == "number":
            return self._number()
        if self._points:
            return self._keypoint()
        return self._deeper(self._call)

    def _number(self) -> Number:
        token = self._next()
        value = float(token.text)
        if not math.isfinite(value):
            raise self._error(f"{token.text} is too large a number", token.place)
        if token.unit and unit_of(token.unit) is None:
            hint = nearest(token.unit, UNIT_NAMES)
            raise self._error(f"unknown unit '{token.unit}'{hint}", token.unit_place)
        return Number(value, token.unit, token.place)

    def _keypoint(self) -> Name:
        name = self._peek()
        if name.kind != "name" or name.text in KEYWORDS:
            raise self._error(f"expected a keypoint, or a number, got '{name.text}'")
        self._next()
        return Name(name.text, name.place)

    def _call(self) -> Call:
        name = self._peek()
        if name.kind != "name" or name.text in KEYWORDS:
            raise self._error(f"expected a quantity such as speed(nose), or a number, got '{name.text}'")
        self._next()
        self._expect("(")
        arguments = [self._argument()]
        while self._at(","):
            self._next()
            arguments.append(self._argument())
        self._expect(")")
        return Call(name.text, tuple(arguments), name.place)

    def _argument(self) -> Node:
        token, after = self._peek(), self._tokens[min(self._i + 1, len(self._tokens) - 1)]
        if token.kind == "name" and token.text not in KEYWORDS and after.text != "(":
            self._next()
            return Name(token.text, token.place)
        return self._condition()
