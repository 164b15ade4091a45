"""What a recorder, or another process of a run, tells its supervisor twice a second, and at its end."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import msgspec

LENGTH_BYTES = 4
"""What a pipe puts before each message."""


@dataclass
class RecorderReport:
    """What a recorder has done, and what it cannot do any more."""

    received: int = 0
    """Records of the loop that it wrote into the log."""
    refused: int = 0
    """Records that were too large for it."""
    problems: dict[str, str] = field(default_factory=dict)
    """What is wrong, by what it is about: the log or a camera."""
    ending: str = ""
    """Why it ends before the loop has; empty where it does not."""
    not_filmed: dict[str, int] = field(default_factory=dict)
    """Frames that are missing in a film that goes on, by camera."""
    whole: bool = False
    """Whether the loop's last record came, and the log was closed well; True only in the last report."""


class Reporter:
    """A process's end of the pipe to its supervisor; never held up by one that does not read."""

    def __init__(self, link: Connection | None) -> None:
        """Keep the pipe.

        Parameters
        ----------
        link
            A pipe that is not duplex; None where nobody listens.
        """
        self._link = link
        if link is not None:
            os.set_blocking(link.fileno(), False)

    def send(self, report: object) -> None:
        """Send a report; it is left out where the pipe is full.

        Parameters
        ----------
        report
            A dataclass such as `RecorderReport`.
        """
        message = msgspec.msgpack.encode(report)
        # Up to this size the system takes all of it or nothing.
        if self._link is not None and len(message) + LENGTH_BYTES <= select.PIPE_BUF:
            with suppress(OSError):
                self._link.send_bytes(message)

    def send_last(self, report: object) -> None:
        """Send the last report, when nothing is left that waiting could hold up.

        Parameters
        ----------
        report
            A dataclass such as `RecorderReport`.
        """
        if self._link is not None:
            os.set_blocking(self._link.fileno(), True)
            with suppress(OSError):
                self._link.send_bytes(msgspec.msgpack.encode(report))
            self._link.close()
