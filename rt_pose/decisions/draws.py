"""What is drawn at random: a hash of the seed and the cause, so that every replay draws the same."""

from __future__ import annotations

import hashlib


def digest(*cause: object) -> bytes:
    """Hash a cause.

    Parameters
    ----------
    *cause
        The seed of the run first, then what tells one draw from another.

    Returns
    -------
    bytes
        Eight random bytes that belong to it.
    """
    return hashlib.blake2b("/".join(map(str, cause)).encode(), digest_size=8).digest()


def draw(*cause: object) -> float:
    """Draw a number.

    Parameters
    ----------
    *cause
        See `digest`.

    Returns
    -------
    float
        From 0 to 1.
    """
    return int.from_bytes(digest(*cause), "little") / 2**64
