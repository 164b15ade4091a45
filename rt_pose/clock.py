"""The only reader of time in the program.

Everything else is given a `Clock`. Times are int64 nanoseconds of the host's CLOCK_MONOTONIC, which on
Linux is one clock for all processes, so that stamps of the loop, the recorder and the viewer compare.
"""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """The source of all times in the program."""

    def now_ns(self) -> int:
        """Read the monotonic host clock.

        Returns
        -------
        int
            Time, ns.
        """
        ...

    def utc_ns(self) -> int:
        """Read the time of day, for anchors and names only, never for differences.

        Returns
        -------
        int
            Nanoseconds since the Unix epoch.
        """
        ...

    def sleep_until_ns(self, t_ns: int) -> None:
        """Return at `t_ns` of the monotonic clock, at once where that is past.

        Parameters
        ----------
        t_ns
            When to return, ns of the clock of `now_ns`.
        """
        ...


class HostClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """See `Clock.utc_ns`."""
        return time.time_ns()

    def sleep_until_ns(self, t_ns: int) -> None:
        """See `Clock.sleep_until_ns`."""
        remaining = t_ns - time.monotonic_ns()
        if remaining > 0:
            time.sleep(remaining / NS_PER_S)


class FakeClock:
    """A clock that tests and replay set by hand; sleeping moves it forward."""

    def __init__(self, now_ns: int = 0, utc_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        """Set the clock.

        Parameters
        ----------
        now_ns
            What `now_ns` gives at first, ns.
        utc_ns
            Nanoseconds since the Unix epoch at that moment.
        """
        self._now_ns = now_ns
        self._utc_offset_ns = utc_ns - now_ns

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return self._now_ns

    def utc_ns(self) -> int:
        """See `Clock.utc_ns`."""
        return self._now_ns + self._utc_offset_ns

    def sleep_until_ns(self, t_ns: int) -> None:
        """Move the clock to `t_ns`, unless that is past.

        Parameters
        ----------
        t_ns
            The new time, ns.
        """
        self._now_ns = max(self._now_ns, t_ns)

    def advance_ms(self, ms: float) -> None:
        """Move the clock forward.

        Parameters
        ----------
        ms
            By how much, ms.
        """
        self._now_ns += round(ms * NS_PER_MS)
