"""Parser of the trigger language.

condition  = conjunction { "or" conjunction }
conjunction = negation { "and" negation }
negation   = "not" negation | "(" condition ")" | call [ comparison number ]
call       = name "(" name { "," name } ")"
comparison = "<" | "<=" | ">" | ">="
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rt_pose.errors import UserError
from rt_pose.rules.tree import And, Call, Compare, Node, Not, Or

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_][\w.-]*)"
    r"|(?P<sign><=|>=|<|>|\(|\)|,))"
)
_COMPARISONS = ("<", "<=", ">", ">=")
MAX_DEPTH = 50
"""Of nested brackets and negations: far more than anyone writes, far less than Python's stack."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


def parse(text: str, where: str = "rule") -> Node:
    """The tree of a condition. UserError with a caret under the place that cannot be read."""
    return _Parser(text, where).whole()


def complain(text: str, place: int, message: str, where: str) -> UserError:
    """An error that shows the condition with a caret under the place."""
    return UserError(f"{where}: {message}\n  {text}\n  {' ' * place}^")


class _Parser:
    def __init__(self, text: str, where: str) -> None:
        self._text, self._where = text, where
        self._tokens = self._tokenise()
        self._i = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._condition()
        if self._peek().kind != "end":
            raise self._error(f"expected 'and', 'or' or the end, got '{self._peek().text}'")
        return node

    def _tokenise(self) -> list[_Token]:
        tokens: list[_Token] = []
        place, end = 0, len(self._text.rstrip())
        while place < end:
            match = _TOKEN.match(self._text, place)
            if match is None:
                place += len(self._text[place:]) - len(self._text[place:].lstrip())
                raise complain(self._text, place, f"cannot read '{self._text[place]}' here", self._where)
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match[kind], match.start(kind)))
            place = match.end()
        tokens.append(_Token("end", "the end", end))
        return tokens

    def _peek(self) -> _Token:
        return self._tokens[self._i]

    def _next(self) -> _Token:
        token = self._tokens[self._i]
        self._i += token.kind != "end"
        return token

    def _error(self, message: str) -> UserError:
        return complain(self._text, self._peek().place, message, self._where)

    def _expect(self, text: str) -> None:
        if self._peek().text != text or self._peek().kind != "sign":
            raise self._error(f"expected '{text}', got '{self._peek().text}'")
        self._next()

    def _word(self, word: str) -> bool:
        if self._peek().kind == "name" and self._peek().text == word:
            self._next()
            return True
        return False

    def _condition(self) -> Node:
        node = self._conjunction()
        while self._word("or"):
            node = Or(node, self._conjunction())
        return node

    def _conjunction(self) -> Node:
        node = self._negation()
        while self._word("and"):
            node = And(node, self._negation())
        return node

    def _negation(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} nested brackets or 'not'")
        try:
            if self._word("not"):
                return Not(self._negation())
            if self._peek().text == "(":
                self._next()
                node = self._condition()
                self._expect(")")
                return node
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Node:
        call = self._call()
        sign = self._peek()
        if sign.text not in _COMPARISONS:
            return call
        self._next()
        number = self._peek()
        if number.kind != "number":
            raise self._error(f"expected a number, got '{number.text}'")
        self._next()
        return Compare(call, sign.text, float(number.text), sign.place)

    def _call(self) -> Call:
        name = self._peek()
        if name.kind != "name" or name.text in ("and", "or", "not"):
            raise self._error(f"expected a quantity such as speed(nose), got '{name.text}'")
        self._next()
        self._expect("(")
        arguments = [self._argument()]
        while self._peek().text == ",":
            self._next()
            arguments.append(self._argument())
        self._expect(")")
        return Call(
            name.text,
            tuple(a.text for a in arguments),
            name.place,
            tuple(a.place for a in arguments),
        )

    def _argument(self) -> _Token:
        if self._peek().kind != "name":
            raise self._error(f"expected the name of a keypoint or zone, got '{self._peek().text}'")
        return self._next()
