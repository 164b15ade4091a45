"""Messages to a TTL box and its answers, over an open serial port.

A thread of its own reads the port, so that the safe state can be commanded and confirmed from any thread,
also while another one waits for an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from rigs.firmware.framing import Deframer, frame
from rigs.firmware.protocol import Message
from rigs.serial_link import PortReader
from rt_pose.clock import Clock

LAST_SEQ = 0xFFFF


class BoxFault(Exception):
    """The box, its cable or its port has failed."""


@dataclass(slots=True)
class Exchange:
    """A message and its answer."""

    t_sent_ns: int = 0
    """When the port had taken it."""
    t_answer_ns: int = 0
    answer: Message | None = None
    """None where none came in time."""
    came: threading.Event = field(default_factory=threading.Event)


class BoxLink(PortReader):
    """One open port. `close` ends its thread."""

    fault_kind = BoxFault

    def __init__(self, serial: Any, clock: Clock, name: str, unasked: Callable[[Message, int], None]) -> None:
        """Start the thread that reads the port.

        Parameters
        ----------
        serial
            An open port of pyserial, with timeouts for reading and writing.
        clock
            The host clock.
        name
            Name of the output, part of the thread's name.
        unasked
            Called, in the reading thread, with every message that no `exchange` waits for and the host time
            (ns) at which it arrived.
        """
        self.unreadable = 0
        self._unasked, self._deframer = unasked, Deframer()
        self._waiting: dict[int, Exchange] = {}
        self._seq = 0
        super().__init__(serial, clock, name)

    def next_seq(self) -> int:
        """Return a number for the next message: 1 to 65535, then 1 again."""
        with self._lock:
            self._seq = self._seq % LAST_SEQ + 1
            return self._seq

    def write(self, message: Message) -> int:
        """Send a message without waiting for an answer.

        Parameters
        ----------
        message
            The message, with a number of `next_seq`.

        Returns
        -------
        int
            Host time at which the port had taken it, ns.

        Raises
        ------
        BoxFault
            Where the port cannot be written to, or has failed before.
        """
        return self._send(frame(message))

    def exchange(self, message: Message, timeout_s: float) -> Exchange:
        """Send a message and wait for its answer, which may not come.

        Parameters
        ----------
        message
            The message, with a number of `next_seq`: the answer carries the same one.
        timeout_s
            Longest wait for the answer, s.

        Returns
        -------
        Exchange
            The times and the answer; `answer` is None where none came in time.

        Raises
        ------
        BoxFault
            Where the port is gone.
        """
        exchange = Exchange()
        with self._lock:
            self._waiting[message.seq] = exchange
        try:
            t_sent_ns = self.write(message)
            exchange.came.wait(timeout_s)
        finally:
            with self._lock:
                self._waiting.pop(message.seq, None)
        if exchange.answer is None and self.fault:
            raise BoxFault(self.fault)
        # The reader may have had the answer before this thread came to look at the clock.
        answered = exchange.answer is not None
        exchange.t_sent_ns = min(t_sent_ns, exchange.t_answer_ns) if answered else t_sent_ns
        return exchange

    def close(self, last: Message | None = None) -> None:
        """End the thread and release the port.

        Parameters
        ----------
        last
            A last message to send where the port still takes one.
        """
        self._end(None if last is None else frame(last))

    def _feed(self, data: bytes, now_ns: int) -> None:
        for message in self._deframer.feed(data):
            self._take(message, now_ns)
        self.unreadable = self._deframer.bad

    def _awaited(self) -> Iterable[threading.Event]:
        return (exchange.came for exchange in self._waiting.values())

    def _take(self, message: Message, now_ns: int) -> None:
        self.t_received_ns = now_ns
        with self._lock:
            exchange = self._waiting.get(message.seq)
            if exchange is not None:
                exchange.answer, exchange.t_answer_ns = message, now_ns
                exchange.came.set()
        if exchange is None:
            self._unasked(message, now_ns)
