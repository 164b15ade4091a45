"""What assigns detections to animals: the program's own tracker, and two that look at centroids alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.identity.detections import Detections, Recording
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.options import SimulatedOptions
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.package import TrackingSpec
from rt_pose.tracking.identities import IndividualOptions
from rt_pose.tracking.individuals import IndividualTracker
from rt_pose.types import FloatArray, FrameStamps, Pose

UNKNOWN_PX = 1e6
"""Distance to an animal that was never seen: it takes what no other wants."""


@dataclass
class Assigned:
    """Which animal each detection was assigned to, frame by frame."""

    who: list[NDArray[np.int64]]
    """(D,) each: a number for each animal that was found, -1 for nobody."""
    p: list[FloatArray]
    """(D,) each: the stated probability that this animal is still who it was at first; NaN where none is."""
    taken_ms: list[float]
    """Of each frame."""


class Assigns(Protocol):
    """Assigns the detections of one frame after another."""

    def step(self, frame: int, found: Detections) -> tuple[NDArray[np.int64], FloatArray]:
        """Assign the detections of the next frame: (D,) numbers of animals and (D,) probabilities."""


class CentroidTracker:
    """Assigns by the distance of centroids, from where each animal was seen last; nothing is predicted."""

    def __init__(self, animals: int, hungarian: bool) -> None:
        self._at = np.full((animals, 2), np.nan)
        self._solve = linear_sum_assignment if hungarian else _greedy

    def step(self, frame: int, found: Detections) -> tuple[NDArray[np.int64], FloatArray]:  # noqa: ARG002
        """See `Assigns.step`."""
        who, p = np.full(len(found.xy), -1), np.full(len(found.xy), np.nan)
        if len(found.xy):
            centre = np.nanmean(found.xy, axis=1)
            apart = np.linalg.norm(self._at[:, None] - centre, axis=2)
            slots, detections = self._solve(np.nan_to_num(apart, nan=UNKNOWN_PX))
            who[detections] = slots
            self._at[slots] = centre[detections]
        return who, p


class OwnTracker:
    """The program's tracker; an animal that is born anew gets a new number."""

    def __init__(self, animals: int, spec: TrackingSpec, rate_hz: float, options: IndividualOptions) -> None:
        size = SimulatedOptions()
        frame_px = (size.width, size.height)
        self._tracker = IndividualTracker(spec, animals, len(KEYPOINTS), frame_px, options)
        self._rate_hz = rate_hz
        self._births = np.zeros(animals, dtype=np.int64)
        self._alive = np.zeros(animals, dtype=bool)

    def step(self, frame: int, found: Detections) -> tuple[NDArray[np.int64], FloatArray]:
        """See `Assigns.step`."""
        t_ns = round(frame * NS_PER_S / self._rate_hz)
        stamps = FrameStamps(frame, t_ns, t_ns, t_ns)
        track = self._tracker.step(Pose("top", stamps, found.xy, found.cov, found.confidence))
        after = track.individuals
        assert after is not None  # several are tracked
        self._births += after.alive & ~self._alive
        self._alive = after.alive
        who, p = np.full(len(found.xy), -1), np.full(len(found.xy), np.nan)
        slots = np.flatnonzero(after.detection >= 0)
        at = after.detection[slots]
        who[at] = slots + len(self._births) * (self._births[slots] - 1)
        p[at] = after.identity_p[slots]
        return who, p


def run_tracker(tracker: Assigns, recording: Recording) -> Assigned:
    """Let a tracker assign all detections of a recording, and time it.

    Parameters
    ----------
    tracker
        A tracker at its beginning.
    recording
        The detections.

    Returns
    -------
    Assigned
        What it says.
    """
    clock, assigned = HostClock(), Assigned([], [], [])
    for i, found in enumerate(recording.frames):
        begun = clock.now_ns()
        who, p = tracker.step(i, found)
        assigned.taken_ms.append((clock.now_ns() - begun) / NS_PER_MS)
        assigned.who.append(who)
        assigned.p.append(p)
    return assigned


def _greedy(apart: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest pair, then the nearest of what is left, and so on."""
    rows: list[int] = []
    columns: list[int] = []
    for flat in np.argsort(apart, axis=None, kind="stable").tolist():
        row, column = divmod(flat, apart.shape[1])
        if row not in rows and column not in columns:
            rows.append(row)
            columns.append(column)
    return np.array(rows), np.array(columns)
