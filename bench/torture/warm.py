"""Processes of a run that begin warm, that are known by their names and numbers from the first moment, and
whose last words are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from bench.warm_processes import WarmContext, WarmProcess

IMPORTS = "bench.torture.warm_imports"
Begun = Callable[[str, int], None]
"""Takes the name and the number of a process that has begun."""


class _Announced(WarmProcess):
    """A process that is announced as soon as it has a number."""

    begun: ClassVar[Begun]
    """Of the class, since what an object holds is sent to the new process."""

    def start(self) -> None:
        """See `Process.start`."""
        super().start()
        assert self.pid is not None
        type(self).begun(self.name, self.pid)


class AnnouncedContext(WarmContext):
    """Announces each of its processes, and appends to a file what they write to standard error."""

    kind = _Announced

    def __init__(self, errors: Path, begun: Begun) -> None:
        """Begin nothing yet.

        Parameters
        ----------
        errors
            The file to which standard error of the processes is appended.
        begun
            Called with each process that has begun.
        """
        super().__init__(IMPORTS, partial(_append_errors, str(errors)))
        _Announced.begun = begun


def _append_errors(path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    os.close(file)
