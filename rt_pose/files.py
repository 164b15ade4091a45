"""Files that appear whole, and over nothing of the user's.

A reader never sees half of a file, and a failure leaves the old one in place. A command replaces a file only
where it can tell that rt-pose has made it, or is told to with `--overwrite`; what it reads it never replaces.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rt_pose.errors import UserError

MIB = 2**20
PART = ".part"
"""Ends the name of a file that is not whole."""
HEAD_BYTES = 1 << 16
"""So much of a file is looked at to recognise it."""
LONGEST_NAME = 200
"""Bytes of a name that comes out of a file: the system takes 255, and an ending may follow."""
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
    if path.is_dir():
        raise UserError(f"{path}: is a folder; {remedy}")
    part = path.with_name(path.name + PART)
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


def cache_folder(kind: str) -> Path:
    """Find where is kept what can be made again: `$XDG_CACHE_HOME/rt-pose/KIND`, by default under `~/.cache`.

    Parameters
    ----------
    kind
        Name of the folder in that of rt-pose.

    Returns
    -------
    Path
        The folder; it may not exist.

    Raises
    ------
    RuntimeError
        Where it would be in the user's home, and there is none.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: what is not absolute is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "rt-pose" / kind


def check_output(
    out: Path,
    inputs: Iterable[Path] = (),
    *,
    overwrite: bool = False,
    is_ours: Callable[[bytes], bool] = lambda _: False,
    option: str = "--out",
) -> None:
    """Check that a file can be written without loss: nothing is read from it, and nobody else has made it.

    Parameters
    ----------
    out
        The file to write; it need not exist.
    inputs
        Files and folders that the command reads.
    overwrite
        Whether the user has allowed it to replace a file of others.
    is_ours
        Tells by the beginning of an existing file whether rt-pose has made it.
    option
        The option that names the file, for messages.

    Raises
    ------
    UserError
        Where it is one of the inputs, no plain file, or would replace what rt-pose has not made.
    """
    if not out.exists():
        return
    for source in inputs:
        if source.exists() and out.samefile(source):
            raise UserError(f"{option} {out}: is what the command reads; give another name")
    if out.is_dir():
        raise UserError(f"{option} {out}: is a folder; give the name of the file to write")
    if not out.is_file():
        raise UserError(f"{option} {out}: is no plain file; give another name")
    if overwrite:
        return
    with out.open("rb") as file:
        ours = is_ours(file.read(HEAD_BYTES))
    if not ours:
        raise UserError(
            f"{option} {out}: exists already, and not as a result of this command; give another name, or "
            "--overwrite to replace it"
        )


def check_output_folder(
    out: Path, names: Iterable[str], marker: str, inputs: Iterable[Path] = (), *, overwrite: bool = False
) -> None:
    """Check that files can be written into a folder without loss, as `check_output` does for one file.

    Parameters
    ----------
    out
        The folder; it need not exist.
    names
        The files; patterns for those whose names are not known yet.
    marker
        The file by which a folder is recognised that this command has filled before.
    inputs
        Files and folders that the command reads.
    overwrite
        Whether the user has allowed it to replace files of others.

    Raises
    ------
    UserError
        Where a file is one of the inputs, or would replace what this command has not made.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; give the name of a folder")
    sources, ours = list(inputs), (out / marker).is_file()
    for file in (file for name in names for file in sorted(out.glob(name))):
        check_output(file, sources, overwrite=overwrite or ours)


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


def is_plain_name(name: str) -> bool:
    """Check that a name out of a file leads nowhere else when it is joined to a folder.

    Parameters
    ----------
    name
        The name.

    Returns
    -------
    bool
        Whether it is that of one file or folder.
    """
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:
        return False
    return name not in ("", ".", "..") and not set(name) & set("/\\\0") and length <= LONGEST_NAME


def mark_png(path: Path) -> None:
    """Note in a PNG that rt-pose has made it, so that the same command may replace it.

    Parameters
    ----------
    path
        The picture.
    """
    picture = path.read_bytes()
    path.write_bytes(picture[:_PNG_HEAD] + _PNG_MARK + picture[_PNG_HEAD:])


def is_own_png(head: bytes) -> bool:
    """Tell whether a PNG was marked by `mark_png`.

    Parameters
    ----------
    head
        Its first bytes.

    Returns
    -------
    bool
        Whether it was.
    """
    return head[_PNG_HEAD:].startswith(_PNG_MARK)


def _png_text(keyword: bytes, text: bytes) -> bytes:
    """A text chunk of a PNG: length, kind, content, CRC."""
    content = b"tEXt" + keyword + b"\0" + text
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


_PNG_HEAD = 33
"""Bytes of a PNG before its second chunk: signature and header."""
_PNG_MARK = _png_text(b"Software", b"rt-pose")
