"""Detection of a clock that stepped back, as opposed to frames that come out of order."""

from __future__ import annotations


class ClockStepDetector:
    """Counts frames that lie behind the newest one but are in order among themselves.

    One or two frames may be late; so many in a row mean that the clock stepped back. Without this, one stamp
    from the far future would block all that goes by the newest stamp until that time.
    """

    __slots__ = ("_behind", "_behind_ns", "_frames")

    def __init__(self, frames: int) -> None:
        """Begin with no frame.

        Parameters
        ----------
        frames
            How many late frames in a row are taken for a step of the clock.
        """
        self._frames = frames
        self.newer()

    def newer(self) -> None:
        """Note a frame that is newer than all before it."""
        self._behind, self._behind_ns = 0, 0

    def is_step(self, t_ns: int) -> bool:
        """Note a frame that is not newer than all before it.

        Parameters
        ----------
        t_ns
            Its time stamp, ns.

        Returns
        -------
        bool
            Whether the clock has stepped back.
        """
        self._behind = self._behind + 1 if self._behind and t_ns > self._behind_ns else 1
        self._behind_ns = t_ns
        return self._behind >= self._frames
