"""The exceptions that a user is meant to see, and what exit statuses mean."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Self, TypeVar

A = TypeVar("A")
B = TypeVar("B")
LONG_NAME_CHARS = 80
"""Of a name that is too long, in a message."""


class ExitCode(IntEnum):
    """What the exit status of every command means."""

    meaning: str
    """The meaning in words: `--help` and the documentation show these."""

    DONE = 0, "done; of a replay: everything was read and is identical"
    FAILED = 1, "failed, or not as it should be; of a replay: it differs from its session"
    MISTAKE = 2, "a mistake in the command, a file or a configuration; the message says what to do"
    STIMULUS_FAILED = 3, "the run ended well, but a command of a fired event was refused or not carried out"
    INCOMPLETE = 4, "the run or replay went to its end, but the session lacks records or a film"
    NOT_COMPARABLE = (
        5,
        "a replay could not judge: nothing observed, inputs missing, rules of an unknown meaning",
    )
    INTERRUPTED = 130, "ended by Ctrl-C; a training by a SIGTERM as well"

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a member of its number and its words."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class UserError(Exception):
    """A mistake that the user can correct: printed as one message on standard error.

    The message says which object, what was expected, what came, and what to do next.
    """

    exit_code = ExitCode.MISTAKE


class NotComparableError(UserError):
    """A session that this program cannot judge: neither identical nor different."""

    exit_code = ExitCode.NOT_COMPARABLE


class UnknownVersionError(UserError):
    """What a later program wrote: not damaged, but nothing that this one can read."""


def explain_long_name(error: OSError) -> str:
    """Format the message about a name that no path can hold.

    Parameters
    ----------
    error
        What the system said.

    Returns
    -------
    str
        The message.

    Raises
    ------
    OSError
        The error, where it says something else.
    """
    if error.errno != errno.ENAMETOOLONG:
        raise error
    return f"a name is too long for a path: {str(error.filename)[:LONG_NAME_CHARS]}..."


def first_line(error: BaseException) -> str:
    """Get the first line of an error of a library; what follows is its place there.

    Parameters
    ----------
    error
        The error.

    Returns
    -------
    str
        The line; the class where there is none.
    """
    return str(error).strip().partition("\n")[0] or type(error).__name__


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


def check_range(where: str, name: str, value: float | None, low: float, high: float) -> None:
    """Check a number of a configuration.

    Parameters
    ----------
    where
        Key of the configuration to name in the message.
    name
        Key of the number below `where`.
    value
        The number; None, where it was left out, is right.
    low, high
        Its least and its largest value.

    Raises
    ------
    UserError
        Where it lies outside, or is NaN.
    """
    if value is not None and not low <= value <= high:
        raise UserError(f"{where}: {name} must be between {low:g} and {high:g}, got {value:.10g}")


class ErrorCollector:
    """Goes on after a mistake, so that all of them are reported in one error."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def run(self, step: Callable[[], A]) -> A | None:
        """Take a step.

        Parameters
        ----------
        step
            The step.

        Returns
        -------
        A | None
            Its result; None where it found a mistake, which is kept.
        """
        try:
            return step()
        except UserError as error:
            self.messages += [line for line in str(error).splitlines() if line not in self.messages]
            return None

    def check(self) -> None:
        """Raise what was found.

        Raises
        ------
        UserError
            With every mistake.
        """
        if self.messages:
            raise UserError("\n".join(self.messages))


LONGEST_NAME, MOST_NAMES = 100, 200
"""Characters of a name, and number of names, beyond which no near one is looked for: it takes seconds."""


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
    name, names = str(name), [str(v) for v in valid]  # a key of YAML may be anything
    short = [v for v in names if len(v) <= LONGEST_NAME][:MOST_NAMES] if len(name) <= LONGEST_NAME else []
    close = difflib.get_close_matches(name, short, n=1, cutoff=0.5)
    if close:
        return f", did you mean '{close[0]}'?"
    return f"; valid here: {', '.join(names)}" if names else ""
