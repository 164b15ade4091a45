"""How much of the machine other processes took during a measurement: a disturbed comparison is worthless."""

from __future__ import annotations

import os
from pathlib import Path

from rt_pose.clock import NS_PER_S, HostClock

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BackgroundLoad:
    """Measures, from `start` to `share`, the processor time of all but this process and the given ones."""

    def __init__(self, pids: list[int]) -> None:
        """Name the processes that do not count.

        Parameters
        ----------
        pids
            Numbers of processes that belong to the measurement.
        """
        self._pids = [os.getpid(), *pids]
        self._clock = HostClock()
        self._cores = os.cpu_count() or 1
        self._from = (0, 0, 0)

    def start(self) -> None:
        """Count from here."""
        self._from = (self._clock.now_ns(), _busy_ticks(), self._own_ticks())

    def share(self) -> float:
        """Get the share of the machine's processor time that others took since `start`, 0 to 1."""
        since, busy, own = self._from
        elapsed_s = (self._clock.now_ns() - since) / NS_PER_S
        ticks = (_busy_ticks() - busy) - (self._own_ticks() - own)
        return max(ticks, 0) / _TICKS_PER_S / (elapsed_s * self._cores) if elapsed_s > 0 else 0.0

    def _own_ticks(self) -> int:
        return sum(_process_ticks(Path(f"/proc/{pid}/stat").read_text()) for pid in self._pids)


def busy_s() -> float:
    """Read how much processor time of all cores was not idle since the machine began, s.

    Returns
    -------
    float
        What the host took for others included.
    """
    return _busy_ticks() / _TICKS_PER_S


def _busy_ticks() -> int:
    """Ticks of all cores that were not idle, those that the host took for others included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return user + nice + system + irq + softirq + steal


def _process_ticks(stat: str) -> int:
    # The name stands in brackets and may hold anything; the numbers follow the last one.
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def processor_s(pid: int) -> float:
    """Read how much processor time a process has taken since it began, s.

    Parameters
    ----------
    pid
        Number of the process.

    Returns
    -------
    float
        Of all its threads, in user and system mode.

    Raises
    ------
    FileNotFoundError
        Where there is no such process.
    """
    return _process_ticks(Path(f"/proc/{pid}/stat").read_text()) / _TICKS_PER_S


def own_memory_mib(pid: int) -> float:
    """Read the memory that belongs to a process alone.

    Parameters
    ----------
    pid
        Number of the process.

    Returns
    -------
    float
        MiB; shared memory and mapped files do not count.

    Raises
    ------
    FileNotFoundError
        Where there is no such process.
    """
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise FileNotFoundError(f"process {pid} has no memory any more")
