"""The one exception a user is meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


class UserError(Exception):
    """A mistake that the user can correct: printed as one message on standard error, exit status 2.

    The message says which object, what was expected, what came, and what to do next.
    """


def collect_errors(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Run two checks, and report the mistakes of both in one error.

    Parameters
    ----------
    first, second
        The checks.

    Returns
    -------
    tuple[A, B]
        The results of both.

    Raises
    ------
    UserError
        Where one finds a mistake; with both messages where both do.
    """
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
    """Format a hint such as `, did you mean 'speed'?`.

    Parameters
    ----------
    name
        What was given.
    valid
        The valid names.

    Returns
    -------
    str
        The hint; it lists the valid names where none is near, and is empty where there are none.
    """
    names = [str(v) for v in valid]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f", did you mean '{close[0]}'?"
    return f"; valid here: {', '.join(names)}" if names else ""
