"""What inputs share whose edges come from one thread of theirs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rt_pose.types import Edge

POLL_S = 0.05
"""How often a thread that waits for its device looks whether it should end."""


class InputThread:
    """`start`, `stop` and `close` of an input. The driver's `_run` returns soon after `_end` is set."""

    def __init__(self, name: str) -> None:
        """Keep the name; no thread runs before `start`.

        Parameters
        ----------
        name
            Name of the input in the run's configuration.
        """
        self._name = name
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, deliver: Callable[[Edge], None]) -> None:
        """See `Input.start`."""
        self._end.clear()
        self._thread = threading.Thread(
            target=self._run, args=(deliver,), name=f"rt-pose-input-{self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """See `Input.stop`."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """See `Input.close`."""
        self.stop()

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        raise NotImplementedError
