"""Files that appear whole: a reader never sees half of one, and a failure leaves the old one in place."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rt_pose.errors import UserError

MIB = 2**20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_writer(path: Path, remedy: str = "choose another `--out`") -> Iterator[TextIO]:
    """Open a text file that takes the name `path` only when the block has ended well.

    Parameters
    ----------
    path
        The file; its folder is made where it does not exist.
    remedy
        What the user can do, for the end of an error message.

    Yields
    ------
    TextIO
        The open file, UTF-8, line ends as written.

    Raises
    ------
    UserError
        Where the file cannot be opened, or the disk is full; it ends with `remedy`.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; {remedy}") from error
    try:
        with file:
            yield file
        part.replace(path)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise UserError(f"{path}: cannot be written: {error.strerror}; make room, or {remedy}") from error
        raise
    finally:
        part.unlink(missing_ok=True)


def write_atomic(path: Path, text: str, remedy: str = "choose another `--out`") -> None:
    """Write a whole text file in one step.

    Parameters
    ----------
    path
        The file; its folder is made where it does not exist.
    text
        Its whole content.
    remedy
        What the user can do, for the end of an error message.

    Raises
    ------
    UserError
        See `atomic_writer`.
    """
    with atomic_writer(path, remedy) as file:
        file.write(text)


def check_folder(out: Path, need_mib: float, what: str = "out") -> None:
    """Check that a folder can be made, can be written to, and has room; nothing is written.

    Parameters
    ----------
    out
        The folder.
    need_mib
        Free space that is needed, MiB.
    what
        What the folder is, for messages.

    Raises
    ------
    UserError
        Where it cannot be written to, or has too little room.
    """
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{what} {out}: cannot write into {there}; give another --out")
    free_mib = shutil.disk_usage(there).free / MIB
    if free_mib < need_mib:
        raise UserError(
            f"{what} {out}: at least {need_mib:.0f} MiB are needed, {free_mib:.0f} MiB are free in {there}; "
            "make room or give another --out"
        )
