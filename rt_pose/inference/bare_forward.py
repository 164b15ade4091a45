"""The network alone on a ready tensor: its warm-up and its time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.inference.engine import Engine

FORWARDS, WARM_UP = 200, 20
WARM_AGAIN = 3
"""Of an engine that has run before: nothing is left to allocate, but the caches may hold something else."""
LONGEST_S = 20.0
"""The longest time for the forwards that a run times after it."""
LONGEST_AT_START_S = 0.5
"""The same before it, where somebody waits."""


@dataclass
class BareForward:
    """Time of the network alone on a ready tensor (ms)."""

    p50: float
    p99: float
    n: int


def warm_up(engine: Engine, runs: int = WARM_UP) -> None:
    """Run the engine on an empty input, so that the first frame finds caches and threads in place.

    Parameters
    ----------
    engine
        The engine, loaded.
    runs
        Number of forwards.
    """
    forward = engine.ready()
    for _ in range(runs):
        forward()


def bare_forward_ms(
    engine: Engine,
    clock: Clock,
    n: int = FORWARDS,
    longest_s: float = LONGEST_S,
    warm_up_runs: int = WARM_UP,
) -> BareForward:
    """Time the engine's forward alone, one input at a time on a ready tensor, after a warm-up.

    Parameters
    ----------
    engine
        The engine, loaded.
    clock
        Measures the time.
    n
        Number of forwards.
    longest_s
        Fewer than `n` are run where those would take longer than this, s.
    warm_up_runs
        Number of forwards before.

    Returns
    -------
    BareForward
        Median and P99 (ms), and the number of forwards.
    """
    warm_up(engine, warm_up_runs)
    forward = engine.ready()
    elapsed_ns: list[int] = []
    end_ns = clock.now_ns() + round(longest_s * NS_PER_S)
    while len(elapsed_ns) < n and (start_ns := clock.now_ns()) < end_ns:
        forward()
        elapsed_ns.append(clock.now_ns() - start_ns)
    p50, p99 = np.percentile(np.array(elapsed_ns) / NS_PER_MS, [50, 99])
    return BareForward(float(p50), float(p99), len(elapsed_ns))
