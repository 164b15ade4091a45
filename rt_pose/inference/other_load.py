"""How much of this process's cores other processes take: what is measured beside them is not to be kept."""

from __future__ import annotations

import os
from pathlib import Path

STAT = Path("/proc/stat")
_IDLE = (3, 4)
"""Places of the ticks without work in a line of a core: idle, and waiting for a disk."""
_COUNTED = 8
"""What follows in such a line (guests) is counted in what comes before."""


class OtherLoad:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._since = _ticks()

    def share(self) -> float:
        """Compute the share of the cores' time that other processes, or the host, took since then.

        Returns
        -------
        float
            0 to 1; 0 where the system does not say it.
        """
        busy, total, own = (now - before for now, before in zip(_ticks(), self._since, strict=True))
        return min(max(busy - own, 0.0) / total, 1.0) if total > 0 else 0.0


def _ticks() -> tuple[float, float, float]:
    """Of the cores that this process may use: ticks with work, all ticks, and this process's own."""
    names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    busy = total = 0
    try:
        lines = STAT.read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for name, *numbers in (line.split() for line in lines if line.startswith("cpu")):
        if name in names:
            ticks = [int(number) for number in numbers[:_COUNTED]]
            total += sum(ticks)
            busy += sum(ticks) - sum(ticks[place] for place in _IDLE)
    times = os.times()
    return busy, total, (times.user + times.system) * os.sysconf("SC_CLK_TCK")
