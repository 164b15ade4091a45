"""The addresses of a run's sockets: bound, tried before a run, or reserved until it begins."""

from __future__ import annotations

import os
import re
import socket as sockets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from rt_pose.errors import UserError
from rt_pose.loop.curve import ServerKeys, read_keys

if TYPE_CHECKING:
    from rt_pose.config.schema import PublishConfig

LOOPBACK = re.compile(r"(tcp://(127(\.\d+){3}|localhost|\[::1\]):|ipc://|inproc://)")
ANY_PORT = "tcp://127.0.0.1:*"
IPC = "ipc://"
LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""


class AddressInUse(UserError):
    """Another socket has the address."""


def is_local(address: str) -> bool:
    """Check whether an address is reached from this machine alone.

    Parameters
    ----------
    address
        ZeroMQ address.

    Returns
    -------
    bool
        Whether it is.
    """
    return LOOPBACK.match(address) is not None


def bind(socket: zmq.Socket[bytes], address: str, key: str, keyed: bool = False) -> str:
    """Bind a socket, to the loopback interface unless other machines can have keys to it.

    Parameters
    ----------
    socket
        The socket.
    address
        ZeroMQ address; `*` as its port takes a free one.
    key
        The configuration's key, for messages.
    keyed
        Whether the socket admits only clients with keys of `rt-pose keys`.

    Returns
    -------
    str
        The address that was bound.

    Raises
    ------
    UserError
        Where the address is open to other machines without keys, or cannot be bound; `AddressInUse` where
        another socket has it.
    """
    if not is_local(address) and not keyed:
        raise UserError(
            f"{key}: {address} is open to other machines and would need keys: `rt-pose keys` makes them, "
            "`--publish.keys FILE` takes them; or bind tcp://127.0.0.1:PORT and forward the port (e.g. "
            "`ssh -L`)"
        )
    if address.startswith(IPC):
        _check_path(address, key)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise _in_use(address, key) from error
        raise UserError(f"{key}: cannot bind {address}: {error}; expected tcp://127.0.0.1:PORT") from error
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def _in_use(address: str, key: str) -> AddressInUse:
    return AddressInUse(
        f"{key}: {address} is in use by {listener(address) or 'another program'}; stop that one or "
        f"give another port, e.g. `--{key} tcp://127.0.0.1:5890`"
    )


def _check_path(address: str, key: str) -> None:
    """Refuse a path that is anything but a dead run's socket: binding would delete what is there."""
    path = Path(address.removeprefix(IPC))
    if str(path).startswith(("@", "*")) or not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise UserError(f"{key}: {address}: {path} exists already and is no socket; give another path")
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise UserError(f"{key}: cannot bind {address}: {error.strerror}; give another path") from error
    raise _in_use(address, key)


@contextmanager
def reserve_addresses(publish: PublishConfig, or_free: bool = False) -> Iterator[dict[str, str]]:
    """Hold the addresses of a run while the block runs.

    Parameters
    ----------
    publish
        The wanted addresses.
    or_free
        Whether an address that is in use is replaced by a free port.

    Yields
    ------
    dict[str, str]
        What was bound, by the configuration's key.

    Raises
    ------
    UserError
        With every address that cannot be had.
    """
    wanted = {"publish.address": publish.address, "publish.control": publish.control}
    with zmq.Context() as context, ExitStack() as sockets:
        bound, problems = {}, _key_problems(publish)
        for key, address in wanted.items():
            socket: zmq.Socket[bytes] = sockets.enter_context(context.socket(zmq.PUB))
            try:
                bound[key] = _bind_or_free(socket, address, key, or_free, bool(publish.keys))
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise UserError("\n".join(problems))
        yield bound


def _key_problems(publish: PublishConfig) -> list[str]:
    if not publish.keys:
        return []
    try:
        read_keys(Path(publish.keys), ServerKeys, "publish.keys")
    except UserError as error:
        return [str(error)]
    return []


def _bind_or_free(socket: zmq.Socket[bytes], address: str, key: str, or_free: bool, keyed: bool) -> str:
    try:
        return bind(socket, address, key, keyed)
    except AddressInUse:
        if not or_free:
            raise
        return bind(socket, ANY_PORT, key)


def listener(address: str) -> str:
    """Find the process that listens at a TCP port of this machine.

    Parameters
    ----------
    address
        Ends with `:PORT`.

    Returns
    -------
    str
        E.g. `process 71 (rt-pose run ...)`; empty where it cannot be found: on a system without /proc, or
        where the process is another user's.
    """
    port = re.search(r":(\d+)$", address)
    inodes = _listening(int(port[1])) if port else set()
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if os.readlink(link) in inodes:
                words = (link.parents[1] / "cmdline").read_bytes().decode(errors="replace").split("\0")
                return f"process {link.parents[1].name} ({' '.join(words).strip()[:80]})"
        except OSError:
            continue  # it has ended, or is not ours to look at
    return ""


def _listening(port: int) -> set[str]:
    """Names, as in /proc/PID/fd, of the sockets that listen at a port."""
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.is_file() else ():
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found
