"""A session's folder: claimed by one run, described in `session.json`, concluded later after a kill.

The run keeps the folder open: one that is moved meanwhile is followed, one that was removed is never made
again. It also keeps it locked, so that a session that says `running` without a lock is known to be
interrupted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rt_pose.errors import UserError
from rt_pose.session.locks import clear_temporary_folders, lock
from rt_pose.session.read import INFO_NAME, KILLED, RUNNING

PART_NAME = f"{INFO_NAME}.part"
SPARE_BYTES = 16 << 10
"""Blanks at the end of `session.json` while a run goes on, so that a full disk has room for how it ended."""


class SessionFolder:
    """The folder of one session, held by the process that makes it."""

    def __init__(self, path: Path, descriptor: int, made: bool) -> None:
        """Hold a folder; use `claim`.

        Parameters
        ----------
        path
            Where it was when it was opened.
        descriptor
            The open folder, with its lock.
        made
            Whether this run has made it.
        """
        self._path, self._descriptor, self._made = path, descriptor, made

    @classmethod
    def claim(cls, path: Path, info: dict[str, Any]) -> SessionFolder:
        """Take a new or empty folder for a session; of several processes one succeeds.

        Parameters
        ----------
        path
            The folder.
        info
            The content of `session.json`.

        Returns
        -------
        SessionFolder
            The folder, which now holds `session.json`.

        Raises
        ------
        UserError
            Where it holds something, another run has claimed it, or it cannot be written; nothing of others
            is changed.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = _made(path)
            descriptor = lock(path)
            if descriptor is None:
                raise FileExistsError
            folder = cls(path, descriptor, made)
            folder._write_first(info)
        except FileExistsError:
            raise UserError(in_use(path)) from None
        except OSError as error:
            raise UserError(
                f"session {path}: cannot be written: {error.strerror}; give another --out"
            ) from error
        return folder

    @property
    def path(self) -> Path:
        """Where the folder is now, also after it was moved; where it was, if it is gone."""
        return self._place() or self._path

    def write(self, info: dict[str, Any]) -> str:
        """Replace `session.json`, in one step as far as the disk has room for that.

        Parameters
        ----------
        info
            Its content.

        Returns
        -------
        str
            Why it is not written, or not whole; empty where it is.
        """
        try:
            self._replace(_encode(info))
        except OSError as error:
            problem = f"{INFO_NAME} could not be written: {error.strerror}"
        else:
            return "" if self._place() else self._unmounted()
        for shorter in (info, {**info, "summary": {}}, {**info, "summary": {}, "warnings": []}):
            try:
                self._overwrite(_encode(shorter))
            except OSError:
                continue
            return "" if shorter is info else f"{problem}; it holds how the run ended, but no counts"
        return problem

    def add(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write files into a folder within it.

        Parameters
        ----------
        folder
            Name of the folder within; not made where there are no files.
        files
            Content by the file's name.

        Raises
        ------
        UserError
            Where they cannot be written.
        """
        if not files:
            return
        try:
            (self.path / folder).mkdir(exist_ok=True)
            for name, content in files.items():
                (self.path / folder / name).write_bytes(content)
        except OSError as error:
            raise UserError(f"session {self.path}: {folder} cannot be written: {error.strerror}") from error

    def discard(self, names: Collection[str]) -> None:
        """Remove what this run has made, where no frame was taken; nothing else is touched.

        Parameters
        ----------
        names
            Files of the run besides `session.json`; folders in which nothing else is are removed with them.
        """
        for name in (INFO_NAME, PART_NAME, *names):
            with suppress(OSError):
                os.unlink(name, dir_fd=self._descriptor)
        for folder in {os.path.dirname(name) for name in names} - {""}:
            with suppress(OSError):
                os.rmdir(folder, dir_fd=self._descriptor)
        if self._made:
            with suppress(OSError):
                self.path.rmdir()

    def close(self) -> None:
        """Let go of the folder and its lock."""
        os.close(self._descriptor)

    def _place(self) -> Path | None:
        """Where the folder is now; None where it is nowhere."""
        with suppress(OSError):
            if self._is_here(self._path):
                return self._path
            now = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
            if self._is_here(now):
                return now
        return None

    def _unmounted(self) -> str:
        return (
            f"the session is not in {self._path} any more: its disk was unmounted; it is on that disk, as "
            "far as the disk has taken it"
        )

    def _is_here(self, path: Path) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _write_first(self, info: dict[str, Any]) -> None:
        """Write `session.json` where there is none; FileExistsError where the folder holds anything."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            file = os.open(INFO_NAME, flags, 0o666, dir_fd=self._descriptor)
        except OSError:
            self._release()
            raise
        try:
            with open(file, "wb") as stream:
                if set(os.listdir(self._descriptor)) != {INFO_NAME}:
                    raise FileExistsError
                stream.write(_encode(info) + b" " * SPARE_BYTES)
                stream.flush()
                os.fsync(file)
        except OSError:
            os.unlink(INFO_NAME, dir_fd=self._descriptor)
            self._release()
            raise

    def _release(self) -> None:
        if self._made:
            with suppress(OSError):
                self._path.rmdir()
        self.close()

    def _replace(self, content: bytes) -> None:
        at = self._descriptor
        try:
            file = os.open(PART_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666, dir_fd=at)
            with open(file, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(file)
            os.replace(PART_NAME, INFO_NAME, src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            with suppress(OSError):
                os.unlink(PART_NAME, dir_fd=at)
            raise

    def _overwrite(self, content: bytes) -> None:
        """Write over the file as it lies on the disk, which takes no room; OSError where it is too short."""
        file = os.open(INFO_NAME, os.O_WRONLY, dir_fd=self._descriptor)
        try:
            size = os.fstat(file).st_size
            if len(content) > size:
                raise OSError("too little room")
            os.pwrite(file, content.ljust(size), 0)
            os.fsync(file)
        finally:
            os.close(file)


def in_use(path: Path) -> str:
    """Format the message about a folder that cannot become a session.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    str
        The message.
    """
    return f"session {path}: exists already and is not empty; give another --out"


def conclude_killed(path: Path) -> bool:
    """Conclude a session whose program was killed, and clear away what killed runs have left.

    Parameters
    ----------
    path
        The session's folder. Nothing happens where it is none, its run goes on, or it cannot be written.

    Returns
    -------
    bool
        Whether its `session.json` was mended.
    """
    clear_temporary_folders()
    try:
        info = json.loads((path / INFO_NAME).read_bytes())
        if not isinstance(info, dict) or info.get("status") != RUNNING:
            return False
        descriptor = lock(path, surely=True)
    except (OSError, ValueError, RecursionError):
        return False
    if descriptor is None:
        return False
    folder = SessionFolder(path, descriptor, made=False)
    try:
        return not folder.write(info | {"status": KILLED})
    finally:
        folder.close()


def _made(path: Path) -> bool:
    """Make a folder; False where it is there already."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _encode(info: dict[str, Any]) -> bytes:
    return json.dumps(info, indent=1).encode()
