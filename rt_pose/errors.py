"""The one exception a user is meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend: printed as one message on standard error, exit status 2.

    The message says which object, what was expected, what came, and what to do next.
    """


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint such as `, did you mean 'speed'?` (with the valid names where none is near)."""
    names = [str(v) for v in valid]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f", did you mean '{close[0]}'?"
    return f"; valid here: {', '.join(names)}" if names else ""
