"""The one exception a user is meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


class UserError(Exception):
    """A mistake the user can mend: printed as one message on standard error, exit status 2.

    The message says which object, what was expected, what came, and what to do next.
    """


def collect_errors(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """What two checks give; where both find something wrong, one UserError tells of it all."""
    try:
        a = first()
    except UserError as error:
        try:
            second()
        except UserError as another:
            raise UserError(f"{error}\n{another}") from error
        raise
    return a, second()


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint such as `, did you mean 'speed'?` (with the valid names where none is near)."""
    names = [str(v) for v in valid]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f", did you mean '{close[0]}'?"
    return f"; valid here: {', '.join(names)}" if names else ""
