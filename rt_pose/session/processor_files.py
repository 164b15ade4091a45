"""The files of a processor, in the folder `processors` of the session: its calls and what it printed.

They are its own: no seal covers them, and no replay reads them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import BufferedWriter, TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec

FOLDER = "processors"
MAX_PRINTED_BYTES = 16 << 20
"""Of what a processor prints; beyond that the file begins anew."""


class ProcessorFiles:
    """Writes the files of one processor, from its own process."""

    def __init__(self, session: Path | None, name: str) -> None:
        """Send what the process prints into its file.

        Parameters
        ----------
        session
            The session's folder; None where nothing is recorded, and prints are dropped.
        name
            The processor's.
        """
        self._folder = None if session is None else session / FOLDER
        self._name = name
        self._calls: BufferedWriter | None = None
        self.problem = ""
        """Why its calls are not written down; empty where they are."""
        if self._folder is not None:
            try:
                self._folder.mkdir(exist_ok=True)
                self._calls = (self._folder / f"{name}.jsonl").open("wb")
            except OSError as error:
                self._fail(error)
        self._redirect_prints()

    @property
    def save_name(self) -> str:
        """What `save` is handed: where its own file belongs, without an ending; empty for nowhere."""
        return "" if self._folder is None else str(self._folder / f"{self._name}-saved")

    def write(self, entry: dict[str, Any]) -> None:
        """Write down a call.

        Parameters
        ----------
        entry
            Plain values.
        """
        if self._calls is not None:
            try:
                self._calls.write(msgspec.json.encode(entry) + b"\n")
            except OSError as error:
                self._fail(error)

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._calls is not None:
            try:
                self._calls.flush()
            except OSError as error:
                self._fail(error)

    def close(self) -> None:
        """Close the files."""
        self.flush()
        if self._calls is not None:
            self._calls.close()

    def _redirect_prints(self) -> None:
        path = os.devnull if self._folder is None else str(self._folder / f"{self._name}.txt")
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError:
            file = os.open(os.devnull, os.O_WRONLY)
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(line_buffering=True)  # flushes it, too
            os.dup2(file, number)
        os.close(file)

    def _fail(self, error: OSError) -> None:
        self.problem = f"its calls are not written down any more: {error.strerror}"
        calls, self._calls = self._calls, None
        if calls is not None:
            with suppress(OSError):
                calls.close()


def keep_prints_short(session: Path, name: str) -> None:
    """Begin the file of a processor's prints anew where it has become too long.

    Parameters
    ----------
    session
        The session's folder.
    name
        The processor's.
    """
    path = session / FOLDER / f"{name}.txt"
    with suppress(OSError):
        if path.stat().st_size > MAX_PRINTED_BYTES:
            os.truncate(path, 0)


def discard_files(session: Path, name: str) -> None:
    """Remove the files of a processor, where no frame was taken, or it had nothing to say.

    Parameters
    ----------
    session
        The session's folder.
    name
        The processor's.
    """
    for ending in (".jsonl", ".txt"):
        with suppress(OSError):
            (session / FOLDER / f"{name}{ending}").unlink()
    with suppress(OSError):
        (session / FOLDER).rmdir()
