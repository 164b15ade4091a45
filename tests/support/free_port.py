"""Ports of the loopback interface that nobody has, and that nobody is given before they are used.

Port 0 would be one of those from which the system serves every program that does not say which it wants:
another test would have it a moment later.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST, COUNT = 10_000, 22_000
"""Below those that the system gives away."""
_places = itertools.count(os.getpid() * 997)  # each process from another one on


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that is free now, and another one each time."""
    for place in itertools.islice(_places, COUNT):
        port = FIRST + place % COUNT
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")


def free_address() -> str:
    """A ZeroMQ address on a port that is free now."""
    return f"tcp://127.0.0.1:{free_port()}"
