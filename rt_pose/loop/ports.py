"""The addresses of a run's sockets: bound, tried before a run, or reserved until it begins."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from rt_pose.errors import UserError

if TYPE_CHECKING:
    from rt_pose.config.schema import PublishConfig

LOOPBACK = ("tcp://127.", "tcp://localhost:", "tcp://[::1]", "ipc://", "inproc://")
ANY_PORT = "tcp://127.0.0.1:*"
LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""


class AddressInUse(UserError):
    """Another socket has the address."""


def bind(socket: zmq.Socket[bytes], address: str, key: str) -> str:
    """Bind a socket to an address of the loopback interface.

    Parameters
    ----------
    socket
        The socket.
    address
        ZeroMQ address; `*` as its port takes a free one.
    key
        The configuration's key, for messages.

    Returns
    -------
    str
        The address that was bound.

    Raises
    ------
    UserError
        Where the address is open to other machines or cannot be bound; `AddressInUse` where another socket
        has it.
    """
    if not address.startswith(LOOPBACK):
        raise UserError(
            f"{key}: {address} is open to other machines and would need CURVE keys, which this version "
            "does not read; bind tcp://127.0.0.1:PORT and forward the port (e.g. `ssh -L`)"
        )
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUse(
                f"{key}: {address} is in use by {listener(address) or 'another program'}; stop that one or "
                f"give another port, e.g. `--{key} tcp://127.0.0.1:5890`"
            ) from error
        raise UserError(f"{key}: cannot bind {address}: {error}; expected tcp://127.0.0.1:PORT") from error
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


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
        bound, problems = {}, []
        for key, address in wanted.items():
            socket: zmq.Socket[bytes] = sockets.enter_context(context.socket(zmq.PUB))
            try:
                bound[key] = _bind_or_free(socket, address, key, or_free)
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise UserError("\n".join(problems))
        yield bound


def check_addresses(publish: PublishConfig) -> None:
    """Check that the addresses of a run are free now.

    Parameters
    ----------
    publish
        The wanted addresses.

    Raises
    ------
    UserError
        With every address that cannot be had.
    """
    with reserve_addresses(publish):
        pass


def _bind_or_free(socket: zmq.Socket[bytes], address: str, key: str, or_free: bool) -> str:
    try:
        return bind(socket, address, key)
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
