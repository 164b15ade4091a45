"""What an input delivers, waited for."""

from __future__ import annotations

import threading

from rt_pose.types import Edge


class Edges:
    """Give it to `Input.start`."""

    def __init__(self) -> None:
        self.found: list[Edge] = []
        self._more = threading.Condition()

    def __call__(self, edge: Edge) -> None:
        with self._more:
            self.found.append(edge)
            self._more.notify_all()

    def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Edge]:
        """The first edges; AssertionError where they do not come."""
        with self._more:
            came = self._more.wait_for(lambda: len(self.found) >= count, timeout_s)
            assert came, f"{len(self.found)} of {count} edges within {timeout_s:g} s: {self.found}"
            return self.found[:count]
