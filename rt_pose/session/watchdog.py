"""What a supervisor knows of its loop's life: what must come next, and by when."""

from __future__ import annotations

from typing import NamedTuple

from rt_pose.clock import NS_PER_S, Clock

START_TIMEOUT_S = 30.0
"""From the order to begin to the loop's first message; it waits for the recorder meanwhile."""
STOP_TIMEOUT_S, STOPS_PER_OUTPUT_S = 5.0, 2.0
"""From the loop's last turn to its outputs being safe."""
END_TIMEOUT_S = 60.0
"""From each of the loop's last messages to the next; outputs are safe, but a camera's driver may hang."""
SUSPENDED_NS = NS_PER_S
"""A supervisor that did not check for this long was itself held up (by Ctrl-Z, or by its terminal)."""


class _Deadline(NamedTuple):
    """What is waited for from the loop."""

    description: str
    """The words for it where it does not come: `the loop hung: ... for 3.2 s`."""
    since_ns: int
    within_ns: int


class LoopWatchdog:
    """Follows the loop's messages, and tells whether it hangs."""

    def __init__(self, clock: Clock, kill_after_ns: int, outputs: int) -> None:
        """Expect nothing yet.

        Parameters
        ----------
        clock
            Times the checks.
        kill_after_ns
            How long after its last turn a loop hangs, ns.
        outputs
            Number of outputs that the loop makes safe at its end.
        """
        self._clock, self._kill_after_ns, self._outputs = clock, kill_after_ns, outputs
        self._deadline: _Deadline | None = None
        self._checked_ns, self._suspended_until_ns = clock.now_ns(), 0
        self._stopping = False
        self.began = False
        """Whether the loop has sent a message since it was ordered to begin."""

    def expect_start(self) -> None:
        """Expect the first message."""
        self._deadline = self._within("no word of a start", START_TIMEOUT_S)

    def heartbeat(self, t_heartbeat_ns: int) -> None:
        """Take in the time of the loop's last turn.

        Parameters
        ----------
        t_heartbeat_ns
            Host time, ns; 0 before the first turn, when the loop counts as alive as long as it sends
            messages.
        """
        self.began = True
        if not self._stopping:  # news from before that may come after it
            self._deadline = _Deadline("no turn", t_heartbeat_ns or self._clock.now_ns(), self._kill_after_ns)

    def expect_stop(self) -> None:
        """Expect that the outputs become safe."""
        self._stopping = True
        seconds = STOP_TIMEOUT_S + STOPS_PER_OUTPUT_S * self._outputs
        self._deadline = self._within("its outputs were not safe", seconds)

    def expect_end(self) -> None:
        """Expect that the cameras stop and the last records are written."""
        self._deadline = self._within("its end was not reached", END_TIMEOUT_S)

    def expect_exit(self) -> None:
        """Expect that the process ends."""
        self._deadline = self._within("its process did not end", END_TIMEOUT_S)

    def hang_reason(self) -> str:
        """Tell whether the loop hangs; to be called all the time.

        What was due while nobody called is not held against the loop.

        Returns
        -------
        str
            Why the loop hangs; empty where it does not.
        """
        now_ns = self._clock.now_ns()
        if now_ns - self._checked_ns > SUSPENDED_NS:
            self._suspended_until_ns = now_ns
        self._checked_ns = now_ns
        if self._deadline is None:
            return ""
        description, since_ns, within_ns = self._deadline
        elapsed_ns = now_ns - max(since_ns, self._suspended_until_ns)
        return (
            f"the loop hung: {description} for {elapsed_ns / NS_PER_S:.1f} s"
            if elapsed_ns > within_ns
            else ""
        )

    def _within(self, description: str, seconds: float) -> _Deadline:
        return _Deadline(description, self._clock.now_ns(), round(seconds * NS_PER_S))
