"""Counters of few bits, which begin again after their highest value."""

from __future__ import annotations


def advance(value: int, last: int, modulo: int, expected: int = 0) -> int:
    """Return how far a counter that wraps around has gone, as near as possible to what is expected.

    Parameters
    ----------
    value, last
        The counter now and before.
    modulo
        After how many counts it is where it was.
    expected
        How far it has probably gone; the answer is at most half of `modulo` from that.

    Returns
    -------
    int
        Counts from `last` to `value`; below 0 where `value` is rather the older one.
    """
    half = modulo // 2
    return (value - last - expected + half) % modulo - half + expected
