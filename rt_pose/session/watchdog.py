"""What a supervisor knows of its loop's life: what must come next, and by when."""

from __future__ import annotations

from typing import NamedTuple

from rt_pose.clock import NS_PER_S, Clock

STARTS_WITHIN_S = 30.0
"""From the order to begin to the loop's first word; it waits for the recorder meanwhile."""
STOPS_WITHIN_S, MORE_AN_OUTPUT_S = 5.0, 2.0
"""From the loop's last turn to its outputs being safe."""
ENDS_WITHIN_S = 60.0
"""From each of the loop's last words to what comes next; outputs are safe, but a camera's driver may hang."""
HELD_UP_NS = NS_PER_S
"""A supervisor that did not look for so long was itself held up (Ctrl-Z, a terminal that takes nothing)."""


class _Must(NamedTuple):
    """What is waited for from the loop."""

    failing: str
    """How it is put where it does not come: `the loop hung: ... for 3.2 s`."""
    since_ns: int
    within_ns: int


class LifeSigns:
    """Takes in the loop's words, and says whether it hangs."""

    def __init__(self, clock: Clock, kill_after_ns: int, outputs: int) -> None:
        """`kill_after_ns`: so long after its last turn a loop hangs."""
        self._clock, self._kill_after_ns, self._outputs = clock, kill_after_ns, outputs
        self._must: _Must | None = None
        self._looked_ns, self._held_up_until_ns = clock.now_ns(), 0
        self._stopping = False
        self.began = False
        """Whether the loop has said a word since it was told to begin."""

    def told_to_begin(self) -> None:
        self._must = self._within("no word of a start", STARTS_WITHIN_S)

    def turned(self, t_beat_ns: int) -> None:
        """`t_beat_ns`: when it last turned; 0 before its first turn, when it is alive as long as it tells of
        itself."""
        self.began = True
        if not self._stopping:  # news from before that may come after it
            self._must = _Must("no turn", t_beat_ns or self._clock.now_ns(), self._kill_after_ns)

    def stopping(self) -> None:
        self._stopping = True
        seconds = STOPS_WITHIN_S + MORE_AN_OUTPUT_S * self._outputs
        self._must = self._within("its outputs were not safe", seconds)

    def ending(self) -> None:
        self._must = self._within("its end was not reached", ENDS_WITHIN_S)

    def ended(self) -> None:
        self._must = self._within("its process did not end", ENDS_WITHIN_S)

    def hangs(self) -> str:
        """In words; "" = it lives. To be asked all the time: what was due while nobody asked is forgiven."""
        now_ns = self._clock.now_ns()
        if now_ns - self._looked_ns > HELD_UP_NS:
            self._held_up_until_ns = now_ns
        self._looked_ns = now_ns
        if self._must is None:
            return ""
        failing, since_ns, within_ns = self._must
        silent_ns = now_ns - max(since_ns, self._held_up_until_ns)
        return f"the loop hung: {failing} for {silent_ns / NS_PER_S:.1f} s" if silent_ns > within_ns else ""

    def _within(self, failing: str, seconds: float) -> _Must:
        return _Must(failing, self._clock.now_ns(), round(seconds * NS_PER_S))
