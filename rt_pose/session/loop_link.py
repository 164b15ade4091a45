"""The supervisor's end of the loop's process: its pipe, the signals that stop it, and its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from rt_pose.errors import UserError

TERMINATED_S = 2.0
"""How long a process may take to end after each harder word."""


class LoopLink:
    """The supervisor's end of the pipe to the loop: one reader, several senders."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection.

        Parameters
        ----------
        connection
            This end of the pipe.
        """
        self.connection = connection
        # A signal's handler may send while the same thread is sending already.
        self._lock = threading.RLock()

    def send(self, kind: str, content: Any) -> None:
        """Send a message; nothing happens where the loop is gone already, which its reader sees.

        Parameters
        ----------
        kind, content
            See `rt_pose.session.loop_process`.
        """
        with self._lock, suppress(BrokenPipeError, OSError):
            self.connection.send((kind, content))


def await_ready(link: Connection, loop: BaseProcess) -> dict[str, Any]:
    """Wait until everything is open.

    Parameters
    ----------
    link
        The pipe to the loop.
    loop
        Its process.

    Returns
    -------
    dict[str, Any]
        What was opened.

    Raises
    ------
    UserError
        Where the loop refuses the run, or has died.
    """
    try:
        kind, content = link.recv()
    except EOFError:
        loop.join()
        raise UserError(
            f"the loop's process ended while it was being set up (exit code {loop.exitcode}) and did not say "
            "why over its pipe; what it printed above, if anything, does (a killed process prints nothing: "
            "look for the out-of-memory killer with `dmesg`)"
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
        The pipe to the loop.

    Yields
    ------
    None
        While it is so.
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


def end_process(process: BaseProcess, patience_s: float) -> None:
    """Wait for a process's end, and bring it about where it does not come.

    Parameters
    ----------
    process
        The process.
    patience_s
        How long it may take by itself, s.
    """
    process.join(patience_s)
    if process.is_alive():
        process.terminate()
        process.join(TERMINATED_S)
    if process.is_alive():
        process.kill()
        process.join(TERMINATED_S)
