"""What others do is waited for with patience, and what must be quick must be quick once in some tries.

A machine that is busy with other things makes everything later, and nothing sooner.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from rt_pose.clock import NS_PER_S, HostClock

PATIENCE_S = 60.0
"""How long anything may be in coming. It comes long before, but where others have the processor."""
PAUSE_S = 0.005
TRIES = 8


def wait_until(done: Callable[[], object]) -> None:
    """Ask again and again until what is returned is true."""
    clock, pause = HostClock(), threading.Event()
    end_ns = clock.now_ns() + round(PATIENCE_S * NS_PER_S)
    while not done():
        assert clock.now_ns() < end_ns, f"did not come about within {PATIENCE_S:g} s"
        pause.wait(PAUSE_S)


def assert_below(bound: float, measure: Callable[[], float]) -> None:
    """Measure until a value lies below the bound: one of `TRIES` must, whatever else the machine does."""
    values: list[float] = []
    while not values or values[-1] >= bound:
        assert len(values) < TRIES, f"none of {values} lies below {bound}"
        values.append(measure())
