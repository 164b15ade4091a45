"""Datagrams to one program, which need not take them; what can be known of that is told."""

from __future__ import annotations

import os
import socket

from rigs.timed_lines import Undelivered
from rt_pose.errors import UserError


class UdpPeer:
    """A connected UDP socket. Any thread may send."""

    def __init__(self, where: str, host: str, port: int) -> None:
        """Resolve the host's name and connect; nothing is sent.

        Parameters
        ----------
        where
            Place of the options in the configuration, for messages.
        host
            Name or address.
        port
            Port, 1 to 65535.

        Raises
        ------
        UserError
            Where the host is not known or no way leads there.
        """
        self.address = f"{host}:{port}"
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as error:
            raise UserError(f"{where}.host: {host!r} cannot be found ({error})") from error
        try:
            self._socket.setblocking(False)
            self._socket.connect(place)
        except OSError as error:
            self._socket.close()
            raise UserError(f"{where}: no way leads to {self.address} ({error})") from error

    def send(self, datagram: bytes) -> None:
        """Send a datagram without waiting.

        Parameters
        ----------
        datagram
            At most some 1400 bytes.

        Raises
        ------
        Undelivered
            Where the system says that it did not go out, or that nobody has the port. On this machine it says
            so at once; of another machine with the next datagram, or never.
        """
        before = self._pending_error()  # unread, it would keep this datagram from going out
        try:
            self._socket.send(datagram)
        except OSError as error:
            raise Undelivered(f"no datagram goes out to {self.address} ({error.strerror})") from error
        problem = self._pending_error() or before
        if problem:
            raise Undelivered(f"nobody takes datagrams at {self.address} ({os.strerror(problem)})")

    def close(self) -> None:
        """Release the socket. May be called twice."""
        self._socket.close()

    def _pending_error(self) -> int:
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
