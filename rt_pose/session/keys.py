"""Single keys of the terminal while a run goes on: an immediate stop must not need the Enter key."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable

EMERGENCY_KEYS, ESCAPE = (b" ", b"x"), b"\x1b"
"""Esc alone is one too; other keys, such as the arrows, send more behind it."""


class KeyListener:
    """Calls `pressed` for each emergency key, and what `listen_for` was given, in a thread of its own.

    It ends with `close`. Ctrl-C keeps its meaning. Where standard input is no terminal, or belongs to
    another job of the shell, there are no keys: `active` is False.
    """

    def __init__(self, pressed: Callable[[], None]) -> None:
        """Start the thread, where there is a terminal to read from.

        Parameters
        ----------
        pressed
            Called in the listener's thread.
        """
        self._pressed = pressed
        self._names: dict[bytes, str] = {}
        self._other_pressed: Callable[[str], None] = _ignore
        self._fd = sys.stdin.fileno() if _is_terminal() else -1
        self.active = self._fd >= 0 and self._is_ours()
        if not self.active:
            return
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="rt-pose-keys", daemon=True)
        self._thread.start()

    def listen_for(self, names: dict[bytes, str], pressed: Callable[[str], None]) -> None:
        """Listen for further keys; an emergency key that comes with them goes first, alone.

        Parameters
        ----------
        names
            What each key is for; keys are single bytes, none of them an emergency key.
        pressed
            Called with the name of what a pressed key is for, in the listener's thread.
        """
        self._names, self._other_pressed = names, pressed

    def close(self) -> None:
        """Give the terminal back as it was. May be called twice."""
        if not self.active:
            return
        self.active = False
        os.write(self._wake_write, b"\0")
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._is_ours():
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd, self._wake_read], [], [])
            if self._wake_read in ready:
                return
            if not self._is_ours():  # reading now would stop the whole program
                threading.Event().wait(0.2)
                continue
            keys = os.read(self._fd, 64)
            if not keys:
                return  # the terminal is gone
            if keys == ESCAPE or any(key in keys for key in EMERGENCY_KEYS):
                self._pressed()
            elif not keys.startswith(ESCAPE):
                for key in keys:
                    if name := self._names.get(bytes([key])):
                        self._other_pressed(name)

    def _is_ours(self) -> bool:
        """Whether we are the terminal's foreground job."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False


def _is_terminal() -> bool:
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):  # closed, or none at all
        return False


def _ignore(name: str) -> None:
    """Nothing is done about a key before `listen_for`."""
