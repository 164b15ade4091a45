"""Folders that belong to a living process: the system lets go of its lock however the process ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEW, LOCKED = "rt-pose-new-", "rt-pose-run-"
"""How temporary folders are called before and after they are locked."""


def lock(folder: Path, *, surely: bool = False) -> int | None:
    """Open and lock a folder for the calling process.

    Parameters
    ----------
    folder
        An existing folder.
    surely
        Whether a file system without locks, as some network drives are, counts as locked by another;
        otherwise the folder is opened all the same.

    Returns
    -------
    int or None
        A descriptor of the folder, which bears the lock; None where another process has it.

    Raises
    ------
    OSError
        Where it cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if surely or isinstance(error, BlockingIOError):
            os.close(descriptor)
            return None
    return descriptor


def is_locked(folder: Path) -> bool:
    """Tell whether a living process may have the lock of a folder.

    Parameters
    ----------
    folder
        A folder.

    Returns
    -------
    bool
        False also where the folder cannot be opened.
    """
    try:
        descriptor = lock(folder, surely=True)
    except OSError:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a temporary folder for a process; those of processes that were killed are cleared away.

    Yields
    ------
    Path
        The folder; its path is short enough for a socket in it.
    """
    clear_temporary_folders()
    made = Path(tempfile.mkdtemp(prefix=NEW))
    descriptor = lock(made)
    # Only what is locked already has the name by which others look for what nobody needs any more.
    folder = made.rename(made.with_name(made.name.replace(NEW, LOCKED)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def clear_temporary_folders() -> None:
    """Remove this user's temporary folders whose process was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{LOCKED}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            descriptor = lock(folder, surely=True)
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)
