"""Words of the trigger language, each with its place in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rt_pose.errors import UserError
from rt_pose.rules.keypoint_name import QUOTED, QUOTES

KEYWORDS = ("and", "or", "not")
_PLAIN = r"[A-Za-z_][\w.-]*"
# Without quotes the dots are sorted out where the model's own names are known.
_NAME = rf"(?:{_PLAIN}(?:(?<=\.){QUOTED})?|{QUOTED}(?:\.(?:{QUOTED}|{_PLAIN}))?)(?:@(?:{QUOTED}|[\w.-]+))?"
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>{_NAME})"
    r"|(?P<sign><=|>=|[<>(),+*/-]))",
    re.ASCII,
)
# What follows a number without being a keyword; `/s` belongs to it, the `/speed(nose)` of a division not.
_UNIT = re.compile(r"\s*(?!(?:and|or|not)\b)(?P<unit>[A-Za-zµ%°]+(?:/[A-Za-z]+(?!\w|\s*\())?)")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or sign."""

    kind: str
    """number, name, sign or end."""
    text: str
    place: int
    unit: str = ""
    """Of a number, as written."""
    unit_place: int = 0


def condition_error(text: str, place: int, message: str, where: str) -> UserError:
    """Make an error that shows the condition with a caret under a place.

    Parameters
    ----------
    text
        The condition as written.
    place
        Offset in the text.
    message
        What is wrong, and what was expected.
    where
        Place of the condition in the configuration.

    Returns
    -------
    UserError
        The error, to be raised.
    """
    shown = "".join(" " if c.isspace() else c for c in text)  # a line break would misplace the caret
    return UserError(f"{where}: {message}\n  {shown}\n  {' ' * place}^")


def tokenise(text: str, where: str) -> list[Token]:
    """Divide a condition into tokens.

    Parameters
    ----------
    text
        The condition as written.
    where
        Place of the condition in the configuration, for messages.

    Returns
    -------
    list[Token]
        The tokens, the last one of kind `end`.

    Raises
    ------
    UserError
        Where a character cannot be read; with a caret under the place.
    """
    tokens: list[Token] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            place += len(text[place:]) - len(text[place:].lstrip())
            what = (
                "a quote that is not closed" if text[place] in QUOTES else f"cannot read '{text[place]}' here"
            )
            raise condition_error(text, place, what, where)
        kind = str(match.lastgroup)
        place = match.end()
        unit = _UNIT.match(text, place) if kind == "number" else None
        if unit is None:
            tokens.append(Token(kind, match[kind], match.start(kind)))
        else:
            tokens.append(Token(kind, match[kind], match.start(kind), unit["unit"], unit.start("unit")))
            place = unit.end()
    tokens.append(Token("end", "the end", end))
    return tokens
