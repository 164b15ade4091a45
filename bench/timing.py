"""Times calls, one after another in one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.loop.latency import summary

CALLS, MAX_S, WARM_UP = 1000, 4.0, 20


def timed(call: Callable[[int], object], calls: int = CALLS, max_s: float = MAX_S) -> dict[str, Any] | None:
    """Time a call again and again, after a warm-up.

    Parameters
    ----------
    call
        Takes the number of the call.
    calls
        How many calls are timed.
    max_s
        Fewer are timed where this time is over first, s.

    Returns
    -------
    dict[str, Any] or None
        Summary of their durations, ms.
    """
    clock = HostClock()
    for i in range(WARM_UP):
        call(i)
    taken: list[float] = []
    end = clock.now_ns() + max_s * NS_PER_S
    for i in range(calls):
        start = clock.now_ns()
        call(WARM_UP + i)
        now = clock.now_ns()
        taken.append((now - start) / NS_PER_MS)
        if now > end:
            break
    return summary(taken)
