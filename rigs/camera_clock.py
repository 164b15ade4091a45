"""A camera's clock on the host's clock, from frames that arrive late by an unknown, changing time.

A frame arrives after its exposure has ended and its pixels have travelled: never sooner than the fastest
journey, often later. The pairs (device time, arrival) therefore lie above a straight line whose slope is the
ratio of the two quartzes; the line is found from the frames that touch it. What the fastest journey takes is
no matter of clocks: it is a constant that `rt-pose rig loopback` measures.
"""

from __future__ import annotations

from array import array
from collections import deque
from itertools import pairwise
from math import inf

import numpy as np

from rigs.counters import advance
from rt_pose.clock import NS_PER_MS, NS_PER_S

SLOPE_BOUND = 200e-6
"""Quartzes differ by less."""
SLOPE_TYPICAL = 50e-6
"""Standard deviation of what is expected of a slope before anything is known."""
BUCKET_NS = NS_PER_S // 2
"""Of the frames of so long only the soonest is kept."""
KEPT = 128
"""Buckets that count, about a minute: quartzes change with the room's temperature within minutes."""
START_ERROR_NS = 20 * NS_PER_MS
"""How late the only frame so far may be."""
TOUCHING = 14.0
"""With n frames that are late by m on average, none of them is sooner than this times m / n in one case of a
thousand, also where only half as many frames are fast as the mean suggests."""
FALL_NS = NS_PER_MS
"""A frame that comes sooner than line and error allow by more than this shows that all before were late."""
SETTLED = 50
"""Frames after which a much sooner one is no fast frame after slow ones but another clock."""
JUMP_NS = 20 * NS_PER_MS
"""A frame so much too soon, or all frames so much too late, show that the device has set its clock."""
LATE_NS = 5 * NS_PER_S
LATE_FRAMES = 20
"""For so long, and so many, must all frames be too late: a host that was busy catches up sooner."""
RESIDUALS = 4096
"""Newest residuals that the percentiles are of."""
LEAST_ERROR_NS = 1000
LEAST_LATENESS_NS = 1000.0


class LowerLine:
    """The highest line below all points (x, y) of the last minute, its slope close to 0.

    It is the likeliest line where lateness is distributed exponentially and slopes normally
    (`SLOPE_TYPICAL`); each added point costs a comparison, and twice a second a fit to at most `KEPT` points.

    Notes
    -----
    Moon, S. B., Skelly, P. and Towsley, D. (1999), "Estimation and removal of clock skew from network delay
    measurements", IEEE INFOCOM.
    """

    def __init__(self) -> None:
        self.slope = 0.0
        self._lateness_ns = 0.0
        self._full: deque[tuple[int, int, int]] = deque(maxlen=KEPT - 1)
        """Soonest point of each bucket that is over, and how many points the bucket had."""
        self._clear()

    def _clear(self) -> None:
        self._full.clear()
        self._soonest: tuple[int, int] | None = None
        self._bucket = self._in_bucket = self._in_full = 0
        self._x0 = 0
        self._y0 = 0.0

    def begin_anew(self, x: int, y: int) -> None:
        """Forget all points but this one; the slope is kept.

        Parameters
        ----------
        x, y
            The point, ns.
        """
        self._clear()
        self._x0, self._y0 = x, float(y)
        self._soonest, self._bucket, self._in_bucket = (x, y), x // BUCKET_NS, 1

    def at(self, x: int) -> float:
        """Return the line's height, ns, at `x`, ns.

        Parameters
        ----------
        x
            Where, ns.
        """
        return self._y0 + self.slope * (x - self._x0)

    def add(self, x: int, y: int) -> None:
        """Take a point in; the first one comes with `begin_anew`.

        Parameters
        ----------
        x, y
            The point, ns, to the right of those before.
        """
        above = y - self.at(x)
        self._lateness_ns += (max(above, 0.0) - self._lateness_ns) / min(self.points + 1, 1000)
        if above < 0.0:
            self._y0 += above
        if x // BUCKET_NS != self._bucket:
            self._close_bucket()
            self._soonest, self._bucket, self._in_bucket = (x, y), x // BUCKET_NS, 1
            self._fit()
            return
        self._in_bucket += 1
        if self._soonest is None or y < self._soonest[1]:
            self._soonest = (x, y)

    @property
    def points(self) -> int:
        """How many points of the last minute the line lies below."""
        return self._in_full + self._in_bucket

    def error_ns(self, x: int) -> float:
        """Estimate how far the line may be from the truth, but for the fastest journey.

        Parameters
        ----------
        x
            Where, ns.
        """
        level = TOUCHING * self._lateness_ns / self.points
        first = self._full[0][0] if self._full else self._x0
        tilt = min(4.0 * level + START_ERROR_NS / self.points, 3.0 * SLOPE_TYPICAL * (x - first))
        return LEAST_ERROR_NS + START_ERROR_NS / self.points + level + max(tilt, 0.0)

    def _close_bucket(self) -> None:
        if self._soonest is None:
            return
        if len(self._full) == self._full.maxlen:
            self._in_full -= self._full[0][2]
        self._full.append((*self._soonest, self._in_bucket))
        self._in_full += self._in_bucket

    def _fit(self) -> None:
        points = [(x, y) for x, y, _ in self._full]
        if self._soonest is not None:
            points.append(self._soonest)
        hull = _lower_hull(points)
        middle = sum(x for x, _ in points) / len(points)
        weight = self.points / max(self._lateness_ns, LEAST_LATENESS_NS)
        self._x0 = round(middle)
        self.slope, self._y0 = _likeliest(hull, self._x0, weight)


def _lower_hull(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The corners of the points' convex hull that are seen from below; `points` ascend in x."""
    hull: list[tuple[int, int]] = []
    for x, y in points:
        while len(hull) > 1:
            (x1, y1), (x2, y2) = hull[-2], hull[-1]
            if (y2 - y1) * (x - x1) < (y - y1) * (x2 - x1):
                break
            hull.pop()
        hull.append((x, y))
    return hull


def _likeliest(hull: list[tuple[int, int]], middle: int, weight: float) -> tuple[float, float]:
    """Slope and height at `middle` of the likeliest line below a hull.

    Of lines of slope s the best touches the hull at a corner; the log likelihood is `weight` times its height
    at `middle`, less (s / SLOPE_TYPICAL)^2 / 2. Each corner is touched by the slopes between those of its two
    edges.
    """
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairwise(hull)]
    best, found = -inf, (0.0, 0.0)
    for (x, y), before, after in zip(hull, [-inf, *slopes], [*slopes, inf], strict=True):
        low, high = max(before, -SLOPE_BOUND), min(after, SLOPE_BOUND)
        if low > high:
            continue  # no line that is flat enough touches this corner
        slope = min(max(SLOPE_TYPICAL**2 * weight * (middle - x), low), high)
        height = y + slope * (middle - x)
        likelihood = weight * (height - hull[0][1]) - (slope / SLOPE_TYPICAL) ** 2 / 2
        if likelihood > best:
            best, found = likelihood, (slope, height)
    return found


class CameraClock:
    """Maps a camera's ticks to the host's clock: causal, never backwards, with a stated error.

    The time it gives is that at which the frame would have arrived by the fastest journey.
    """

    def __init__(self, tick_hz: float, tick_modulo: int | None = None) -> None:
        """Begin without a frame.

        Parameters
        ----------
        tick_hz
            Ticks a second, as the device says.
        tick_modulo
            After how many ticks the count begins again; None for one that does not in any experiment.
        """
        self.tick_hz, self.tick_modulo = tick_hz, tick_modulo
        self.resets = 0
        """How often the device has set its clock."""
        self.error_ns = 0
        """Bound on the error of the newest time, ns, but for the constant of the fastest journey."""
        self.frames = 0
        self._line = LowerLine()
        self._residuals = array("q", bytes(8 * RESIDUALS))
        self._last: tuple[int, int] | None = None
        """Ticks and arrival of the newest frame."""
        self._elapsed = 0
        """Ticks since the first frame of this fit."""
        self._newest_ns = 0
        self._late_since: int | None = None
        self._late_frames = 0

    @property
    def slope_ppm(self) -> float:
        """How much slower the device's clock goes than the host's, in millionths."""
        return self._line.slope * 1e6

    def residuals_ns(self) -> np.ndarray:
        """Return by how much the newest frames came later than the line, (n,) int64 ns, in no order."""
        return np.array(self._residuals[: min(self.frames, RESIDUALS)], dtype=np.int64)

    def begin_anew(self) -> None:
        """Forget what is known of the device: it may have been switched off since."""
        self._line, self._last = LowerLine(), None

    def host_ns(self, ticks: int, arrival_ns: int) -> int | None:
        """Take the next frame in and return its time on the host's clock.

        Parameters
        ----------
        ticks
            The device's clock at the frame.
        arrival_ns
            Host time of its arrival, ns.

        Returns
        -------
        int or None
            When it would have arrived by the fastest journey, ns, later than for any frame before; None
            where the device's clock has not moved since the last frame.
        """
        gone = None if self._last is None else self._ticks_gone(ticks, arrival_ns)
        if gone == 0:
            return None
        self._last = (ticks, arrival_ns)
        self.frames += 1
        if gone is None:
            return self._begin(arrival_ns)
        if gone < 0:
            return self._reset(arrival_ns)
        before_ns = self._device_ns()
        self._elapsed += gone
        x = self._device_ns()
        late_ns = arrival_ns - x - self._line.at(x)
        if self._line.points >= SETTLED and (late_ns < -JUMP_NS or self._always_late(x, late_ns)):
            return self._reset(arrival_ns)
        if late_ns < -self._line.error_ns(x) - FALL_NS:
            self._line.begin_anew(x, arrival_ns - x)
        else:
            self._line.add(x, arrival_ns - x)
        self._residuals[(self.frames - 1) % RESIDUALS] = round(max(late_ns, 0.0))
        return self._give(x, arrival_ns, (x - before_ns) // 2)

    def _ticks_gone(self, ticks: int, arrival_ns: int) -> int:
        assert self._last is not None
        last, last_arrival_ns = self._last
        if self.tick_modulo is None:
            return ticks - last
        expected = round((arrival_ns - last_arrival_ns) * self.tick_hz / NS_PER_S)
        return advance(ticks, last, self.tick_modulo, expected)

    def _device_ns(self) -> int:
        return round(self._elapsed * (NS_PER_S / self.tick_hz))

    def _always_late(self, x: int, late_ns: float) -> bool:
        """Whether all frames of the last seconds were too late."""
        if late_ns < JUMP_NS:
            self._late_since, self._late_frames = None, 0
            return False
        if self._late_since is None:
            self._late_since = x
        self._late_frames += 1
        return x - self._late_since >= LATE_NS and self._late_frames >= LATE_FRAMES

    def _reset(self, arrival_ns: int) -> int:
        self.resets += 1
        return self._begin(arrival_ns)

    def _begin(self, arrival_ns: int) -> int:
        """The first frame of a fit."""
        self._elapsed, self._late_since, self._late_frames = 0, None, 0
        self._line.begin_anew(0, arrival_ns)
        self._residuals[(self.frames - 1) % RESIDUALS] = 0
        return self._give(0, arrival_ns, 1)

    def _give(self, x: int, arrival_ns: int, least_step_ns: int) -> int:
        """The newest time: where the fit has fallen, time goes at half its pace until it is right again."""
        fitted = x + round(self._line.at(x))
        later = min(max(fitted, self._newest_ns + least_step_ns), max(arrival_ns, fitted))
        self._newest_ns = max(later, self._newest_ns + 1)
        self.error_ns = round(self._line.error_ns(x)) + self._newest_ns - fitted
        return self._newest_ns
