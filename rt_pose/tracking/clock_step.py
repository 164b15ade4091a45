"""A clock that stepped back, told from frames that come out of order."""

from __future__ import annotations


class ClockStepDetector:
    """Counts frames that lie behind the newest one but are in order among themselves.

    A frame or two are late; so many in a row mean that time itself went back. Without this, one stamp from
    the far future would make whoever goes by the newest stamp wait for that future.
    """

    __slots__ = ("_behind", "_behind_ns", "_frames")

    def __init__(self, frames: int) -> None:
        """`frames`: how many in a row are taken for a step."""
        self._frames = frames
        self.newer()

    def newer(self) -> None:
        """A frame came that is newer than all before it."""
        self._behind, self._behind_ns = 0, 0

    def is_step(self, t_ns: int) -> bool:
        """A frame that is not newer; whether time went back."""
        self._behind = self._behind + 1 if self._behind and t_ns > self._behind_ns else 1
        self._behind_ns = t_ns
        return self._behind >= self._frames
