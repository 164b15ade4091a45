"""A client that gives a run an order a second, and notes how long each answer took."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import zmq

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.loop.curve import ClientKeys, read_keys
from rt_pose.loop.latency import summary
from rt_pose.session.orders import open_control, request

PERIOD_S = 1.0
ANSWER_MS = 2000


@dataclass
class OrderCounts:
    """What became of the orders; each is one of these."""

    answer_ms: list[float] = field(default_factory=list)
    """Of those that were carried out: from sending to the answer, with the connection, made anew for each."""
    refused: list[str] = field(default_factory=list)
    """Why."""
    unanswered: int = 0
    """Not answered within `ANSWER_MS`, though the run went on."""
    cut_off: int = 0
    """Under way when the run ended."""


class Orders(threading.Thread):
    """Gives an order a second, a mark in the log, until it is ended."""

    def __init__(self, addresses: dict[str, str]) -> None:
        """Make the thread.

        Parameters
        ----------
        addresses
            Of the run.
        """
        super().__init__(name="rt-pose-bench-orders", daemon=True)
        self.counts = OrderCounts()
        self.ended = threading.Event()
        """Set when the run ends: nobody is there any more who could answer."""
        self._addresses = addresses

    def run(self) -> None:
        """See `threading.Thread.run`."""
        clock, number = HostClock(), 0
        keys = read_keys(Path(self._addresses["keys"]), ClientKeys, "orders")
        while not self.ended.wait(PERIOD_S):
            number += 1
            sent_ns = clock.now_ns()
            answer = self._ask(request("mark", {"text": f"mark {number}"}), keys)
            self._count(answer, (clock.now_ns() - sent_ns) / NS_PER_MS)

    def stop(self) -> None:
        """Give no more orders, and wait for the last answer."""
        self.ended.set()
        self.join(ANSWER_MS / 1e3 + 1)

    def sum_up(self, marks_logged: int) -> dict[str, Any]:
        """Sum up.

        Parameters
        ----------
        marks_logged
            How many marks the session's log holds.

        Returns
        -------
        dict[str, Any]
            Summary of `answer_ms`, the counts, reasons of refusals with their numbers, and `marks_logged`.
        """
        found = asdict(self.counts)
        reasons = {why: self.counts.refused.count(why) for why in dict.fromkeys(self.counts.refused)}
        found |= {"answer_ms": summary(self.counts.answer_ms), "refused": reasons}
        return {**found, "marks_logged": marks_logged}

    def _ask(self, order: bytes, keys: ClientKeys) -> dict[str, Any] | None:
        """The answer; None where none came in time."""
        with open_control(self._addresses["control"], zmq.REQ, keys) as socket:
            socket.send(order)
            return msgspec.msgpack.decode(socket.recv()) if socket.poll(ANSWER_MS) else None

    def _count(self, answer: dict[str, Any] | None, took_ms: float) -> None:
        counts = self.counts
        if answer is not None and answer["ok"]:
            counts.answer_ms.append(took_ms)
        elif self.ended.is_set():
            counts.cut_off += 1
        elif answer is None:
            counts.unanswered += 1
        else:
            counts.refused.append(str(answer["error"]))


def format_orders(found: dict[str, Any]) -> str:
    """Format what became of orders, for people.

    Parameters
    ----------
    found
        What `Orders.sum_up` returned.

    Returns
    -------
    str
        A line of Markdown.
    """
    times = found["answer_ms"]
    took = "" if not times else f", P50 {times['p50']:.2f} ms, P99 {times['p99']:.2f} ms"
    refused = "; ".join(f"{why} ({count:,})" for why, count in found["refused"].items())
    return (
        f"- orders: {times['n'] if times else 0:,} carried out{took} ({found['marks_logged']:,} in the log), "
        f"{found['unanswered']} not answered within {ANSWER_MS / 1e3:g} s, "
        f"{found['cut_off']} under way at the end, refused: {refused or 'none'}"
    )
