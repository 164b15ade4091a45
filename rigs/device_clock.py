"""A device's microseconds on the host's clock."""

from __future__ import annotations

from collections import deque

from rigs.counters import advance
from rt_pose.clock import NS_PER_MS

NS_PER_US = 1000
KEPT = 64
"""Samples of which the best one counts."""
DRIFT_NS_PER_US = 5
"""By how much the clocks part at most: a ceramic resonator, as on an Arduino Uno, is off by 0.5 %."""
RESET_NS = 100 * NS_PER_MS
RESET_RATE = 0.01
"""A clock that is off by more, and by more than this share of the time since the last sample, was reset."""


class DeviceClock:
    """Maps 32 bits of device microseconds, which wrap around every 71.6 minutes, to host time.

    The device reads its clock somewhere between the sending of a question and the arrival of its answer. A
    sample is off by at most half of that time, and by what the clocks have parted since. For each time the
    sample counts whose bound is the least.

    Notes
    -----
    Cristian, F. (1989), "Probabilistic clock synchronization", Distributed Computing 3.
    """

    def __init__(self) -> None:
        self._last_us: int | None = None
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=KEPT)
        """Bound of the error when it was taken, ns; the offset between the clocks, ns; device time, us."""
        self._sampled_ns = 0
        """When the last sample was taken, host time, ns."""

    def unwrap(self, t_us: int) -> int:
        """Return the same device time as a count that never wraps.

        Parameters
        ----------
        t_us
            Device time, us, 32 bits; within half an hour of the latest one that was given before.

        Returns
        -------
        int
            Device time, us, without wrap-around; the first call defines its origin.
        """
        if self._last_us is None:
            self._last_us = t_us
        ahead = advance(t_us, self._last_us, 2**32)
        unwrapped = self._last_us + ahead
        self._last_us = max(self._last_us, unwrapped)
        return unwrapped

    def sample(self, t_us: int, asked_ns: int, answered_ns: int) -> None:
        """Record that the device read its clock as `t_us` between two host times.

        Parameters
        ----------
        t_us
            Device time, us, 32 bits.
        asked_ns, answered_ns
            Host times of the question and of its answer, ns.
        """
        device_us = self.unwrap(t_us)
        offset_ns = (asked_ns + answered_ns) // 2 - device_us * NS_PER_US
        self._samples.append(((answered_ns - asked_ns) // 2, offset_ns, device_us))
        self._sampled_ns = answered_ns

    def begun_again(self, t_us: int, asked_ns: int, answered_ns: int) -> bool:
        """Check whether the device's clock is not where it must be, because the device was reset.

        Parameters
        ----------
        t_us
            Device time, us, 32 bits.
        asked_ns, answered_ns
            Host times between which the device read it, ns.

        Returns
        -------
        bool
            False before the first sample.
        """
        if self._last_us is None:
            return False
        host_ns = self.host_ns(self._last_us + advance(t_us, self._last_us, 2**32))
        slack_ns = RESET_NS + round(RESET_RATE * (answered_ns - self._sampled_ns))
        return host_ns is not None and not asked_ns - slack_ns <= host_ns <= answered_ns + slack_ns

    def host_ns(self, device_us: int) -> int | None:
        """Convert an unwrapped device time to host time.

        Parameters
        ----------
        device_us
            Device time, us, as `unwrap` returns it.

        Returns
        -------
        int or None
            Host time, ns; None before the first sample.
        """
        best = self._best(device_us)
        return None if best is None else device_us * NS_PER_US + best[1]

    def error_ns(self, device_us: int) -> int | None:
        """Bound the error of `host_ns`.

        Parameters
        ----------
        device_us
            Device time, us, as `unwrap` returns it.

        Returns
        -------
        int or None
            The bound, ns; None before the first sample.
        """
        best = self._best(device_us)
        return None if best is None else best[0]

    def _best(self, device_us: int) -> tuple[int, int] | None:
        """The least bound of the error, ns, and the offset that has it; None before the first sample."""
        samples = tuple(self._samples)  # another thread may add one meanwhile
        bounds = (
            (error_ns + DRIFT_NS_PER_US * abs(device_us - sampled_us), offset_ns)
            for error_ns, offset_ns, sampled_us in samples
        )
        return min(bounds, default=None)


def hold_between(t_ns: int | None, sent_ns: int | None, answered_ns: int | None) -> int | None:
    """Hold a time of effect between the sending of its command and its answer.

    Parameters
    ----------
    t_ns
        The time of effect as the device's clock gives it, host time, ns; None where it is not known.
    sent_ns, answered_ns
        Host times, ns; None where they are not known.

    Returns
    -------
    int or None
        Host time, ns; None where it is not known.
    """
    if t_ns is None:
        return None
    t_ns = t_ns if sent_ns is None else max(t_ns, sent_ns)
    return t_ns if answered_ns is None else min(t_ns, answered_ns)
