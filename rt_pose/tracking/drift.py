"""Drift: whether the poses of a run are still like those of the recordings that the model was calibrated on.

Three statistics of every frame are compared with the calibration recordings: the distance of the pose from
the space of their poses (pose-PCA error), the network's confidence, and the filter's normalised innovations.
Each is a logarithm that grows as things get worse, taken as a deviation from the recordings' mean in units of
their frames' standard deviation ("spreads").

The test is a one-sided CUSUM (Page 1954) on the means of blocks of scene time, by default 1 s:

    S <- max(0, S + (mean deviation of the block - allowance) * block)        alarm where S > threshold

A shift of d spreads is thus told after about threshold / (d - allowance) seconds; one that the allowance
covers is never told. Frames that follow one another are alike, so that neither their number nor a table of
the CUSUM for independent values says anything about false alarms. Allowance and threshold are found from the
calibration recordings themselves, by resampling long pieces of them as they are (a block bootstrap, see
`rt_pose.offline.drift_fit`), for one false alarm in 20 hours of sessions that are like these recordings. What
the animal never did in them is not covered by that rate: it is what the alarm is for.

Of several animals each that is there gives the three statistics of a frame, with those keypoints that it was
seen in, and a block's mean is over all of them. The calibration's limits are of one animal at a time; a mean
over several varies no more than that, so that the rate of false alarms is at most the same.

Nothing here changes a track or a decision. The state is a function of poses and stamps alone, so that a
replay comes to the same alarms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from rt_pose.clock import NS_PER_S
from rt_pose.package import DriftSpec, Subspace
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.drift_compiled import add_deviations, frame_statistics
from rt_pose.tracking.drift_statistics import STATISTICS
from rt_pose.tracking.individuals import IndividualTracker, Tracker
from rt_pose.types import FloatArray, Pose, Track

MOST_LEVEL = 1.5
"""The sum grows to this many thresholds: an alarm is over soon after its cause is."""
MOST_EPISODES = 100
"""So many alarms are kept with their times; further ones are counted."""


class FrameStatistics:
    """Computes the three statistics of a frame; keeps the room that this takes."""

    def __init__(self, space: Subspace | None, offset_xy: tuple[int, int] = (0, 0)) -> None:
        """Prepare the space's arrays.

        Parameters
        ----------
        space
            The space of poses; None: the distance from it has no value.
        offset_xy
            Place of the camera's frames on the sensor, px: the space is one of frames.
        """
        chosen, mean = ([], []) if space is None else (space.keypoints, space.mean_px)
        rows = [] if space is None else space.components
        self._chosen = np.asarray(chosen, dtype=np.int64)
        self._mean = np.asarray(mean, dtype=np.float64)
        self._basis = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(mean))
        self._offset = np.asarray(offset_xy, dtype=np.float64)
        self._work, self._out = np.empty(len(mean)), np.empty(len(STATISTICS))

    def of(self, pose: Pose, track: Track, causal_filter: CausalFilter) -> FloatArray:
        """Compute the statistics of a frame.

        Parameters
        ----------
        pose
            What the network saw.
        track
            What the filter made of it.
        causal_filter
            The filter, just after this pose.

        Returns
        -------
        FloatArray
            (3,) in the order of `STATISTICS`, NaN where there is no value; valid until the next call.
        """
        return self._compute(
            pose.xy.reshape(-1, 2),
            pose.confidence.ravel(),
            track.xy.reshape(-1, 2),
            *causal_filter.measurement(),
        )

    def of_slot(self, slot: int, track: Track, tracker: IndividualTracker) -> FloatArray:
        """Compute the statistics of one of several animals in a frame.

        Parameters
        ----------
        slot
            Its number.
        track
            What the tracker made of the frame.
        tracker
            The tracker, just after that frame.

        Returns
        -------
        FloatArray
            As of `of`; of an animal that was not seen the confidence is 0.
        """
        keypoints, by_slot = tracker.shape[1], tracker.by_slot
        own = slice(slot * keypoints, (slot + 1) * keypoints)
        # As contiguous as those of one animal: compiled code is then compiled once.
        compared = (np.ascontiguousarray(values[..., own]) for values in tracker.measurement())
        return self._compute(by_slot.xy[slot], by_slot.confidence[slot], track.xy[slot], *compared)

    def _compute(
        self, xy: FloatArray, confidence: FloatArray, track_xy: FloatArray, *compared: Any
    ) -> FloatArray:
        frame_statistics(
            xy, confidence, track_xy, *compared, self._chosen, self._mean, self._basis, self._offset,
            self._work, self._out,
        )  # fmt: skip
        return self._out


@dataclass(slots=True)
class DriftEpisode:
    """A time in which the poses were not like those of the calibration recordings."""

    start_s: float
    """When the alarm came, scene time since the camera's first pose, s."""
    statistics: list[str]
    """Which statistics gave alarm, in their order of time."""
    end_s: float | None = None
    """When none of them gave alarm any more; None where that has not been."""


@dataclass(slots=True)
class _Sum:
    """The CUSUM of one statistic."""

    place: int
    name: str
    allowance: float
    threshold: float
    value: float = 0.0
    alarmed: bool = False

    def add(self, deviation: float, block_s: float) -> None:
        """Take in a block."""
        grown = max(0.0, self.value + (deviation - self.allowance) * block_s)
        self.value = min(grown, MOST_LEVEL * self.threshold)
        # Once given, an alarm lasts until the sum is back at nothing.
        self.alarmed = self.value > self.threshold or (self.alarmed and self.value > 0.0)


@dataclass(frozen=True, slots=True)
class _Newest:
    """What other threads may read: replaced as a whole after each block."""

    alarm: tuple[str, ...] = ()
    level: tuple[tuple[str, float], ...] = ()
    alarms: int = 0


@dataclass(slots=True)
class _Block:
    """Sums over the frames of the block under way."""

    start_ns: int | None = None
    epoch: int = 0
    newest_ns: int = 0
    sums: FloatArray = field(default_factory=lambda: np.zeros(len(STATISTICS)))
    counts: FloatArray = field(default_factory=lambda: np.zeros(len(STATISTICS)))

    def begin(self, t_ns: int, epoch: int) -> None:
        """Begin with a frame of this time."""
        self.start_ns, self.newest_ns, self.epoch = t_ns, t_ns, epoch
        self.sums[:] = 0.0
        self.counts[:] = 0.0


class DriftMonitor:
    """The detector of one camera. `step` belongs to one thread; `stats` may be read from another."""

    def __init__(self, spec: DriftSpec, offset_xy: tuple[int, int] = (0, 0)) -> None:
        """Begin with nothing seen.

        Parameters
        ----------
        spec
            What the calibration recordings were like.
        offset_xy
            Place of the camera's frames on the sensor, px.
        """
        self.spec, self.offset_xy = spec, offset_xy
        self.alarms = 0
        self.episodes: list[DriftEpisode] = []
        """The first `MOST_EPISODES`, in order."""
        self._statistics = FrameStatistics(spec.space, offset_xy)
        compared = [(place, name, spec.limits.get(name)) for place, name in enumerate(STATISTICS)]
        self._sums = [_Sum(p, name, has.allowance, has.threshold) for p, name, has in compared if has]
        self._mean = np.array([has.mean if has else np.nan for _, _, has in compared])
        self._spread = np.array([has.spread if has else np.nan for _, _, has in compared])
        self._block, self._block_ns = _Block(), round(spec.block_s * NS_PER_S)
        self._blocks = self._blocks_in_alarm = 0
        self._elapsed_ns = 0
        self._newest = _Newest(level=tuple((one.name, 0.0) for one in self._sums))

    def step(self, pose: Pose, track: Track, tracker: Tracker) -> None:
        """Take in a frame.

        Parameters
        ----------
        pose
            What the network saw.
        track
            What the filter made of it.
        tracker
            The filter, or the tracker of several animals, just after this pose; a pose that it ignored is
            passed over.
        """
        if not tracker.observed:
            return
        t_ns, block = pose.stamps.t_scene_ns, self._block
        if block.start_ns is None or pose.stamps.epoch != block.epoch or t_ns < block.newest_ns:
            block.begin(t_ns, pose.stamps.epoch)  # what was begun before times began anew is left out
        else:
            self._elapsed_ns += t_ns - block.newest_ns
            block.newest_ns = t_ns
            if t_ns - block.start_ns >= self._block_ns:
                self._end_block()
                block.begin(t_ns, pose.stamps.epoch)
        for values in self._values(pose, track, tracker):
            add_deviations(values, self._mean, self._spread, block.sums, block.counts)

    def stats(self) -> dict[str, Any]:
        """Report the state as of the newest block, for the `stats` topic.

        Returns
        -------
        dict[str, Any]
            `alarm`: the statistics in alarm; `level`: each sum over its threshold; `alarms`: how many there
            have been.
        """
        newest = self._newest
        level = {name: round(value, 3) for name, value in newest.level}
        return {"alarm": list(newest.alarm), "level": level, "alarms": newest.alarms}

    def summary(self) -> dict[str, Any]:
        """Sum up the run so far, for its log.

        Returns
        -------
        dict[str, Any]
            Number of alarms, their episodes, time compared and time in alarm (s), and the last `stats`.
        """
        return {
            **self.stats(),
            "compared_s": self._blocks * self.spec.block_s,
            "in_alarm_s": self._blocks_in_alarm * self.spec.block_s,
            "episodes": [asdict(episode) for episode in self.episodes],
        }

    def _values(self, pose: Pose, track: Track, tracker: Tracker) -> Iterator[FloatArray]:
        """The statistics of each animal that is there."""
        if isinstance(tracker, CausalFilter):
            yield self._statistics.of(pose, track, tracker)
            return
        for slot in np.flatnonzero(tracker.newest.alive).tolist():
            yield self._statistics.of_slot(slot, track, tracker)

    def _end_block(self) -> None:
        block = self._block
        for one in self._sums:
            count = block.counts[one.place]
            if count:
                one.add(float(block.sums[one.place] / count), self.spec.block_s)
        alarm = tuple(one.name for one in self._sums if one.alarmed)
        self._note(alarm)
        self._blocks += 1
        self._blocks_in_alarm += bool(alarm)
        level = tuple((one.name, one.value / one.threshold) for one in self._sums)
        self._newest = _Newest(alarm, level, self.alarms)

    def _note(self, alarm: tuple[str, ...]) -> None:
        """Begin, extend or end an episode."""
        before, now_s = self._newest.alarm, self._elapsed_ns / NS_PER_S
        kept = self.alarms <= MOST_EPISODES
        if alarm and not before:
            self.alarms += 1
            if self.alarms <= MOST_EPISODES:
                self.episodes.append(DriftEpisode(now_s, list(alarm)))
        elif alarm and kept:
            names = self.episodes[-1].statistics
            names += [name for name in alarm if name not in names]
        elif before and kept:
            self.episodes[-1].end_s = now_s


def precompile(like: DriftMonitor, tracker: Tracker, pose: Pose) -> None:
    """Take a pose through a spare detector, so that all its steps are compiled.

    Parameters
    ----------
    like
        The detector that will run; it does not change.
    tracker
        What tracks its camera; it does not change.
    pose
        A pose with arrays of the types that will come, of one row or more.
    """
    spare = CausalFilter(tracker.spec, 1, tracker.shape[1])
    first = replace(pose, xy=pose.xy[:1], cov=pose.cov[:1], confidence=pose.confidence[:1])
    DriftMonitor(like.spec, like.offset_xy).step(first, spare.step(first), spare)
