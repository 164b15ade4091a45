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
    """A text file that takes the name `path` only when the block has ended well.

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
    """Write a whole text file; UserError as `atomic_writer`."""
    with atomic_writer(path, remedy) as file:
        file.write(text)


def check_folder(out: Path, need_mib: float, what: str = "out") -> None:
    """UserError where a folder cannot be made or written to, or has too little room; nothing is written."""
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{what} {out}: cannot write into {there}; give another --out")
    free_mib = shutil.disk_usage(there).free / MIB
    if free_mib < need_mib:
        raise UserError(
            f"{what} {out}: at least {need_mib:.0f} MiB are needed, {free_mib:.0f} MiB are free in {there}; "
            "make room or give another --out"
        )
