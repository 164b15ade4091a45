"""A board that takes lines of JSON, on a pseudo-terminal."""

from __future__ import annotations

import json
import os
import select
import threading
import tty
from types import TracebackType
from typing import Any, Self

from rt_pose.clock import HostClock

SLOW_S = 0.4
"""After how long it answers where it is slow."""


class JsonBoard:
    """Answers every command; `mode` makes it silent, garbled, slow or unwilling."""

    def __init__(self, mode: str = "") -> None:
        self.mode = mode
        self.received: list[dict[str, Any]] = []
        self._clock = HostClock()
        self._begun_ns = self._clock.now_ns()
        self._board, self._driver = os.openpty()
        tty.setraw(self._driver)
        self.port = os.ttyname(self._driver)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def unplug(self) -> None:
        self._stop.set()
        self._thread.join()
        for descriptor in (self._board, self._driver):
            if descriptor >= 0:
                os.close(descriptor)
        self._board = self._driver = -1

    def actions(self) -> list[str]:
        return [one["action"] for one in self.received if one["action"] != "heartbeat"]

    def _run(self) -> None:
        waiting = b""
        while not self._stop.is_set():
            if not select.select([self._board], [], [], 0.02)[0]:
                continue
            *lines, waiting = (waiting + os.read(self._board, 4096)).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        self.received.append(message)
        if "id" not in message or self.mode == "silent":
            return
        if self.mode == "garbled":
            os.write(self._board, b'\xff\xfe{"id":\n[1, 2]\n{"id": "one"}\n')
            return
        answer: dict[str, Any] = {
            "id": message["id"],
            "t_us": (self._clock.now_ns() - self._begun_ns) // 1000,
        }
        if self.mode == "unwilling":
            answer |= {"ok": False, "detail": "the door is open"}
        if self.mode == "slow":
            self._stop.wait(SLOW_S)
        os.write(self._board, json.dumps(answer).encode() + b"\n")
