"""A device on a pseudo-terminal, well and ill. What it answers a subclass says."""

from __future__ import annotations

import os
import pty
import random
import select
import threading
import tty
from contextlib import suppress

from rt_pose.clock import NS_PER_MS, HostClock

TURN_S = 0.0005


class PtyDevice:
    """Use it in a `with`. It outlives the programs that use its port."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        """Path of its port."""
        self.clock = HostClock()
        self._mode, self._late_ns = "well", 0
        self._waiting: list[tuple[int, bytes]] = []
        self._end = threading.Event()
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._run, name="pty-device", daemon=True)
        self._thread.start()

    def receive(self, data: bytes) -> None:
        """Take in bytes from the host."""
        raise NotImplementedError

    def turn(self) -> None:
        """Do what is due, between bytes."""

    def send(self, data: bytes) -> None:
        """Send bytes to the host, unless the device is ill."""
        with self._lock:
            if self._mode == "silent":
                return
            if self._mode == "garbage":
                data = bytes(random.randrange(256) for _ in data)
            self._waiting.append((self.clock.now_ns() + self._late_ns, data))

    def ail(self, mode: str, late_ms: float = 0.0) -> None:
        """`silent` takes all and says nothing, `deaf` not even that, `garbage`, `late`, or `well` again."""
        with self._lock:
            self._mode, self._late_ns = mode, round(late_ms * NS_PER_MS)

    def unplug(self) -> None:
        """Pull the cable: the port is gone."""
        with self._lock:
            if self._master >= 0:
                os.close(self._master)
                self._master = -1

    def close(self) -> None:
        """Power off."""
        self._end.set()
        self._thread.join()
        self.unplug()
        os.close(self._slave)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._end.is_set():
            master = self._master
            if master < 0:
                self._end.wait(TURN_S)
            else:
                with suppress(OSError):
                    if select.select([master], [], [], TURN_S)[0]:
                        data = os.read(master, 1024)
                        if self._mode != "deaf":
                            self.receive(data)
            with self._lock:
                self.turn()
                self._flush()

    def _flush(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.clock.now_ns():
            _, data = self._waiting.pop(0)
            if self._master >= 0:
                os.write(self._master, data)
