"""Dynamic cropping: for a large frame the network looks at a window that follows the animal.

A window of fixed size keeps the animal at one scale. It is centred on where the filter expects the keypoints
at the frame's exposure, and it is used only while they were really seen just before: a prediction alone is
never followed away from the animal. Otherwise, and where animal and margin do not fit in, the
network looks at the whole frame, which is how it finds the animal at the start and again when lost.

Of several animals the window holds all, and is used only while every one of them was seen just before: what
is missing may be anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from rt_pose.config.schema import CropConfig
from rt_pose.errors import UserError
from rt_pose.types import Track

WindowReason = Literal["followed", "start", "lost", "outgrown"]
SIGMAS = 3.0
"""The margin grows by so many standard deviations of the predicted position."""


class CropWindow(NamedTuple):
    """A part of the frame, px."""

    x: int
    y: int
    width: int
    height: int


@dataclass(slots=True)
class CropCounts:
    """In how many frames the network looked at the window, and why at the whole frame in the others."""

    followed: int = 0
    start: int = 0
    """An animal had not been seen yet."""
    lost: int = 0
    """Too few of an animal's keypoints had been seen just before."""
    outgrown: int = 0
    """The keypoints with their margin did not fit into the window."""


@dataclass(slots=True)
class CropFollower:
    """Chooses the window of one camera; a function of the filter's prediction alone."""

    config: CropConfig
    frame_size: tuple[int, int]
    where: str = "crop"
    """Its place in the configuration, for messages."""
    counts: CropCounts = field(default_factory=CropCounts)

    def __post_init__(self) -> None:
        width, height = self.frame_size
        if self.config.width > width or self.config.height > height:
            raise UserError(
                f"{self.where}: a window of {self.config.width}x{self.config.height} px does not fit into "
                f"frames of {width}x{height} px; give a smaller one, or leave crop out"
            )

    def window(self, ahead: Track, offset_xy: tuple[int, int] = (0, 0)) -> CropWindow | None:
        """Choose where to look in the next frame, and count the choice.

        Parameters
        ----------
        ahead
            The filter's prediction for the exposure of that frame.
        offset_xy
            Place of the frame's top-left pixel on the sensor, px.

        Returns
        -------
        CropWindow | None
            The window in px of the frame; None for the whole frame.
        """
        reason, window = self._choose_window(ahead, offset_xy)
        setattr(self.counts, reason, getattr(self.counts, reason) + 1)
        return window

    def _choose_window(
        self, ahead: Track, offset_xy: tuple[int, int]
    ) -> tuple[WindowReason, CropWindow | None]:
        seen = ahead.seen_ms_ago <= self.config.seen_within_ms  # (N, K), NaN of what never was
        if np.isnan(ahead.seen_ms_ago).all(axis=1).any():
            return "start", None
        if (seen.sum(axis=1) < self.config.min_seen * seen.shape[1]).any():
            return "lost", None
        xy = ahead.xy[seen] - offset_xy  # from the sensor to the frame
        margin = self.config.margin_px + SIGMAS * np.sqrt(
            np.stack([ahead.cov[seen, 0, 0], ahead.cov[seen, 1, 1]], axis=1)
        )
        low, high = (xy - margin).min(axis=0), (xy + margin).max(axis=0)
        size = np.array([self.config.width, self.config.height])
        if not (high - low <= size).all():
            return "outgrown", None
        corner = np.rint((low + high - size) / 2.0).astype(int)
        x, y = np.clip(corner, 0, np.array(self.frame_size) - size).tolist()
        return "followed", CropWindow(x, y, self.config.width, self.config.height)
