"""A device's microseconds on the host's clock."""

from __future__ import annotations

from collections import deque

NS_PER_US = 1000
KEPT = 64
"""Samples of which the best one counts: about a second of heartbeats, in which quartzes hardly part."""


class DeviceClock:
    """Maps 32 bits of device microseconds, which wrap around every 71.6 minutes, to host time.

    The device reads its clock somewhere between the sending of a question and the coming of its answer. Where
    both are close together, that says best how far the clocks are apart (Cristian 1989): the error is at most
    half of that time.
    """

    def __init__(self) -> None:
        self._last_us: int | None = None
        self._samples: deque[tuple[int, int]] = deque(maxlen=KEPT)

    def unwrap(self, t_us: int) -> int:
        """The same time as a count that never wraps, for times within half an hour of one another."""
        if self._last_us is None:
            self._last_us = t_us
        ahead = (t_us - self._last_us + 2**31) % 2**32 - 2**31
        unwrapped = self._last_us + ahead
        self._last_us = max(self._last_us, unwrapped)
        return unwrapped

    def sample(self, t_us: int, asked_ns: int, answered_ns: int) -> None:
        """The device read `t_us` between these host times."""
        offset_ns = (asked_ns + answered_ns) // 2 - self.unwrap(t_us) * NS_PER_US
        self._samples.append((answered_ns - asked_ns, offset_ns))

    def host_ns(self, device_us: int) -> int | None:
        """Host time of an unwrapped device time; None before the first sample."""
        if not self._samples:
            return None
        return device_us * NS_PER_US + min(self._samples)[1]

    @property
    def error_ns(self) -> int | None:
        """Bound on the error of `host_ns`."""
        return min(self._samples)[0] // 2 if self._samples else None
