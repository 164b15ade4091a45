"""Waiting that another thread can cut short."""

from __future__ import annotations

import threading

from rt_pose.clock import NS_PER_MS, Clock

AHEAD_SHARE = 1 / 3
"""A made frame (decoded, rendered) is started this share of a period before it is due: in time, and after the
loop has had the processor for the frame before."""
SLICE_NS = 40 * NS_PER_MS
"""Longest uninterrupted sleep: `stop` must take effect within 100 ms."""


def wait_until(clock: Clock, t_ns: int, stopped: threading.Event) -> bool:
    """Sleep until a time of the host clock, or until another thread sets an event.

    Parameters
    ----------
    clock
        The host clock.
    t_ns
        Host time to wait for, ns.
    stopped
        Event that ends the wait; it is looked at every `SLICE_NS` at least.

    Returns
    -------
    bool
        True at `t_ns`; False, early, where `stopped` is set.
    """
    while not stopped.is_set():
        now = clock.now_ns()
        if now >= t_ns:
            return True
        clock.sleep_until_ns(min(t_ns, now + SLICE_NS))
    return False
