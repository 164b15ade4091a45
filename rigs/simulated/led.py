"""A light in the simulated camera's view that the simulated outputs switch: the rig's known answer."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, check_range
from rt_pose.types import Command

KEPT = 64
"""Commands that are remembered: a late frame shows what was long ago."""
NS_PER_US = 1000


@dataclass
class LedOptions:
    """A light in view. It is on while a command of an output of the same world lasts."""

    xy: list[float] = field(default_factory=lambda: [16.0, 16.0])
    """Its centre, px."""
    radius_px: float = 5.0
    """Its radius."""
    level: int = 250
    """Grey level of its pixels while it is on."""

    def check(self, where: str) -> None:
        """Check the ranges of all values.

        Parameters
        ----------
        where
            Key of the configuration to name in an error.

        Raises
        ------
        UserError
            Where a value lies outside its range.
        """
        if len(self.xy) != 2 or not all(map(math.isfinite, self.xy)):
            raise UserError(f"{where}: xy must be two numbers, got {self.xy}")
        check_range(where, "radius_px", self.radius_px, 0.5, 1000.0)
        check_range(where, "level", self.level, 0, 255)

    def draw(self, into: NDArray[np.uint8]) -> None:
        """Draw the light.

        Parameters
        ----------
        into
            The frame (H, W, C); the light's pixels are overwritten.
        """
        x, y = self.xy
        left, top = max(0, int(x - self.radius_px)), max(0, int(y - self.radius_px))
        right, bottom = max(0, int(x + self.radius_px) + 2), max(0, int(y + self.radius_px) + 2)
        patch = into[top:bottom, left:right]
        rows, columns = np.ogrid[top : top + patch.shape[0], left : left + patch.shape[1]]
        patch[(columns - x) ** 2 + (rows - y) ** 2 <= self.radius_px**2] = self.level


@dataclass(frozen=True, slots=True)
class _Shining:
    """What one command does to the light; host times, ns."""

    begin_ns: int
    length_ns: int | None
    """Of each flash; None: until it is ended."""
    period_ns: int = 1
    count: int = 1
    end_ns: int | None = None
    """A later command ended it."""

    def at(self, t_ns: int) -> bool:
        since_ns = t_ns - self.begin_ns
        if since_ns < 0 or (self.end_ns is not None and t_ns >= self.end_ns):
            return False
        if self.length_ns is None:
            return True
        flash = min(since_ns // self.period_ns, self.count - 1)
        return since_ns - flash * self.period_ns < self.length_ns


class Led:
    """When the light is on. Commands come from outputs' threads, questions from cameras'."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shining: deque[_Shining] = deque(maxlen=KEPT)

    def take(self, command: Command, t_ns: int) -> None:
        """Note what a command does to the light.

        Parameters
        ----------
        command
            The command.
        t_ns
            When it acts, host time; a moment to come is taken as well.
        """
        length_ns, period_ns = command.duration_us * NS_PER_US, max(1, command.period_us * NS_PER_US)
        with self._lock:
            if command.action in ("level", "stop") or command.amplitude == 0.0:
                self._end(t_ns)
            if command.amplitude == 0.0:
                return
            if command.action == "level":
                self._shining.append(_Shining(t_ns, length_ns or None))
            elif command.action in ("pulse", "analog"):
                self._shining.append(_Shining(t_ns, length_ns))
            elif command.action == "train":
                self._shining.append(_Shining(t_ns, length_ns, period_ns, command.count))

    def end(self, t_ns: int) -> None:
        """Put the light out.

        Parameters
        ----------
        t_ns
            Host time, ns.
        """
        with self._lock:
            self._end(t_ns)

    def is_on(self, t_ns: int) -> bool:
        """Whether the light is on.

        Parameters
        ----------
        t_ns
            Host time, ns, not later than now: what commands do later is not known yet.
        """
        with self._lock:
            return any(shining.at(t_ns) for shining in self._shining)

    def _end(self, t_ns: int) -> None:
        for i, shining in enumerate(self._shining):
            if shining.end_ns is None or shining.end_ns > t_ns:
                self._shining[i] = replace(shining, end_ns=t_ns)
