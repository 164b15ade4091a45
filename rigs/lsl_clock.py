"""Between the host's clock and that of the Lab Streaming Layer on the same machine.

Both are read at the time of each mapping, so that nothing is assumed of how one runs against the other.
"""

from __future__ import annotations

import math

from rt_pose.clock import NS_PER_S, Clock

READINGS = 3
"""The tightest of so many readings is taken: a thread may be put aside between two clocks."""
LONGEST_AGE_S = 10.0
"""A time stamp older than this is none: its sender's clock was set, or it never knew ours."""


def to_lsl_s(t_ns: int, clock: Clock) -> float:
    """Map a time of the host clock to LSL's.

    Parameters
    ----------
    t_ns
        Host time, ns.
    clock
        Host clock.

    Returns
    -------
    float
        The same moment on `pylsl.local_clock`, s.
    """
    now_ns, now_s = _read_both(clock)
    return now_s - (now_ns - t_ns) / NS_PER_S


def to_host_ns(lsl_s: float, clock: Clock) -> int:
    """Map a time of LSL's clock to the host's.

    Parameters
    ----------
    lsl_s
        A time on `pylsl.local_clock`, s; of a sender elsewhere, with its correction added.
    clock
        Host clock.

    Returns
    -------
    int
        Host time, ns. Now where the stamp lies in the future, more than `LONGEST_AGE_S` ago, or is no number.
    """
    now_ns, now_s = _read_both(clock)
    age_s = now_s - lsl_s
    if not math.isfinite(age_s) or not 0.0 <= age_s <= LONGEST_AGE_S:
        return now_ns
    return now_ns - round(age_s * NS_PER_S)


def _read_both(clock: Clock) -> tuple[int, float]:
    """Both clocks at one moment: ns, s."""
    from pylsl import local_clock

    readings = []
    for _ in range(READINGS):
        before_ns, now_s, after_ns = clock.now_ns(), local_clock(), clock.now_ns()
        readings.append((after_ns - before_ns, (before_ns + after_ns) // 2, now_s))
    _, now_ns, now_s = min(readings)
    return now_ns, now_s
