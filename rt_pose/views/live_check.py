"""Whether the cameras of a group still stand where they were calibrated, by what they see during a run.

Where a camera sees keypoints is compared with where the group's tracks lie on its image. Noise averages out;
a camera that has been moved is off in one direction all the time, and where there are others that agree, they
outvote it. Each 10 s of scene time the mean of every camera is taken. It is off where that is longer than
twice the noise that keypoints are expected to have (`rt_pose.views.check`) and than half of the largest one,
twice in a row. Cameras that see keypoints of which no track comes are told as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rt_pose.clock import NS_PER_S
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.check import EXPECTED_SHARE, LEAST_POINTS, LIMIT
from rt_pose.views.live_compiled import OFF_X, OFF_Y, SEEN, TRACKED

BLOCK_NS = 10 * NS_PER_S
BLOCKS = 2
"""So many in a row must agree."""
LEAST_TRACKED = 0.1
"""Share of the keypoints seen of which tracks come; fewer, and the cameras do not agree."""
FURTHEST = 3.0
"""In limits: one that was seen further from its track counts as so far."""


@dataclass(slots=True)
class Finding:
    """What the check says now; empty where nothing is wrong."""

    cameras: list[str] = field(default_factory=list)
    text: str = ""


class ReprojectionCheck:
    """Follows one group; a pure function of what was added to `sums`, and when it was asked."""

    def __init__(self, cameras: Sequence[CalibratedCamera]) -> None:
        """Begin with nothing seen.

        Parameters
        ----------
        cameras
            V of the group.
        """
        self.limits_px = np.array([LIMIT * EXPECTED_SHARE * np.hypot(*camera.size) for camera in cameras])
        """(V,) how far off a camera may be."""
        self.sums = np.zeros((len(cameras), 4))
        """(V, 4) of the block under way: see `rt_pose.views.live_compiled.note`."""
        self.offset_px = np.full(len(cameras), np.nan)
        """(V,) of the last block; NaN where too little was seen."""
        self.finding = Finding()
        self._names = [camera.name for camera in cameras]
        self._in_a_row = np.zeros(len(cameras), np.int64)
        self._apart_in_a_row = 0
        self._began_ns: int | None = None

    def advance(self, t_ns: int) -> bool:
        """Take in that time has passed.

        Parameters
        ----------
        t_ns
            Scene time of the newest observation, ns.

        Returns
        -------
        bool
            Whether the finding has changed.
        """
        if self._began_ns is None or t_ns < self._began_ns:
            self._began_ns = t_ns
        if t_ns - self._began_ns < BLOCK_NS:
            return False
        before, self._began_ns = self.finding, t_ns
        self._end_block()
        self.sums[:] = 0.0
        return before.cameras != self.finding.cameras

    def _end_block(self) -> None:
        seen, tracked = self.sums[:, SEEN], self.sums[:, TRACKED]
        enough = tracked >= LEAST_POINTS
        length = np.hypot(self.sums[:, OFF_X], self.sums[:, OFF_Y])
        self.offset_px = np.where(enough, length / np.maximum(tracked, 1.0), np.nan)
        off = np.where(enough, self.offset_px, 0.0)
        self._in_a_row = np.where((off > self.limits_px) & (off >= 0.5 * off.max()), self._in_a_row + 1, 0)
        apart = np.count_nonzero(seen >= LEAST_POINTS) >= 2 and tracked.sum() < LEAST_TRACKED * seen.sum()
        self._apart_in_a_row = self._apart_in_a_row + 1 if apart else 0
        self.finding = self._find(off, seen)

    def _find(self, off: FloatArray, seen: FloatArray) -> Finding:
        if self._apart_in_a_row >= BLOCKS:
            names = [name for name, n in zip(self._names, seen, strict=True) if n >= LEAST_POINTS]
            return Finding(names, f"{_listed(names)} see keypoints, but agree on no place")
        wrong = np.flatnonzero(self._in_a_row >= BLOCKS).tolist()
        if not wrong:
            return Finding()
        names = [self._names[v] for v in wrong]
        figures = ", ".join(f"{off[v]:.1f} px" for v in wrong)
        verb = "sees" if len(names) == 1 else "see"
        return Finding(
            names,
            f"{_listed(names)} {verb} keypoints {figures} from where the group's tracks lie (mean of "
            f"{BLOCK_NS // NS_PER_S} s; more than {self.limits_px[wrong[0]]:.1f} px)",
        )


def _listed(names: list[str]) -> str:
    return f"camera{'s' * (len(names) > 1)} {', '.join(names)}"
