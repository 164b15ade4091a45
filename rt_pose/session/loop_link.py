"""The supervisor's end of the pipe to the loop's process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from rt_pose.errors import UserError


class LoopLink:
    """One reader, several senders."""

    def __init__(self, connection: Connection) -> None:
        """Keep the pipe.

        Parameters
        ----------
        connection
            The end of the pipe.
        """
        self.connection = connection
        # A signal's handler may send while the same thread is sending already.
        self._lock = threading.RLock()

    def send(self, kind: str, content: Any) -> None:
        """Send a message; nothing happens where the loop is gone already, which the supervision sees.

        Parameters
        ----------
        kind, content
            See `rt_pose.session.loop_process`.
        """
        with self._lock, suppress(BrokenPipeError, OSError):
            self.connection.send((kind, content))

    def await_ready(self, loop: BaseProcess) -> dict[str, Any]:
        """Wait until everything is open.

        Parameters
        ----------
        loop
            The loop's process.

        Returns
        -------
        dict[str, Any]
            What was opened, as in `session.json`.

        Raises
        ------
        UserError
            Where something could not be opened, or the process has ended.
        """
        try:
            kind, content = self.connection.recv()
        except EOFError:
            loop.join()
            raise UserError(
                f"the loop's process ended while it was being set up (exit code {loop.exitcode}) and did not "
                "say why over its pipe; what it printed above, if anything, does (a killed process prints "
                "nothing: look for the out-of-memory killer with `dmesg`)"
            ) from None
        if kind == "refused":
            raise UserError(content)
        assert isinstance(content, dict)
        return content


@contextmanager
def stop_signals(link: LoopLink) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal stop the loop in order; a second signal ends this process.

    Parameters
    ----------
    link
        To the loop.
    """

    def stop(signum: int, frame: object) -> None:  # noqa: ARG001
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
        link.send("stop", signal.Signals(signum).name)

    old = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for s, handler in old.items():
            signal.signal(s, handler)
