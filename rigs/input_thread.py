"""What inputs share whose edges come from one thread of theirs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rt_pose.errors import UserError
from rt_pose.types import Edge

POLL_S = 0.05
"""How often a thread that waits for its device looks whether it should end."""
STOP_S = 2.0
"""A thread that is inside a call of its device's library for longer is left to itself."""


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
        """See `Input.start`.

        Raises
        ------
        UserError
            Where the device has not let go of the thread that was stopped before.
        """
        if self._thread is not None and self._thread.is_alive() and self._end.is_set():
            raise UserError(
                f"inputs.{self._name}: its device has not answered since it was stopped; take it off and "
                "start the program again"
            )
        self._end.clear()
        self._thread = threading.Thread(
            target=self._live, args=(deliver,), name=f"rt-pose-input-{self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """See `Input.stop`. Nothing is delivered afterwards, whatever the device does."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def close(self) -> None:
        """See `Input.close`."""
        self.stop()

    def _live(self, deliver: Callable[[Edge], None]) -> None:
        def pass_on(edge: Edge) -> None:
            if not self._end.is_set():
                deliver(edge)

        try:
            self._run(pass_on)
        except Exception:
            if not self._end.is_set():  # afterwards its device may be closed under it
                raise

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        raise NotImplementedError
