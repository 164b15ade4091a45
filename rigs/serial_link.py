"""Messages to a device on a serial port, and its answers, for protocols without numbers on their messages.

A thread of its own reads the port, so that a question may come from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from rigs.serial_ports import close_port
from rt_pose.clock import NS_PER_MS, Clock

NO_ANSWER_NS = 500 * NS_PER_MS
"""A board that has been silent for so long, though it was asked, has failed."""
HEARTBEATS = 4
"""So many go out within the watchdog's time, and within the time after which a silent board has failed."""

M_co = TypeVar("M_co", covariant=True)
N = TypeVar("N")


class DeviceFault(Exception):
    """The device, its cable or its port has failed."""


def heartbeat_ms(watchdog_ms: float) -> float:
    """Compute how often a board with a watchdog is to hear from us.

    Parameters
    ----------
    watchdog_ms
        After which it drops its lines.

    Returns
    -------
    float
        Milliseconds from one heartbeat to the next.
    """
    return min(watchdog_ms, NO_ANSWER_NS / NS_PER_MS) / HEARTBEATS


class Parser(Protocol[M_co]):
    """Turns bytes, in whatever pieces they arrive, into messages."""

    def feed(self, data: bytes) -> Iterable[M_co]:
        """Take in bytes and return the messages that they complete."""
        ...


@dataclass(slots=True, eq=False)
class Answer(Generic[N]):
    """A question and its answer."""

    matches: Callable[[N], bool]
    t_sent_ns: int = 0
    t_ns: int = 0
    """When it came."""
    message: N | None = None
    """None where none came in time."""
    came: threading.Event = field(default_factory=threading.Event)


class PortReader:
    """An open port that a thread of its own reads."""

    fault_kind: ClassVar[type[Exception]] = DeviceFault
    """Raised where the port cannot be written to."""

    def __init__(self, serial: Any, clock: Clock, name: str) -> None:
        """Start the thread; what `_feed` and `_awaited` need is there already.

        Parameters
        ----------
        serial
            An open port of pyserial, with timeouts for reading and writing.
        clock
            The host clock.
        name
            Name of the port, part of the thread's name.
        """
        self.fault = ""
        """Why nothing can be sent or received any more."""
        self.t_received_ns = 0
        """When the last message came that could be read."""
        self._serial, self._clock = serial, clock
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name=f"rt-pose-serial-{name}", daemon=True)
        self._reader.start()

    def _send(self, data: bytes) -> int:
        """Send bytes; returns when the port had taken them, ns."""
        if not self.fault:
            with self._lock:
                try:
                    self._serial.write(data)
                except OSError as error:  # pyserial's own errors are OSErrors
                    self.fault = self.fault or f"its port cannot be written to: {error}"
        if self.fault:
            raise self.fault_kind(self.fault)
        return self._clock.now_ns()

    def _end(self, last: bytes | None) -> None:
        """End the thread and release the port, after last bytes where the port still takes them."""
        self._closing.set()
        if last is not None:
            with suppress(OSError):  # a port that is gone
                self._serial.write(last)
        self._reader.join()
        close_port(self._serial, self._clock)

    def _read(self) -> None:
        while not self._closing.is_set():
            try:
                data = self._serial.read(1)
                if data and self._serial.in_waiting:
                    data += self._serial.read(self._serial.in_waiting)
            except OSError:
                self.fault = self.fault or "its port is gone; is it unplugged?"
                with self._lock:
                    for came in self._awaited():
                        came.set()
                return
            self._feed(data, self._clock.now_ns())

    def _feed(self, data: bytes, now_ns: int) -> None:
        """Take in what has come, in the reading thread."""
        raise NotImplementedError

    def _awaited(self) -> Iterable[threading.Event]:
        """What those wait on who wait for an answer."""
        raise NotImplementedError


class SerialLink(PortReader, Generic[N]):
    """One open port. `close` ends its thread."""

    def __init__(
        self, serial: Any, clock: Clock, name: str, unasked: Callable[[N, int], None], parser: Parser[N]
    ) -> None:
        """Start the thread that reads the port.

        Parameters
        ----------
        serial
            An open port of pyserial, with timeouts for reading and writing.
        clock
            The host clock.
        name
            Name of the port, part of the thread's name.
        unasked
            Called, in the reading thread, with every message that no `ask` waits for and the host time (ns)
            at which it arrived.
        parser
            Reads what arrives.
        """
        self._unasked, self._parser = unasked, parser
        self._waiting: list[Answer[N]] = []
        super().__init__(serial, clock, name)

    def write(self, message: bytes) -> int:
        """Send bytes without waiting for an answer.

        Parameters
        ----------
        message
            The bytes.

        Returns
        -------
        int
            Host time at which the port had taken them, ns.

        Raises
        ------
        DeviceFault
            Where the port cannot be written to, or has failed before.
        """
        return self._send(message)

    def ask(self, message: bytes, matches: Callable[[N], bool], timeout_s: float) -> Answer[N]:
        """Send bytes and wait for their answer, which may not come.

        Parameters
        ----------
        message
            The bytes.
        matches
            Whether a message is the answer.
        timeout_s
            Longest wait, s.

        Returns
        -------
        Answer
            The times and the answer.

        Raises
        ------
        DeviceFault
            Where the port is gone.
        """
        answer: Answer[N] = Answer(matches)
        with self._lock:
            self._waiting.append(answer)
        try:
            t_sent_ns = self.write(message)
            answer.came.wait(timeout_s)
        finally:
            with self._lock:
                self._waiting.remove(answer)
        if answer.message is None and self.fault:
            raise DeviceFault(self.fault)
        # The reader may have had the answer before this thread came to read the clock.
        answer.t_sent_ns = t_sent_ns if answer.message is None else min(t_sent_ns, answer.t_ns)
        return answer

    def close(self, last: bytes | None = None) -> None:
        """End the thread and release the port.

        Parameters
        ----------
        last
            Last bytes to send where the port still takes them.
        """
        self._end(last)

    def _feed(self, data: bytes, now_ns: int) -> None:
        for message in self._parser.feed(data):
            self._take(message, now_ns)

    def _awaited(self) -> Iterable[threading.Event]:
        return (answer.came for answer in self._waiting)

    def _take(self, message: N, now_ns: int) -> None:
        self.t_received_ns = now_ns
        with self._lock:
            asked = next((a for a in self._waiting if a.message is None and a.matches(message)), None)
            if asked is not None:
                asked.message, asked.t_ns = message, now_ns
                asked.came.set()
        if asked is None:
            self._unasked(message, now_ns)


def check_answers(fault: str, unanswered_ns: int, now_ns: int) -> int:
    """Check, at a heartbeat, that a board is there and answers.

    Parameters
    ----------
    fault
        Of the link; empty where it has none.
    unanswered_ns
        When the first question went out that has no answer yet, ns; 0 where there is none.
    now_ns
        Host time, ns.

    Returns
    -------
    int
        The new `unanswered_ns`: a question goes out now.

    Raises
    ------
    DeviceFault
        Where the port is gone, or the board has been silent for half a second.
    """
    if fault:
        raise DeviceFault(fault)
    since_ns = unanswered_ns or now_ns
    if now_ns - since_ns > NO_ANSWER_NS:
        raise DeviceFault(f"no answer came from the board for {NO_ANSWER_NS // NS_PER_MS} ms")
    return since_ns
