"""A port of the loopback interface that nobody has."""

from __future__ import annotations

import socket


def free_address() -> str:
    """A ZeroMQ address on a port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{found.getsockname()[1]}"
