"""Whether every camera delivers: one that gives no first frame in time has failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rt_pose.clock import NS_PER_S
from rt_pose.loop.capture import CaptureThread


class FirstFrames:
    """Waits for the first frame of each camera that runs by itself."""

    def __init__(self, captures: Iterable[CaptureThread], within_ns: int) -> None:
        """Wait for no camera longer than a time.

        Parameters
        ----------
        captures
            The threads of the cameras that are expected to deliver without a trigger from outside.
        within_ns
            How long after `begin` each may take, ns.
        """
        self.waiting = list(captures)
        """Cameras that have not delivered yet."""
        self._within_ns = within_ns
        self._until_ns = 0

    def begin(self, now_ns: int) -> None:
        """Begin to wait.

        Parameters
        ----------
        now_ns
            Host time, ns.
        """
        self._until_ns = now_ns + self._within_ns

    def overdue(self, now_ns: int) -> Iterator[tuple[str, str]]:
        """Find the cameras that have not delivered in time, each once.

        Parameters
        ----------
        now_ns
            Host time, ns.

        Yields
        ------
        tuple[str, str]
            The camera, and what it failed to do.
        """
        self.waiting = [capture for capture in self.waiting if not capture.counts.captured]
        if now_ns < self._until_ns:
            return
        late, self.waiting = self.waiting, []
        for capture in late:
            yield (
                capture.name,
                f"no frame came within {self._within_ns / NS_PER_S:g} s of its start; is it triggered from "
                "outside, or does another program hold it? (`first_frame_within` gives it longer)",
            )
