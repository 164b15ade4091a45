"""What the frames before left behind, of one sequence of frames, for a network that sees past frames.

One `TemporalContext` a camera (and, where several windows are looked at, a window). It is a function of the
frames it was shown and of their stamps and windows alone, so that the loop, offline prediction and a replay
from the recorded video go through the same states. When a frame does not follow on what is held, the past is
emptied, and the network sees that frame as if it had no context; within N more frames the past is whole
again:

- the recording was wound back (another epoch, or a time or index that does not rise);
- more than `LONGEST_STEP` frames lie between, dropped or superseded, or more than `LONGEST_NS` of scene time.
  A smaller gap leaves the past as it is: somewhat older than those the network was trained on;
- the network looks at another part of the frame: at a window after the whole frame or the other way round, at
  one of another size, or at one that has moved by more than half a cell of the held maps. A window that
  follows an animal closely moves less than that from frame to frame; what is held is not moved along.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.package import InputSpec

LONGEST_STEP = 4
"""Frames of the device from one that is seen to the next; at most three between them are missed."""
LONGEST_NS = NS_PER_S
LARGEST_MOVE = 0.5
"""Of a followed window, in cells of the held maps."""

Region = tuple[int, int, int, int]
"""x, y, width and height of a part of the frame, px."""


class TemporalContext:
    """The maps of the last frames of one sequence. For a network without context it holds nothing."""

    def __init__(self, spec: InputSpec) -> None:
        """Allocate an empty past.

        Parameters
        ----------
        spec
            The network's input; its `context` gives the shape.
        """
        self._context = spec.context
        shape = (0, 0, 0) if spec.context is None else spec.context.shape
        self.maps: NDArray[np.float32] = np.zeros((1, *shape), np.float32)
        """(1, N F, h, w), newest first; the engine overwrites it with each frame."""
        self.resets = 0
        """How often a frame did not follow on the one before it."""
        self._last: tuple[int, int, int] | None = None
        self._window: Region | None = None

    def advance_to(
        self, index: int, t_scene_ns: int, epoch: int = 0, window: Region | None = None
    ) -> TemporalContext:
        """Prepare the past for a frame: it is emptied where that frame does not follow on.

        Called once a frame, before the network runs.

        Parameters
        ----------
        index
            The device's counter of the frame.
        t_scene_ns
            Scene time of the frame, ns.
        epoch
            Counts the times the recording was wound back.
        window
            Part of the frame that is looked at, px; None for the whole.

        Returns
        -------
        TemporalContext
            Itself.
        """
        if self._context is not None:
            if self._last is not None and not self._follows(index, t_scene_ns, epoch, window):
                self.maps.fill(0.0)
                self.resets += 1
            self._last, self._window = (index, t_scene_ns, epoch), window
        return self

    def reset(self) -> None:
        """Empty the past, as before the first frame."""
        self.maps.fill(0.0)
        self.resets, self._last, self._window = 0, None, None

    def _follows(self, index: int, t_scene_ns: int, epoch: int, window: Region | None) -> bool:
        assert self._last is not None
        last_index, last_ns, last_epoch = self._last
        return (
            epoch == last_epoch
            and 0 < index - last_index <= LONGEST_STEP
            and 0 < t_scene_ns - last_ns <= LONGEST_NS
            and self._same_window(window)
        )

    def _same_window(self, window: Region | None) -> bool:
        """Whether `window` is close enough to the one before it for the past to be kept."""
        before = self._window
        if window is None or before is None:
            return window is before
        assert self._context is not None
        x, y, width, height = window
        return (
            (width, height) == tuple(before[2:])
            and abs(x - before[0]) * self._context.width <= LARGEST_MOVE * width
            and abs(y - before[1]) * self._context.height <= LARGEST_MOVE * height
        )
