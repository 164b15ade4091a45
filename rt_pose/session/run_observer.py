"""What a run reports while it goes on: to the terminal, a bench or a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class RunObserver:
    """Receives what happens in a run; this base does nothing."""

    def begin(self, emergency: Callable[[str], None]) -> None:
        """Take what stops the run immediately; called before `ready`.

        Parameters
        ----------
        emergency
            The immediate stop; it takes the name of who calls it, and may be called from any thread.
        """

    def begin_inputs(self, press: Callable[[str], None]) -> None:
        """Take what switches an input whose key was pressed; called before `ready`.

        Parameters
        ----------
        press
            Takes the name of the input; from any thread.
        """

    def ready(self, description: dict[str, Any]) -> None:
        """Take note that everything is open; frames come next.

        Parameters
        ----------
        description
            What was opened, as in `session.json`, with the sockets' addresses.
        """

    def stats(self, stats: dict[str, Any]) -> None:
        """Take the stats; called twice a second.

        Parameters
        ----------
        stats
            The content of the `stats` topic.
        """

    def ending(self) -> None:
        """Take note that the last frame has been decided on."""

    def warn(self, message: str) -> None:
        """Take a warning: something was lost or has failed, and the run goes on.

        Parameters
        ----------
        message
            What and why.
        """
