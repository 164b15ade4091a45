"""An input from a stream of the Lab Streaming Layer: its markers, or a channel that crosses a threshold."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from rigs.input_thread import POLL_S, InputThread
from rigs.lsl_clock import to_host_ns
from rigs.lsl_streams import (
    clock_error_ns,
    find_streams,
    measured_at_s,
    open_inlet,
    printable,
    resolve,
)
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, input_driver
from rt_pose.errors import UserError
from rt_pose.extras import missing, remedy, require
from rt_pose.types import Edge, InputInfo

OPEN_S = 5.0
SAMPLES_A_READ = 256
GONE = "the stream is gone; its line stays as it was until it is back"
SILENT_NS = 15 * NS_PER_S
"""A stream whose machine has not answered for so long is lost: a cable that is pulled makes no other sign."""
AGAIN_S = 1.0
"""How long a stream that was lost is searched for, again and again."""


@dataclass
class LslInputOptions:
    """Which stream, and what of it is on and off. Give `on_marker`, or `threshold`."""

    stream: str = ""
    """Name of the stream (`rt-pose devices` lists them)."""
    source_id: str = ""
    """Identifier of its source, where several streams have the name."""
    channel: int = 0
    """Number of the channel, from 0."""
    on_marker: str = ""
    """The marker with which the line goes on."""
    off_marker: str = ""
    """The marker with which it goes off; without it the line is on for a moment each time."""
    threshold: float | None = None
    """The line goes on where the channel's value comes to this or more."""
    hysteresis: float = 0.0
    """It goes off where the value falls below the threshold by more than this."""
    wait_s: float = 5.0
    """How long the stream is waited for at the start."""


@input_driver("lsl")
class LslInput(InputThread):
    """Edges bear the sample's own time, corrected by LSL for the sender's clock."""

    Options: ClassVar[type] = LslInputOptions

    def __init__(self, name: str, options: LslInputOptions, context: DriverContext) -> None:
        super().__init__(name)
        self._where = f"inputs.{name}.options"
        _check(self._where, options)
        self._options, self._clock = options, context.clock
        self._inlet: Any = None
        self._on = False
        self._last_ns, self._correction_s = 0, 0.0
        self._measured = 0.0, 0
        """The sender's time at the newest measurement of its clock, s, and ours when it was new, ns."""
        self.notices: deque[str] = deque()
        """See `ReportingInput.notices`."""
        self.lost = 0
        """See `ReportingInput.lost`. LSL does not say what a stream sent while it was gone: always 0."""

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Input.find`. Lists the streams that the network has now."""
        if missing("lsl"):
            return [FoundDevice("lsl", "", "Lab Streaming Layer", usable=False, remedy=remedy("lsl"))]
        streams = [
            FoundDevice(
                "lsl",
                printable(info.name()),
                printable(
                    f"{info.type() or 'no type'}, {info.channel_count()} channel(s), at {info.hostname()}"
                ),
            )
            for info in find_streams()
        ]
        none = FoundDevice("lsl", "", "no stream is on the network", False, "start the program that sends it")
        return streams or [none]

    def open(self) -> InputInfo:
        """See `Input.open`.

        Raises
        ------
        UserError
            Where pylsl is missing, the stream is not there, or it is no stream of such samples.
        """
        require("lsl", f"inputs.{self._name}: the driver lsl")
        self.close()
        self._on, self._last_ns, self._correction_s = False, 0, 0.0
        self._inlet, described = self._connect(self._options.wait_s)
        error_ms = clock_error_ns(self._inlet, OPEN_S) / NS_PER_MS
        return InputInfo(
            self._name,
            "lsl",
            self._options.stream,
            f"{described}, its clock known within {error_ms:.3g} ms",
        )

    def start(self, deliver: Callable[[Edge], None]) -> None:
        """See `Input.start`."""
        if self._inlet is not None:
            self._inlet.flush()  # what was sent since `open` is past
        super().start(deliver)

    def close(self) -> None:
        """See `Input.close`."""
        self.stop()
        self._inlet = None

    def _connect(self, timeout_s: float) -> tuple[Any, str]:
        """The opened inlet, and what it is."""
        info = resolve(self._where, self._options.stream, self._options.source_id, timeout_s)
        _check_fits(self._where, self._options, info)
        inlet = open_inlet(self._where, info, OPEN_S)
        return inlet, printable(f"{info.type()} at {info.hostname()}")

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        from pylsl.util import LostError

        while not self._end.is_set():
            try:
                for edge in self._read():
                    deliver(edge)
                self._check_there()
            except LostError:
                self._inlet = None
                self.notices.append(GONE)
                self._reconnect()

    def _read(self) -> Iterator[Edge]:
        """Wait for samples and give their edges."""
        samples, stamps = self._inlet.pull_chunk(
            timeout=POLL_S, max_samples=SAMPLES_A_READ, min_samples=1, as_numpy=True
        )
        if len(stamps) == 0:
            return
        self._correct()
        for value, stamp_s in zip(samples[:, self._options.channel], stamps, strict=True):
            states = self._states(value)
            if states in ((), (self._on,)):
                continue
            t_ns = to_host_ns(float(stamp_s) + self._correction_s, self._clock)
            for on in states:
                if on != self._on:
                    yield self._edge(on, t_ns)

    def _check_there(self) -> None:
        from pylsl.util import LostError

        measured_s, now_ns = measured_at_s(self._inlet), self._clock.now_ns()
        if measured_s != self._measured[0]:
            self._measured = measured_s, now_ns
        elif now_ns - self._measured[1] > SILENT_NS:
            raise LostError

    def _correct(self) -> None:
        """Take LSL's newest correction of the sender's clock; the one before where there is none now."""
        from pylsl.util import TimeoutError

        with suppress(TimeoutError):
            self._correction_s = self._inlet.time_correction(POLL_S)

    def _states(self, value: Any) -> tuple[bool, ...]:
        """What a sample makes of the line, in order; a text comes as its bytes, which may be any."""
        options = self._options
        if options.threshold is None:
            if value == options.on_marker.encode():
                return (True,) if options.off_marker else (True, False)
            return (False,) if options.off_marker and value == options.off_marker.encode() else ()
        if value >= options.threshold:
            return (True,)
        return (False,) if value < options.threshold - options.hysteresis else ()

    def _edge(self, on: bool, t_ns: int) -> Edge:
        self._on = on
        self._last_ns = max(self._last_ns, t_ns)
        return Edge(self._name, on, self._last_ns)

    def _reconnect(self) -> None:
        while not self._end.wait(POLL_S):
            try:
                self._inlet, _ = self._connect(AGAIN_S)
                self.notices.append("the stream is back")
                return
            except UserError:
                continue


def _check(where: str, options: LslInputOptions) -> None:
    if not options.stream:
        raise UserError(f"{where}.stream: expected the name of a stream; `rt-pose devices` lists them")
    if "'" in options.stream + options.source_id:
        raise UserError(f"{where}: LSL cannot search for a name with an apostrophe")
    if bool(options.on_marker) == (options.threshold is not None):
        raise UserError(f"{where}: expected one of `on_marker` and `threshold`")
    if options.off_marker and not options.on_marker:
        raise UserError(f"{where}.off_marker: only a stream of markers has one; leave it out")
    if not options.hysteresis >= 0.0:
        raise UserError(f"{where}.hysteresis: expected 0 or more, got {options.hysteresis:g}")
    if not 0.0 <= options.wait_s <= 600.0:
        raise UserError(f"{where}.wait_s: expected 0 to 600, got {options.wait_s:g}")
    if options.channel < 0:
        raise UserError(f"{where}.channel: expected 0 or more, got {options.channel}")


def _check_fits(where: str, options: LslInputOptions, info: Any) -> None:
    from pylsl import cf_string

    texts = info.channel_format() == cf_string
    if texts != (options.threshold is None):
        has, wanted = ("texts", "on_marker") if texts else ("numbers", "threshold")
        raise UserError(f"{where}: the LSL stream '{info.name()}' is one of {has}; give `{wanted}`")
    if options.channel >= info.channel_count():
        raise UserError(
            f"{where}.channel: the LSL stream '{info.name()}' has the channels 0 to "
            f"{info.channel_count() - 1}, got {options.channel}"
        )
