"""How long calls take, one after another in one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.loop.latency import summary

CALLS, MAX_S, WARM_UP = 1000, 4.0, 20


def timed(call: Callable[[int], object], calls: int = CALLS, max_s: float = MAX_S) -> dict[str, Any] | None:
    """Summary (ms) of `calls` calls, of fewer where `max_s` is over first; each is handed its number."""
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
