"""What some quantities keep from frame to frame, so that it replays: a function of the frames seen, in order.

Each is shown the filter's estimate at every exposure, never a prediction, and asked about the time of effect.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rt_pose.rules.samples import Array, StateSamples
from rt_pose.rules.zones import Line


class Memory(Protocol):
    """What a quantity keeps for one rule and individual."""

    def reset(self) -> None:
        """Empty the memory: a recording was wound back, a clock stepped back or a camera came back."""

    def observe(self, samples: StateSamples) -> None:
        """Take in the estimate at an exposure; times only go forward.

        Parameters
        ----------
        samples
            The filter's mean (n = 1).
        """


@dataclass(frozen=True, slots=True)
class Signal:
    """A value to follow."""

    measure: Callable[[StateSamples], Any]
    slots: tuple[int, ...]
    """Of the keypoints it is made of."""
    turn: float | None = None
    """Of an angle on the circle: a whole turn in its unit, by which it jumps."""


class LineCrossing:
    """Whether a keypoint has come through a line, from one side to the other, and is still beyond it."""

    def __init__(self, keypoint: int, line: Line, side: str, across_losses: bool = False) -> None:
        """Begin with nothing seen.

        Parameters
        ----------
        keypoint
            Slot of the keypoint in samples.
        line
            The line, in the slot's unit.
        side
            "left" or "right": where a crossing leads to.
        across_losses
            Whether a keypoint that was lost is taken to have gone straight to where it is seen again.
        """
        self._keypoint, self._line, self._across_losses = keypoint, line, across_losses
        self._sign = 1.0 if side == "right" else -1.0
        self._length = math.hypot(line.x2 - line.x1, line.y2 - line.y1)
        self.reset()

    def reset(self) -> None:
        """See `Memory.reset`."""
        self._from: tuple[float, float] | None = None
        """(signed distance, place along the line) when it was last on the near side."""
        self._far = self._through = False

    def observe(self, samples: StateSamples) -> None:
        """See `Memory.observe`."""
        if samples.lost[self._keypoint] and not self._across_losses:
            self.reset()  # nobody saw by which way it went on
            return
        side, along = self._place(samples)
        if not math.isfinite(side[0]):
            return
        far = bool(side[0] >= 0.0)
        if not far:
            self._from, self._through = (float(side[0]), float(along[0])), False
        elif not self._far and self._from is not None:
            self._through = bool(self._margin(side, along)[0] >= 0.0)
        self._far = far

    def beyond(self, samples: StateSamples) -> Array:
        """Compute how far beyond the line the keypoint is.

        Parameters
        ----------
        samples
            Alternatives of the state (n).

        Returns
        -------
        Array
            Distance beyond the line, (n,); negative where it is not beyond, or came around the line.
        """
        side, along = self._place(samples)
        if self._far:
            return side if self._through else np.full_like(side, -np.inf)
        if self._from is None:
            return np.full_like(side, -np.inf)
        return self._margin(side, along)

    def _place(self, samples: StateSamples) -> tuple[Array, Array]:
        x, y = samples.x[self._keypoint], samples.y[self._keypoint]
        return self._sign * self._line.side(x, y), self._line.along(x, y)

    def _margin(self, side: Array, along: Array) -> Array:
        """Margin of the straight path from the last place on the near side to the given ones."""
        assert self._from is not None
        side_0, along_0 = self._from
        share = side_0 / np.minimum(side_0 - side, side_0)  # of the way up to the line; the near side: 1
        met = along_0 + share * (along - along_0)
        return np.minimum(side, self._length * np.minimum(met, 1.0 - met))


class WindowMean:
    """Mean of a signal over the last so long, of the frames in which all that it is made of was seen."""

    def __init__(self, signal: Signal, window_s: float) -> None:
        """Begin with nothing seen.

        Parameters
        ----------
        signal
            What to follow.
        window_s
            Length of the window, s.
        """
        self._signal, self._window_s = signal, window_s
        self.reset()

    def reset(self) -> None:
        """See `Memory.reset`."""
        self._seen: deque[tuple[float, float]] = deque()
        """Time (s) and value of each frame."""
        self._sum = 0
        """Of these values, exactly: no rounding stays behind of what has left the window."""
        self._covered = False

    def observe(self, samples: StateSamples) -> None:
        """See `Memory.observe`."""
        begin_s = samples.t_s - self._window_s
        while self._seen and self._seen[0][0] < begin_s:
            self._sum -= _exact(self._seen.popleft()[1])
            self._covered = True
        if any(not samples.unseen_s[slot] <= 0.0 for slot in self._signal.slots):
            return
        value = float(np.ravel(self._signal.measure(samples))[0])
        if math.isfinite(value):
            self._sum += _exact(value)
            self._seen.append((samples.t_s, value))

    def mean(self) -> float:
        """Compute the mean.

        Returns
        -------
        float
            In the signal's unit; NaN until a whole window has passed, and where nothing of it was seen.
        """
        if not self._covered or not self._seen:
            return math.nan
        try:
            return self._sum / SMALLEST_PARTS / len(self._seen)  # the quotient of integers is rounded once
        except OverflowError:
            return math.inf if self._sum > 0 else -math.inf


SMALLEST_PARTS = 1 << 1074
"""Every number is a whole multiple of 1 over this."""


def _exact(value: float) -> int:
    """A finite number, counted in the smallest parts."""
    over, under = value.as_integer_ratio()
    return over * (SMALLEST_PARTS // under)


OSCILLATION_VARIANCE = 25.0
"""Of the movement, in units of the noise's: the ratio alone decides how fast the phase follows."""
MEMORY_CYCLES = 8.0
"""Over which an oscillation keeps its amplitude and phase to 1/e."""
OFFSET_SHARE = 0.2
"""Random walk of the offset in a cycle, as a share of the oscillation's variance."""
FREQUENCY_CYCLES = 5.0
"""Time constant with which the frequency follows."""
FREQUENCY_RANGE = 1.6
"""The frequency stays within this factor of the one that was named."""
SETTLING_CYCLES = 1.5
STALE_CYCLES = 1.0
TURN = 2.0 * math.pi


class PhaseTracker:
    """Phase and amplitude of a periodic movement, causally.

    A Kalman filter whose state is an oscillator (in phase and in quadrature) that turns at the frequency,
    plus a slow offset; after Matsuda and Komaki 2017 (Neural Computation 29) and Wodeyar et al. 2021 (eLife
    10:e68803). The frequency follows as a phase-locked loop does: each correction of the phase, per time, is
    a part of what it is off by. Only the ratio of movement to noise matters, so one set of constants does
    for every signal.
    """

    def __init__(self, signal: Signal, frequency_hz: float, at_least: float = 0.0) -> None:
        """Begin with nothing seen.

        Parameters
        ----------
        signal
            What to follow.
        frequency_hz
            Nominal frequency of the oscillation, Hz.
        at_least
            Amplitude below which there is no phase, in the signal's unit.
        """
        self._signal, self._nominal, self._at_least = signal, TURN * frequency_hz, at_least
        self._cycle_s = 1.0 / frequency_hz
        self.reset()

    def reset(self) -> None:
        """See `Memory.reset`."""
        self._t_s: float | None = None
        self._begun_s = self._value = 0.0
        self._a = self._b = self._offset = 0.0
        self._omega = self._nominal

    def observe(self, samples: StateSamples) -> None:
        """See `Memory.observe`."""
        if any(not samples.unseen_s[slot] <= 0.0 for slot in self._signal.slots):
            return  # the filter extrapolated: the movement was not observed
        value = float(np.ravel(self._signal.measure(samples))[0])
        if not math.isfinite(value):
            return
        t_s, turn = samples.t_s, self._signal.turn
        if turn is not None and self._t_s is not None:
            value += turn * round((self._value - value) / turn)
        self._value = value
        if self._t_s is None or t_s - self._t_s > MEMORY_CYCLES * self._cycle_s:
            self._begin(t_s, value)
        elif t_s > self._t_s:
            self._follow(t_s - self._t_s, value)
            self._t_s = t_s

    def phase_deg(self, t_s: float) -> float:
        """Extrapolate the phase.

        Parameters
        ----------
        t_s
            Scene time, s.

        Returns
        -------
        float
            0 at the signal's maximum, 180 at its minimum, deg; NaN where there is no such movement.
        """
        if not self._settled(t_s) or self.amplitude() < self._at_least or self._t_s is None:
            return math.nan
        angle = math.atan2(self._b, self._a) + self._omega * (t_s - self._t_s)
        return math.degrees(angle % TURN)

    def amplitude(self) -> float:
        """Estimate the amplitude: half of the way from minimum to maximum.

        Returns
        -------
        float
            The amplitude in the signal's unit; NaN until the filter has settled.
        """
        settled = self._t_s is not None and self._t_s - self._begun_s >= SETTLING_CYCLES * self._cycle_s
        return math.hypot(self._a, self._b) if settled else math.nan

    @property
    def frequency_hz(self) -> float:
        """As it is now."""
        return self._omega / TURN

    def _settled(self, t_s: float) -> bool:
        return not math.isnan(self.amplitude()) and t_s - (self._t_s or 0.0) <= STALE_CYCLES * self._cycle_s

    def _begin(self, t_s: float, value: float) -> None:
        self._t_s = self._begun_s = t_s
        self._a = self._b = 0.0
        self._offset, self._omega = value, self._nominal
        s = OSCILLATION_VARIANCE
        self._cov = np.diag([s, s, s])

    def _follow(self, dt_s: float, value: float) -> None:
        cycles = dt_s / self._cycle_s
        keep = math.exp(-cycles / MEMORY_CYCLES)
        cos, sin = keep * math.cos(self._omega * dt_s), keep * math.sin(self._omega * dt_s)
        a, b = cos * self._a - sin * self._b, sin * self._a + cos * self._b
        turn = np.array(((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0)))
        cov = turn @ self._cov @ turn.T
        spread = OSCILLATION_VARIANCE * (1.0 - keep * keep)
        cov += np.diag([spread, spread, OFFSET_SHARE * OSCILLATION_VARIANCE * cycles])
        seen = cov[:, 0] + cov[:, 2]  # covariance of the state with what is seen, a + offset
        gain = seen / (seen[0] + seen[2] + 1.0)
        self._cov = cov - np.outer(gain, seen)
        surprise = value - a - self._offset
        self._a, self._b = a + float(gain[0]) * surprise, b + float(gain[1]) * surprise
        self._offset += float(gain[2]) * surprise
        self._follow_frequency(a, b, dt_s, cycles)

    def _follow_frequency(self, a: float, b: float, dt_s: float, cycles: float) -> None:
        share = 1.0 - math.exp(-cycles / FREQUENCY_CYCLES)
        if math.hypot(self._a, self._b) > self._at_least:
            ahead = math.atan2(a * self._b - b * self._a, a * self._a + b * self._b)
            self._omega += share * ahead / dt_s
        else:  # nothing to follow
            self._omega += share * (self._nominal - self._omega)
        self._omega = min(max(self._omega, self._nominal / FREQUENCY_RANGE), self._nominal * FREQUENCY_RANGE)
