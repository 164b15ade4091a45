"""Grabbing as it is with every camera's library: triggers, waits, failed frames, a device that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rigs.acquisition import AcquisitionOptions
from rigs.frame_stamps import FrameStamper
from rigs.pixel_formats import PixelFormat
from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.drivers import NO_FRAME_YET, FailedFrame, Grabbed

SLICE_NS = 50 * NS_PER_MS
"""Longest wait inside a library: `stop` must take effect within 100 ms."""
SILENCE_NS = 250 * NS_PER_MS
"""After so long without a frame the device is asked whether it is there."""
ANSWER_S = 0.5
"""A device that has not answered after so long is gone. Libraries try again for seconds."""


class DeviceLost(Exception):
    """The device is gone, or no longer ours."""


@dataclass(slots=True)
class Delivery:
    """A buffer that the library hands over."""

    buffer: Any
    """The library's own."""
    counter: int | None
    """The device's count of frames; None where it has none."""
    ticks: int | None
    """The device's clock; None where it has none."""
    samples: NDArray[np.uint8] | NDArray[np.uint16] | None
    """The pixels, in the buffer's own memory; None where the frame failed."""
    failure: str = ""
    """Why the frame did not come whole."""


class FrameSource(Protocol):
    """What a library offers. One thread calls all but `problem`."""

    def pop(self, timeout_s: float) -> Delivery | None:
        """Take the next buffer; None where none came in time. Raises DeviceLost."""
        ...

    def give_back(self, delivery: Delivery) -> None:
        """Let the library fill a buffer again. Raises DeviceLost."""
        ...

    def send_trigger(self) -> None:
        """Trigger the camera by software. Raises DeviceLost."""
        ...

    def problem(self) -> str:
        """Ask the device whether it is there: what is wrong, or nothing. May take long."""
        ...


class Grabber:
    """Takes frames from a source into the caller's memory.

    Another thread ends it by an event. Nothing here waits longer than `SLICE_NS` without a check of that.
    """

    def __init__(
        self,
        source: FrameSource,
        pixel_format: PixelFormat,
        stamper: FrameStamper,
        options: AcquisitionOptions,
        clock: Clock,
        stopped: threading.Event,
    ) -> None:
        """Connect the parts; nothing is taken yet.

        Parameters
        ----------
        source
            The camera's library.
        pixel_format
            How its samples become 8 bits.
        stamper
            Makes the stamps.
        options
            Trigger, rate, and whether frames that wait are passed over for the newest.
        clock
            The host clock.
        stopped
            Ends a wait.
        """
        self._source, self._format, self._stamper = source, pixel_format, stamper
        self._clock, self._stopped = clock, stopped
        self._newest_only = options.grab == "latest"
        self._ahead: Delivery | None = None
        """A failed frame that was found behind the last one."""
        self._taken = 0
        self._period_ns: int | None = None
        if options.trigger == "software" and options.rate_hz is not None:
            self._period_ns = round(NS_PER_S / options.rate_hz)
        self._due_ns: int | None = None
        """When the next trigger is to be sent."""

    def grab(self, into: NDArray[np.uint8]) -> Grabbed:
        """See `Camera.grab`.

        Raises
        ------
        DeviceLost
            Where the device is gone.
        """
        delivery = self._next()
        if delivery is None:
            if self._stopped.is_set():
                return None
            if problem := first_answer(self._source.problem):
                raise DeviceLost(problem)
            return NO_FRAME_YET
        try:
            if delivery.samples is None:
                return FailedFrame(delivery.failure, index=self._stamper.index_of(delivery.counter))
            self._format.write(delivery.samples, into)
        finally:
            self._source.give_back(delivery)
        return self._stamper.stamp(delivery.counter, delivery.ticks)

    def _next(self) -> Delivery | None:
        if self._stopped.is_set():
            return None
        delivery, self._ahead = self._ahead or self._wait(), None
        while self._newest_only and delivery is not None and delivery.samples is not None:
            newer = self._pop(0.0)
            if newer is None:
                break
            if newer.samples is None:
                self._ahead = newer
                break
            self._source.give_back(delivery)  # passed over: a gap in the counter
            delivery = newer
        return delivery

    def _wait(self) -> Delivery | None:
        until_ns = self._clock.now_ns() + SILENCE_NS
        while not self._stopped.is_set():
            now_ns = self._clock.now_ns()
            if now_ns >= until_ns:
                break
            wait_ns = min(until_ns - now_ns, SLICE_NS)
            if self._period_ns is not None:
                wait_ns = min(wait_ns, self._trigger_if_due(now_ns, self._period_ns))
            delivery = self._pop(wait_ns / NS_PER_S)
            if delivery is not None:
                return delivery
        return None

    def _trigger_if_due(self, now_ns: int, period_ns: int) -> int:
        """Send the trigger that is due; the time until the next. Missed ones are not made up for."""
        due_ns = now_ns if self._due_ns is None else self._due_ns
        if now_ns >= due_ns:
            self._source.send_trigger()
            due_ns += period_ns * (1 + (now_ns - due_ns) // period_ns)
        self._due_ns = due_ns
        return due_ns - now_ns

    def _pop(self, timeout_s: float) -> Delivery | None:
        delivery = self._source.pop(timeout_s)
        if delivery is not None:
            self._taken += 1
            if delivery.counter is None:
                delivery.counter = self._taken
        return delivery


def first_answer(problem: Callable[[], str]) -> str:
    """Ask a device whether it is there, and wait no longer than `ANSWER_S` for its library to say so.

    Parameters
    ----------
    problem
        Asks, and returns what is wrong; it may take as long as it likes.

    Returns
    -------
    str
        What is wrong; empty where the device has answered.
    """
    answer: SimpleQueue[str] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(problem())
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the device did not answer
            answer.put(f"it cannot be asked ({error})")

    threading.Thread(target=ask, name="rt-pose-camera-answer", daemon=True).start()
    try:
        return answer.get(timeout=ANSWER_S)
    except Empty:
        return f"it has not answered for {ANSWER_S:g} s"
