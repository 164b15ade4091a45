"""One serial port that an output and inputs of the same run share.

Whoever comes first opens the port, and whoever finds it broken opens it anew for all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from rigs.serial_ports import PortOptions, find_port, open_port, serial_number_at
from rt_pose.clock import Clock
from rt_pose.drivers import DriverContext
from rt_pose.errors import UserError

Take = Callable[[Any, int], None]
"""Takes a message that nobody waits for, and the host time of its arrival, ns; in the link's thread."""


class Link(Protocol):
    """Messages over an open port, read by a thread of its own."""

    fault: str
    """Why nothing can be sent or received any more."""

    def write(self, message: Any) -> int:
        """Send a message without waiting for an answer; return the host time, ns."""
        ...

    def close(self, last: Any = None) -> None:
        """End the thread and release the port, with a last message where it still takes one."""
        ...


L = TypeVar("L", bound=Link)
MakeLink = Callable[[Any, Clock, str, Take], L]
"""Makes a link of an open port, the host clock, a name for its thread, and what takes unasked messages."""


@dataclass(frozen=True, slots=True)
class _User:
    where: str
    take: Take


class SharedPort(Generic[L]):
    """One port and those who use it. Every method may be called from any thread."""

    def __init__(self, options: PortOptions, clock: Clock, make_link: MakeLink[L]) -> None:
        """Keep which port it is; it is not opened yet.

        Parameters
        ----------
        options
            Of the driver that comes first.
        clock
            Host clock.
        make_link
            Makes a link of the opened port.
        """
        self.baud = options.baud
        self.path = ""
        """Path of the port when it was opened last."""
        self.options = options
        """By which the port is found: those with a serial number, where a driver gives one."""
        self._clock, self._make_link = clock, make_link
        self._lock = threading.Lock()
        self._link: L | None = None
        self._users: dict[str, _User] = {}

    def attach(self, place: str, where: str, take: Take) -> L:
        """Begin to use the port.

        Parameters
        ----------
        place
            What of the device is used, such as `output` or `input line 0`; it has one user.
        where
            The output or input, for messages.
        take
            Takes every message that nobody waits for, those for others too.

        Returns
        -------
        Link
            The open port.

        Raises
        ------
        UserError
            Where the place is taken, or the port cannot be opened.
        """
        with self._lock:
            if other := self._users.get(place):
                raise UserError(f"{where}: {other.where} has the {place} of this device already")
            link = self._open(where)
            self._users = {**self._users, place: _User(where, take)}
            return link

    def link(self, where: str) -> L:
        """Get the open port, anew where it is broken.

        Parameters
        ----------
        where
            The output or input, for messages.

        Returns
        -------
        Link
            The open port.

        Raises
        ------
        UserError
            Where it cannot be opened.
        """
        with self._lock:
            return self._open(where)

    def detach(self, place: str, last: Any = None) -> None:
        """End using the port; the last user closes it.

        Parameters
        ----------
        place
            As it was attached.
        last
            A last message to send where the port still takes one.
        """
        with self._lock:
            self._users = {name: user for name, user in self._users.items() if name != place}
            link = self._link
            if link is None:
                return
            if not self._users:
                self._link = None
                link.close(last)
            elif last is not None:
                with suppress(Exception):  # a broken port is for its next user to find
                    link.write(last)

    def _open(self, where: str) -> L:
        if self._link is not None:
            if not self._link.fault:
                return self._link
            self._link.close()
            self._link = None
        self.path = find_port(self.options, where)
        port = open_port(self.path, self.baud, where)
        self._link = self._make_link(port, self._clock, os.path.basename(self.path), self._pass_on)
        return self._link

    def _pass_on(self, message: Any, now_ns: int) -> None:
        for user in self._users.values():
            user.take(message, now_ns)


def shared_port(
    options: PortOptions, context: DriverContext, where: str, make_link: MakeLink[L]
) -> SharedPort[L]:
    """Get the port of the board that a driver's options name, the same one for all drivers of a run.

    Parameters
    ----------
    options
        The driver's options.
    context
        What the drivers of the run share.
    where
        The output or input, for messages.
    make_link
        Makes a link of the opened port; the same for all drivers of a kind of device.

    Returns
    -------
    SharedPort
        The port, opened or not.

    Raises
    ------
    UserError
        Where another driver names another baud rate or kind of device.

    Notes
    -----
    Which board is meant is found out once, since the system may give its path to another one later.
    """
    named = options.serial or options.port
    key = f"serial port {named}"
    if key not in context.shared:
        port = SharedPort(options, context.clock, make_link)
        context.shared[key] = context.shared.setdefault(f"board {_board(options)}", (make_link, port))
    kind, shared = context.shared[key]
    if kind is not make_link:
        raise UserError(f"{where}: another driver uses {named} for another kind of device; give another port")
    if shared.baud != options.baud:
        raise UserError(
            f"{where}.options: baud is {options.baud}, but {shared.baud} of another driver on the same port; "
            "give both the same"
        )
    if options.serial:
        shared.options = options
    found: SharedPort[L] = shared
    return found


def _board(options: PortOptions) -> str:
    """What tells a board from others: its serial number, or the path of its port where it has none."""
    return options.serial or serial_number_at(options.port) or os.path.realpath(options.port)
