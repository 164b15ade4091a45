"""Edges on their way from the inputs' threads to the loop's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from rt_pose.clock import Clock
from rt_pose.drivers import Input, ReportingInput
from rt_pose.types import Edge, InputInfo, OutputNotice

MOST_WAITING = 1000
"""More edges than this between two turns are lost, and counted: no rule could tell them apart."""


class EdgeInbox:
    """What the inputs deliver, in the order in which it came."""

    def __init__(
        self,
        inputs: Sequence[tuple[InputInfo, Input]],
        clock: Clock,
        notices: deque[OutputNotice] | None = None,
    ) -> None:
        """Keep the inputs; none is watched yet.

        Parameters
        ----------
        inputs
            What each opened input is, and the input.
        clock
            Stamps notices, and the edges of lines that are on from the beginning.
        notices
            Takes what the inputs report; None where nobody asks for it.
        """
        self._inputs, self._clock = inputs, clock
        self._reporting = [(info.name, line) for info, line in inputs if isinstance(line, ReportingInput)]
        self._notices = deque() if notices is None else notices
        self._waiting: deque[Edge] = deque()
        self._refused = 0

    @property
    def lost(self) -> int:
        """Edges that were lost, here or by the inputs."""
        return self._refused + sum(line.lost for _, line in self._reporting)

    def start(self) -> None:
        """Begin to watch the lines."""
        for info, line in self._inputs:
            if info.on:
                self._deliver(Edge(info.name, True, self._clock.now_ns()))
            line.start(self._deliver)

    def stop(self) -> None:
        """End watching."""
        for _, line in self._inputs:
            line.stop()

    def take(self) -> Iterator[Edge]:
        """Take what has come. On the loop's thread; never waits.

        Yields
        ------
        Edge
            In order.
        """
        for name, line in self._reporting:
            while line.notices:
                text = line.notices.popleft()
                self._notices.append(OutputNotice(name, self._clock.now_ns(), text, "input"))
        while self._waiting:
            yield self._waiting.popleft()

    def _deliver(self, edge: Edge) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._refused += 1
        else:
            self._waiting.append(edge)
