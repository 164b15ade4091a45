"""The file in which a run leaves the keys to its control socket, for clients of the same user.

It is named by the control port and lies in `$XDG_RUNTIME_DIR/rt-pose`, or else in `rt-pose/keys` of the
user's cache: in a folder that no other user can enter. The run holds a lock on it as long as it lives; so a
file without a lock is of a run that has died, and is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.errors import UserError
from rt_pose.loop.curve import ClientKeys, read_keys

ANY_HOST = ("127.0.0.1", "localhost", "0.0.0.0", "*")
"""Hosts whose port alone names the file."""
LOCK_ATTEMPTS, LOCK_PAUSE_NS = 5, 50 * NS_PER_MS
"""A client that looks whether the run lives holds the lock for an instant."""
FOR_OTHERS = "for a run of another user or machine, or a forwarded port, give its file with `--keys FILE`"


class KeyFileContent(msgspec.Struct):
    """What the file holds: the keys, and whose they are."""

    control: str
    """Address of the control socket."""
    pid: int
    """Of the process that holds the lock."""
    server_public: str
    client_public: str
    client_secret: str


def key_folders() -> list[Path]:
    """List the folders in which key files may lie.

    Returns
    -------
    list[Path]
        The first in which a folder can be made is written to.
    """
    runtime, cache = os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("XDG_CACHE_HOME")
    folders = [Path(runtime) / "rt-pose"] if runtime and Path(runtime).is_dir() else []
    return [*folders, (Path(cache) if cache else Path("~/.cache").expanduser()) / "rt-pose" / "keys"]


def key_name(address: str) -> str:
    """Name the key file of a control socket.

    Parameters
    ----------
    address
        Address of the socket.

    Returns
    -------
    str
        By the port, and the host where it is another than this machine's usual one; by a hash of the path
        where there is no port.
    """
    tcp = re.fullmatch(r"tcp://(.+):(\d+)", address)
    if tcp is None:
        path = os.path.abspath(address.removeprefix("ipc://"))
        return f"control-ipc-{hashlib.sha256(path.encode()).hexdigest()[:16]}.json"
    host, port = tcp.groups()
    other = "" if host in ANY_HOST else re.sub(r"[^\w.]+", "_", host.strip("[]")) + "-"
    return f"control-{other}{port}.json"


class KeyFile:
    """The key file of one run, from its beginning to its end."""

    def __init__(self, address: str, keys: ClientKeys) -> None:
        """Write the file and lock it.

        Parameters
        ----------
        address
            Address of the control socket, which is bound already.
        keys
            What its clients prove themselves with.

        Raises
        ------
        UserError
            Where it cannot be written, or the file there is of a run that lives.
        """
        folder = _own_folder()
        self.path = folder / key_name(address)
        if _is_locked(self.path, attempts=LOCK_ATTEMPTS):
            raise UserError(
                f"publish.control: the key file {self.path} is of a run that lives "
                f"(process {_pid_in(self.path) or 'unknown'}); stop that one, or give another port"
            )
        content = KeyFileContent(address, os.getpid(), **msgspec.structs.asdict(keys))
        self._descriptor, part = tempfile.mkstemp(prefix=f"{self.path.name}.", dir=folder)  # mode 0600
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._descriptor, msgspec.json.format(msgspec.json.encode(content)) + b"\n")
            os.replace(part, self.path)  # a client reads the whole file or none
        except OSError as error:
            os.close(self._descriptor)
            Path(part).unlink(missing_ok=True)
            raise UserError(
                f"publish.control: the key file {self.path} cannot be written: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Remove the file, unless it is another run's by now. May be called twice."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._descriptor), self.path.lstat()):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1


def find_client_keys(address: str, given: Path | None, what: str) -> tuple[Path, ClientKeys]:
    """Find the keys for a control socket.

    Parameters
    ----------
    address
        Address of the socket.
    given
        The file that the user names; None looks for it by the port.
    what
        Who wants them, the beginning of messages.

    Returns
    -------
    path : Path
        Where they were found.
    keys : ClientKeys
        The keys.

    Raises
    ------
    UserError
        Where they cannot be used: it names the file and says why.
    """
    if given is not None:
        return given, read_keys(given, ClientKeys, what)
    places = [folder / key_name(address) for folder in key_folders()]
    path = next((place for place in places if os.path.lexists(place)), None)
    if path is None:
        raise UserError(
            f"{what}: the key file {' or '.join(map(str, places))} is not there; does a run of yours listen "
            f"at {address}? {FOR_OTHERS}"
        )
    with contextlib.suppress(OSError):
        if path.stat().st_uid not in (os.getuid(), 0):
            raise UserError(f"{what}: the key file {path} belongs to another user; {FOR_OTHERS}")
    keys = read_keys(path, ClientKeys, what)
    if not _is_locked(path):
        raise UserError(
            f"{what}: the key file {path} is of a run that has ended (process {_pid_in(path) or 'unknown'}); "
            f"does a run of yours listen at {address}? {FOR_OTHERS}"
        )
    return path, keys


def remove_left_by(pid: int | None) -> None:
    """Remove the key files that a process left behind when it was killed.

    Parameters
    ----------
    pid
        The process, which has ended; None for none.
    """
    for folder in key_folders():
        for path in folder.glob("control-*.json"):
            if pid is not None and _pid_in(path) == pid and not _is_locked(path):
                path.unlink(missing_ok=True)


def _own_folder() -> Path:
    """The first folder that is this user's alone, made where it is not there."""
    problems = []
    for folder in key_folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                problems.append(f"{folder} is not a folder of this user")
                continue
            if found.st_mode & 0o077:
                folder.chmod(0o700)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
            problems.append(f"{folder} cannot be written to")
        except OSError as error:
            problems.append(f"{folder}: {error.strerror}")
    raise UserError(
        f"publish.control: no place for the key file: {'; '.join(problems)}; set XDG_RUNTIME_DIR or "
        "XDG_CACHE_HOME to a folder of yours"
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_locked(path: Path, attempts: int = 1) -> bool:
    """Whether a living run holds the file."""
    clock = HostClock()
    for attempt in range(attempts):
        if attempt:
            clock.sleep_until_ns(clock.now_ns() + LOCK_PAUSE_NS)
        with _opened(path) as descriptor:
            if descriptor is None:
                return False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                continue
            return False
    return True


def _pid_in(path: Path) -> int | None:
    """The process that the file names; None where it says nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeyFileContent).pid
    except (OSError, ValueError):
        return None
