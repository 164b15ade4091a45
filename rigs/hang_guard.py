"""What an output does for whose device no watchdog drops the lines when the loop hangs."""

from __future__ import annotations

from collections.abc import Callable

HEARTBEAT_MS = 50.0
"""For `OutputInfo.heartbeat_ms`: how soon a hung loop is noticed."""


class HangGuard:
    """Makes an output safe once when heartbeats say that the loop does not turn any more."""

    def __init__(self, make_safe: Callable[[], None], done: str) -> None:
        """Begin before the first turn of the loop.

        Parameters
        ----------
        make_safe
            The output's safe state.
        done
            What was done then, for the log.
        """
        self._make_safe, self._done = make_safe, done
        self._was_alive = False

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`.

        Parameters
        ----------
        alive
            Whether the loop turns.

        Returns
        -------
        list[str]
            That the output was made safe, the first time that the loop does not turn.
        """
        was_alive, self._was_alive = self._was_alive, alive
        if alive or not was_alive:
            return []
        self._make_safe()
        return [f"the loop does not turn: {self._done}"]
