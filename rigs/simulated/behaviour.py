"""How far the animal has run at a time: speed changes, darts, and what a stimulus does.

The animal lives on a phase clock that runs with scene time and stands still while it is frozen, so every
distance is a closed form of the time and of the stimuli: no state is carried from frame to frame.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from rigs.hashing import angle, uniform

CRUISE = 0.30
"""Mean speed between darts (arena heights a second)."""
DART_EVERY_S = 2.6
DART_S = 0.38
DART_LENGTH = 0.34
"""Mean length of a dart (arena heights); single ones lie between nothing and twice that."""
STARTLE_S = 0.35
STARTLE_LENGTH = 0.45
"""The dart that ends a freeze."""
RAMP_MS = 60.0
REAR_EVERY_S = 4.0
REAR_S, REAR_RISE_S = (0.9, 1.7), 0.35
"""How long it rears, and how long it takes to rise and to come down again."""
REAR_PITCH = (0.6, 1.0)
"""How far it raises its forebody (rad)."""

_SWAYS = ((0.45, 1.1), (0.30, 2.3), (0.15, 4.7))
"""Speed changes: share of the cruising speed, angular frequency (rad/s)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a stimulus takes effect, and for how long."""

    reaction_ms: float
    freeze_ms: float

    @property
    def ramp_ms(self) -> float:
        """Time from running to standing."""
        return min(RAMP_MS, self.reaction_ms, self.freeze_ms / 2.0)


@dataclass(slots=True)
class Reactions:
    """The stimuli that the animal answers to, in order.

    A stimulus that comes while it still answers to an earlier one, dart included, is ignored.
    """

    timing: Timing
    starts_us: list[int] = field(default_factory=list)
    """Beginning of each reaction (scene microseconds); only ever appended to."""

    @classmethod
    def to(cls, timing: Timing, stimuli_us: Iterable[int]) -> Reactions:
        """Return the reactions to a sequence of stimuli.

        Parameters
        ----------
        timing
            How late and for how long the animal reacts.
        stimuli_us
            Scene times of the stimuli, us, in order.
        """
        reactions = cls(timing)
        for stimulus_us in stimuli_us:
            reactions.add(stimulus_us)
        return reactions

    def add(self, stimulus_us: int) -> None:
        """Take in the next stimulus; it is ignored while the animal still answers to an earlier one.

        Parameters
        ----------
        stimulus_us
            Scene time of the stimulus, us; not before that of an earlier one.
        """
        busy_us = round(self.timing.freeze_ms * 1e3 + STARTLE_S * 1e6)
        if not self.starts_us or stimulus_us >= self.starts_us[-1] + busy_us:
            self.starts_us.append(stimulus_us + round(self.timing.reaction_ms * 1e3))

    def phase(self, t_s: float) -> tuple[float, float]:
        """Return the animal's own time and how far it has darted in answer to stimuli.

        Parameters
        ----------
        t_s
            Scene time, s.

        Returns
        -------
        phase_s : float
            Phase clock, s: scene time without the time that was lost in freezes.
        darted : float
            Length of all startle darts until then, scene units.
        """
        count = bisect_right(self.starts_us, t_s * 1e6)
        if not count:
            return t_s, 0.0
        freeze_s, ramp_s = self.timing.freeze_ms / 1e3, self.timing.ramp_ms / 1e3
        since = t_s - self.starts_us[count - 1] / 1e6
        # Only the last reaction can be under way: the earlier ones cost a whole freeze each.
        lost = (count - 1) * freeze_s + _time_lost(since, freeze_s, ramp_s)
        darted = (count - 1) + smooth((since - freeze_s) / STARTLE_S)
        return t_s - lost, darted * STARTLE_LENGTH


class Gait:
    """The animal's own speed: cruising that swells and fades, and darts at hashed times."""

    def __init__(self, seed: int, animal: int) -> None:
        self._seed, self._animal = seed, animal
        self._phases = [angle(seed, "speed", animal, i) for i in range(len(_SWAYS))]
        self._start = uniform(seed, "start", animal, high=20.0)

    def distance(self, phase_s: float) -> float:
        """Return the distance run, without the darts that answer stimuli.

        Parameters
        ----------
        phase_s
            Time of the phase clock, s.

        Returns
        -------
        float
            Arc length along the path, scene units; never falls.
        """
        cruised = phase_s
        for (share, omega), offset in zip(_SWAYS, self._phases, strict=True):
            cruised += share / omega * (math.sin(omega * phase_s + offset) - math.sin(offset))
        cell = math.floor(phase_s / DART_EVERY_S)
        begin = cell * DART_EVERY_S + uniform(
            self._seed, "dart", self._animal, cell, high=DART_EVERY_S - DART_S
        )
        before, after = self._darted(cell - 1), self._darted(cell)
        dart = before + (after - before) * smooth((phase_s - begin) / DART_S)
        return self._start + CRUISE * cruised + dart

    def _darted(self, cell: int) -> float:
        """Length of all darts up to and including the cell's; increasing in the cell."""
        # A hash added to a straight line, rather than a sum of hashed lengths: any time costs the same.
        return DART_LENGTH * (cell + uniform(self._seed, "length", self._animal, cell))


class Rearing:
    """When the animal of a rig in space rears, and how far: once in each cell of its phase clock."""

    def __init__(self, seed: int, animal: int) -> None:
        self._seed, self._animal = seed, animal

    def pitch(self, phase_s: float) -> float:
        """Return how far the forebody is raised.

        Parameters
        ----------
        phase_s
            Time of the phase clock, s.

        Returns
        -------
        float
            Angle, rad; 0 on all fours.
        """
        cell = math.floor(phase_s / REAR_EVERY_S)
        lasts = self._draw("rear lasts", cell, *REAR_S)
        begin = cell * REAR_EVERY_S + self._draw("rear", cell, 0.0, REAR_EVERY_S - lasts)
        since = phase_s - begin
        up = smooth(since / REAR_RISE_S) - smooth((since - lasts + REAR_RISE_S) / REAR_RISE_S)
        return up * self._draw("rear pitch", cell, *REAR_PITCH)

    def _draw(self, what: str, cell: int, low: float, high: float) -> float:
        return uniform(self._seed, what, self._animal, cell, low=low, high=high)


def smooth(x: float) -> float:
    """Rise from 0 at x = 0 to 1 at x = 1, with no step in speed or acceleration.

    Parameters
    ----------
    x
        Any number; outside 0..1 the result is 0 or 1.

    Returns
    -------
    float
        6 x^5 - 15 x^4 + 10 x^3.
    """
    x = min(max(x, 0.0), 1.0)
    return x * x * x * (x * (6.0 * x - 15.0) + 10.0)


def _time_lost(since_s: float, freeze_s: float, ramp_s: float) -> float:
    """Time by which the phase clock has fallen behind, `since_s` after it began to slow down.

    The clock's speed falls from 1 to 0 along 1 - (3x^2 - 2x^3) within one ramp, stays there, and from the end
    of the freeze on rises again within another; this is the integral of one minus that speed.
    """
    falling = min(since_s / ramp_s, 1.0)
    standing = min(max(since_s - ramp_s, 0.0), freeze_s - ramp_s)
    rising = min(max((since_s - freeze_s) / ramp_s, 0.0), 1.0)
    slowed = falling**3 - falling**4 / 2.0
    regained = rising - rising**3 + rising**4 / 2.0
    return ramp_s * (slowed + regained) + standing
