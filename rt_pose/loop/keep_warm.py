"""Runs the chain once on a blank image just before a frame is due, so that the frame finds it in the caches.

Between two frames the loop sleeps, its cores idle, and others' data fill the caches: the next forward then
takes up to a third longer than one that follows another at once. Nothing waits for this run, except a
frame that comes early: it waits for the run's end, which is counted. Decisions never depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.types import FrameStamps

NEWEST_WEIGHT = 1 / 16
"""Weight of the newest interval in a camera's mean period."""
MIN_INTERVALS = 16
"""Intervals before the mean period is used."""
DEVIATIONS = 4
"""A frame counts as due this many mean deviations before its expected time."""
GUARD_NS = NS_PER_MS
"""Time before a frame is due at which the chain should have ended."""
IN_TIME_SHARE = 0.9
"""Share of the runs that should have ended by then."""
STEP = 1 / 16
"""By how much, at most, one run changes what the next is expected to take."""
RETRY_FRAMES = 50
"""Frames without room for a run after which a shorter run is assumed and tried."""


class ArrivalPredictor:
    """Predicts when a camera's next frame is due, from the intervals of those that came."""

    def __init__(self) -> None:
        self._last: FrameStamps | None = None
        self._period_ns = 0.0
        self._deviation_ns = 0.0
        self._seen = 0

    def observe(self, stamps: FrameStamps) -> None:
        """Update mean period and mean deviation with a frame.

        Parameters
        ----------
        stamps
            Stamps of the frame; one that does not follow on, as after winding back, changes neither.
        """
        last, self._last = self._last, stamps
        if last is None:
            return
        frames = stamps.index - last.index
        elapsed_ns = stamps.t_arrival_ns - last.t_arrival_ns
        if frames <= 0 or elapsed_ns <= 0 or stamps.epoch != last.epoch:
            return
        interval_ns = elapsed_ns / frames
        if self._seen == 0:
            self._period_ns = interval_ns
        off_ns = interval_ns - self._period_ns
        weight = max(NEWEST_WEIGHT, 1 / (self._seen + 1))
        self._period_ns += weight * off_ns
        self._deviation_ns += weight * (abs(off_ns) - self._deviation_ns)
        self._seen += 1

    def due_ns(self) -> int | None:
        """Get the earliest host time at which the next frame should come, ns.

        Returns
        -------
        int or None
            None until enough intervals were seen.
        """
        if self._last is None or self._seen < MIN_INTERVALS:
            return None
        return round(self._last.t_arrival_ns + self._period_ns - DEVIATIONS * self._deviation_ns)


@dataclass(slots=True)
class WarmCounts:
    """Counts of the runs and of the frames that waited for one."""

    runs: int = 0
    frames_waited: int = 0
    """Frames that came while the chain ran."""
    longest_wait_ms: float = 0.0


class KeepWarm:
    """Runs the chain before frames are due. Called by the loop's thread alone."""

    def __init__(self, chain: Callable[[], object], cameras: list[str], clock: Clock) -> None:
        """Begin with no run timed and no period known.

        Parameters
        ----------
        chain
            Goes from a blank image to keypoints, and leaves no trace in what the next frame meets.
        cameras
            Names of the cameras.
        clock
            The only clock of the loop.
        """
        self.counts = WarmCounts()
        self._chain, self._clock = chain, clock
        self._arrivals = {camera: ArrivalPredictor() for camera in cameras}
        self._duration_ns = 0.0
        self._started_ns = self._ended_ns = 0
        self._skipped = 0
        self._start_ns: int | None = None
        """When the run for the next frame must begin; None where there is none."""

    def run_once(self) -> None:
        """Run the chain now, and update its expected duration.

        The duration is a running quantile, which no single stall moves far.
        """
        self._started_ns = self._clock.now_ns()
        self._chain()
        self._ended_ns = self._clock.now_ns()
        took_ns = self._ended_ns - self._started_ns
        if self._duration_ns == 0.0:
            self._duration_ns = took_ns
        self._duration_ns *= 1 + STEP * (IN_TIME_SHARE - (took_ns <= self._duration_ns))

    def observe(self, camera: str, stamps: FrameStamps) -> None:
        """Plan the next run after the loop took a frame.

        Parameters
        ----------
        camera
            Name of the camera.
        stamps
            Stamps of the frame.
        """
        waited_ns = self._ended_ns - stamps.t_arrival_ns
        if waited_ns > 0 and stamps.t_arrival_ns >= self._started_ns:
            self.counts.frames_waited += 1
            self.counts.longest_wait_ms = max(self.counts.longest_wait_ms, waited_ns / NS_PER_MS)
        self._arrivals[camera].observe(stamps)
        self._plan()

    def idle_s(self, longest_s: float) -> float:
        """Get how long the loop may wait for a frame before the next run is due.

        Parameters
        ----------
        longest_s
            Upper limit, s.

        Returns
        -------
        float
            s.
        """
        if self._start_ns is None:
            return longest_s
        return min(longest_s, max(0, self._start_ns - self._clock.now_ns()) / NS_PER_S)

    def run_if_due(self) -> None:
        """Run the chain where it is due and can still end before the frame comes."""
        if self._start_ns is None:
            return
        late_ns = self._clock.now_ns() - self._start_ns
        if late_ns < 0:
            return
        self._start_ns = None  # once for each frame, whether or not the frame comes
        if late_ns <= GUARD_NS // 2:
            self.run_once()
            self.counts.runs += 1

    def _plan(self) -> None:
        """For the camera whose frame is due first: one that is not known yet might be any time."""
        self._start_ns = None
        dues = [arrival.due_ns() for arrival in self._arrivals.values()]
        if any(due is None for due in dues):
            return
        due_ns = min(due for due in dues if due is not None)
        start_ns = round(due_ns - GUARD_NS - self._duration_ns)
        if start_ns >= self._clock.now_ns():
            self._start_ns, self._skipped = start_ns, 0
            return
        self._skipped += 1
        if self._skipped % RETRY_FRAMES == 0:  # what is never run is never timed again
            self._duration_ns *= 1 - STEP
