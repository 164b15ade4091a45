"""The closed curve that the animal runs along, parametrised by arc length."""

from __future__ import annotations

import math

import numpy as np

from rigs.hashing import angle, hash64, uniform
from rt_pose.types import FloatArray

ARENA = (1.25, 1.0)
"""Width and height of the arena, in its heights."""
MARGIN = 0.13
"""Closest the curve comes to the wall (scene units)."""

SHARPEST_TURN = 0.10
"""Smallest radius of the curve: a body must fit round it (scene units)."""

_FIGURES = ((1, 2, math.pi / 2.0), (2, 3, math.pi / 4.0), (3, 2, math.pi / 6.0))
"""Windings in x and y, and the phase between them that keeps the figure's ends round."""
_HARMONICS = 5
_DISTORTION = 0.1
_CANDIDATES = 4
_COARSE = 512
_DENSE = 16384
_SAMPLES = 8192


class ClosedPath:
    """A distorted Lissajous figure, smoothed until its turns are wide enough, scaled to fill the arena."""

    def __init__(self, seed: int, animal: int) -> None:
        curves = [_figure(seed, animal, attempt) for attempt in range(_CANDIDATES)]
        coarse = max(curves, key=_length)
        # Band-limited interpolation: the smoothed curve has no high frequencies to lose.
        xy = np.fft.irfft(np.fft.rfft(coarse, axis=0), n=_DENSE, axis=0) * (_DENSE / _COARSE)
        xy, self.length = _resample(xy, _SAMPLES)
        ahead = np.roll(xy, -1, axis=0) - np.roll(xy, 1, axis=0)
        ahead /= np.hypot(ahead[:, 0], ahead[:, 1])[:, None]
        left = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)  # y points down: left of (1, 0) is (0, -1)
        table = np.concatenate([xy, left], axis=1)
        self._table = np.concatenate([table, table[:1]])

    def at(self, distance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return points of the curve and the directions to their left.

        Parameters
        ----------
        distance
            Arc lengths (n,) along the curve, scene units; they wrap around its length.

        Returns
        -------
        xy : FloatArray
            Points (n, 2), scene units.
        left : FloatArray
            Vectors (n, 2) of length 1, to the left of the direction of running.
        """
        position = np.mod(distance, self.length) * (_SAMPLES / self.length)
        low = np.minimum(position.astype(np.intp), _SAMPLES - 1)
        share = (position - low)[:, None]
        here = self._table[low] * (1.0 - share) + self._table[low + 1] * share  # (n, 4)
        return here[:, :2], here[:, 2:]


def _figure(seed: int, animal: int, attempt: int) -> FloatArray:
    """Points (n, 2), evenly spaced, of one smoothed random figure."""
    windings_x, windings_y, phase = _FIGURES[hash64(seed, "figure", animal) % len(_FIGURES)]
    u = np.linspace(0.0, 2.0 * np.pi, _COARSE, endpoint=False)
    axes = [np.cos(windings_x * u), np.cos(windings_y * u + phase)]
    for axis in range(2):
        for m in range(1, _HARMONICS + 1):
            amplitude = uniform(seed, "path", animal, attempt, axis, m, high=_DISTORTION)
            axes[axis] = axes[axis] + amplitude * np.cos(
                m * u + angle(seed, "turn", animal, attempt, axis, m)
            )
    return _smoothed(_fit_to_arena(np.stack(axes, axis=1)))


def _smoothed(xy: FloatArray, width: float = 0.03, most: int = 400) -> FloatArray:
    """The curve blurred along its length, again and again, until no turn is too sharp."""
    for _ in range(most):
        xy, length = _resample(xy, _COARSE)
        if _smallest_radius(xy) >= SHARPEST_TURN:
            break
        spectrum = np.fft.rfft(xy, axis=0)
        omega = 2.0 * np.pi * np.arange(len(spectrum)) / length
        blurred = spectrum * np.exp(-0.5 * (omega * width) ** 2)[:, None]
        xy = _fit_to_arena(np.fft.irfft(blurred, n=_COARSE, axis=0))
    return xy


def _fit_to_arena(xy: FloatArray) -> FloatArray:
    """The curve stretched to fill the arena inside its margin."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    stretched: FloatArray = MARGIN + (xy - low) / (high - low) * (np.array(ARENA) - 2.0 * MARGIN)
    return stretched


def _resample(xy: FloatArray, count: int) -> tuple[FloatArray, float]:
    """`count` points at equal steps along a closed curve, and the curve's length."""
    closed = np.concatenate([xy, xy[:1]])
    step = np.diff(closed, axis=0)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])
    at = np.linspace(0.0, arc[-1], count, endpoint=False)
    even = np.stack([np.interp(at, arc, closed[:, 0]), np.interp(at, arc, closed[:, 1])], axis=1)
    return even, float(arc[-1])


def _length(xy: FloatArray) -> float:
    step = np.roll(xy, -1, axis=0) - xy
    return float(np.hypot(step[:, 0], step[:, 1]).sum())


def _smallest_radius(xy: FloatArray) -> float:
    """Radius of the sharpest turn of a closed curve given by points (n, 2)."""
    d1 = (np.roll(xy, -1, axis=0) - np.roll(xy, 1, axis=0)) / 2.0
    d2 = np.roll(xy, -1, axis=0) - 2.0 * xy + np.roll(xy, 1, axis=0)
    speed = np.hypot(d1[:, 0], d1[:, 1])
    cross = np.abs(d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0])
    return float(np.min(speed**3 / np.maximum(cross, 1e-12)))
