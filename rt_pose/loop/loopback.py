"""Command to light to frame: an output makes a light in view flash, and the frames are searched for it.

    command --- output --- light --- (wait for the next exposure) --- frame --- arrival

Commands go the way of a run's: through the output's own thread. Each is sent at another moment of the frame
period, evenly spread, so that the wait for the next exposure can be taken out (`interval_delays`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.drivers import Camera, CameraFault, Output
from rt_pose.errors import UserError
from rt_pose.loop.interval_delays import IntervalDelays
from rt_pose.loop.light_spot import LightSpot
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.types import Action, CameraInfo, Command, FrameStamps, OutputInfo

GOLDEN = 0.6180339887498949
"""Multiples of it, less their whole part, fill the period more evenly than random numbers."""
ALIVE_NS = NS_PER_S
FIND_CYCLES = 3
FIND_ON_NS, FIND_OFF_NS = NS_PER_S, NS_PER_S
FIND_SETTLED_NS = 500 * NS_PER_MS
"""In the search for the light, frames count from so long after the command on: longer than any delay."""
SEEN_WITHIN_NS = NS_PER_S
"""A flash that no frame shows so long after its command is missed."""
FLASH_FRAMES = 2.5
"""Length of a flash in frame periods: at least two frames show it."""
SHORTEST_FLASH_NS = 30 * NS_PER_MS
"""A fast camera's frames may be passed over for so long on a busy machine."""
NO_FRAME_NS = 10 * NS_PER_S
MOST_MISSED = 0.2


@dataclass
class Flashes:
    """What was seen of the flashes, host times, ns, one entry a flash."""

    command_ns: list[int] = field(default_factory=list)
    dark: list[FrameStamps] = field(default_factory=list)
    """The last frame without the light."""
    lit: list[FrameStamps] = field(default_factory=list)
    """The first frame with it."""
    missed: int = 0
    period_ns: int = 0

    def as_seen_ms(self) -> NDArray[np.float64]:
        """Command to the arrival of the first frame with the light, (n,) ms, waits included."""
        return np.array(
            [(s.t_arrival_ns - c) / NS_PER_MS for c, s in zip(self.command_ns, self.lit, strict=True)]
        )

    def to_arrival(self) -> IntervalDelays:
        """Command to light to arrival, without the wait for the next exposure."""
        return self._fit([s.t_arrival_ns for s in self.dark], [s.t_arrival_ns for s in self.lit])

    def to_light(self) -> IntervalDelays:
        """Command to light, on the camera's own time axis."""
        return self._fit([s.t_scene_ns for s in self.dark], [s.t_scene_ns for s in self.lit])

    def _fit(self, dark_ns: list[int], lit_ns: list[int]) -> IntervalDelays:
        command = np.array(self.command_ns, np.int64)
        low = np.maximum(np.array(dark_ns, np.int64) - command, 0)
        return IntervalDelays.fit(low, np.array(lit_ns, np.int64) - command)


class Rig:
    """One opened camera and one opened output, each with its thread; closed by `close`."""

    def __init__(
        self, camera: tuple[CameraInfo, Camera], output: tuple[OutputInfo, Output], line: int, clock: Clock
    ) -> None:
        """Take an opened camera and an opened output over.

        Parameters
        ----------
        camera, output
            What each reported when it was opened, and the device.
        line
            The output's line with the light.
        clock
            The host clock.

        Raises
        ------
        UserError
            Where the output has no such line, or gives no pulses.
        """
        self.camera_info, self.camera = camera
        self.output_info = output[0]
        self._line, self._clock = line, clock
        _check_pulses(self.output_info, line)
        self._heartbeat = Heartbeat()
        self._heartbeat.t_ns = clock.now_ns()
        self._actuators = Actuators([output], clock, self._heartbeat, ALIVE_NS)
        info = self.camera_info
        self.image = np.zeros((info.height, info.width, info.channels), np.uint8)
        """The newest frame."""
        self._number = 0
        self._sent_ns: int | None = None
        self._refusal = ""
        self._wanted: tuple[int, Command] | None = None
        self._news, self._closing = threading.Event(), False
        self._sender = threading.Thread(target=self._send, name="rt-pose-loopback", daemon=True)

    @property
    def what(self) -> str:
        """Camera and output, for messages."""
        return f"camera '{self.camera_info.name}', output '{self.output_info.name}'"

    def start(self) -> None:
        """Start the threads and let frames come.

        Raises
        ------
        UserError
            Where the camera fails.
        """
        self._actuators.start()
        self._sender.start()
        try:
            self.camera.arm()
            self.camera.start()
        except CameraFault as error:
            raise UserError(f"camera '{self.camera_info.name}' failed: {error}") from error

    def close(self) -> list[str]:
        """Make the output safe and end the threads; the camera is stopped.

        Returns
        -------
        list[str]
            What went wrong.
        """
        self._closing = True
        self._news.set()
        if self._sender.ident is not None:
            self._sender.join()
        problems = self._actuators.stop()
        self.camera.stop()
        return problems

    def frame(self) -> FrameStamps:
        """Wait for the next frame, which `image` then holds.

        Returns
        -------
        FrameStamps
            Its stamps.

        Raises
        ------
        UserError
            Where the camera fails, ends, or brings nothing for long, or the output has failed.
        """
        name, since_ns = self.camera_info.name, self._clock.now_ns()
        while True:
            try:
                grabbed = self.camera.grab(self.image)
            except CameraFault as error:
                raise UserError(f"camera '{name}' failed: {error}") from error
            self._heartbeat.t_ns = now_ns = self._clock.now_ns()
            self._check_output()
            if isinstance(grabbed, FrameStamps):
                return grabbed
            if grabbed is None:
                raise UserError(f"camera '{name}' has ended; a recording cannot show a light: use a camera")
            if now_ns - since_ns > NO_FRAME_NS:
                raise UserError(f"camera '{name}' brought no frame for {NO_FRAME_NS / NS_PER_S:g} s")

    def flash(self, at_ns: int, length_ns: int) -> None:
        """Have a flash commanded, by a thread, at a host time.

        Parameters
        ----------
        at_ns
            When, ns.
        length_ns
            How long the light is to shine, ns.
        """
        self._number += 1
        command = Command(
            id=self._number,
            event_id=None,
            output=self.output_info.name,
            line=self._line,
            action="pulse",
            duration_us=round(length_ns / 1000),
        )
        self._sent_ns = None
        self._wanted = (at_ns, command)
        self._news.set()

    @property
    def commanded_ns(self) -> int | None:
        """When the last flash was commanded; None before it is."""
        return self._sent_ns

    def _send(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if self._closing:
                return
            wanted, self._wanted = self._wanted, None
            if wanted is not None:
                self._clock.sleep_until_ns(wanted[0])
                # Before the command goes out: the frame that shows it may come at once.
                self._sent_ns = self._clock.now_ns()
                self._refusal = self._actuators.submit(wanted[1])

    def _check_output(self) -> None:
        if self._refusal:
            raise UserError(f"output '{self.output_info.name}' took no command: {self._refusal}")
        acks = self._actuators.acks
        while acks:
            ack = acks.popleft()
            if not ack.ok:
                raise UserError(f"output '{ack.output}' did not make the light flash: {ack.detail}")
        for name, fault in self._actuators.faults().items():
            raise UserError(f"output '{name}' failed: {fault}")


def _check_pulses(info: OutputInfo, line: int) -> None:
    wanted: Action = "pulse"
    if info.actions and wanted not in info.actions:
        able = ", ".join(info.actions)
        raise UserError(f"output '{info.name}' gives no pulses (it takes {able}); no light can flash on it")
    if info.lines is not None and not 0 <= line < info.lines:
        raise UserError(f"output '{info.name}' has the lines 0 to {info.lines - 1}; got --line {line}")


def find_light(rig: Rig) -> LightSpot:
    """Find the light that the output switches.

    Parameters
    ----------
    rig
        Camera and output, started.

    Returns
    -------
    LightSpot
        Where it is seen.

    Raises
    ------
    UserError
        Where it is not seen.
    """
    lit, dark = [], []
    for _ in range(FIND_CYCLES):
        begin_ns = rig.frame().t_arrival_ns
        rig.flash(begin_ns, FIND_ON_NS)
        lit.append(_mean(rig, begin_ns + FIND_SETTLED_NS, begin_ns + FIND_ON_NS))
        dark_ns = begin_ns + FIND_ON_NS + FIND_SETTLED_NS
        dark.append(_mean(rig, dark_ns, dark_ns + FIND_OFF_NS - FIND_SETTLED_NS))
    return LightSpot.find(lit, dark, rig.what)


def _mean(rig: Rig, begin_ns: int, end_ns: int) -> NDArray[np.float64]:
    """The mean of the frames that arrive between two host times; at least one."""
    total, count = np.zeros(rig.image.shape), 0
    while True:
        arrival_ns = rig.frame().t_arrival_ns
        if arrival_ns >= begin_ns:
            total += rig.image
            count += 1
            if arrival_ns >= end_ns:
                return total / count


def measure_flashes(
    rig: Rig, spot: LightSpot, flashes: int, every: int, progress: Callable[[int], None] = lambda _: None
) -> Flashes:
    """Make the light flash and see when.

    Parameters
    ----------
    rig
        Camera and output, started.
    spot
        Where the light is seen.
    flashes
        How often.
    every
        Frames between two flashes at least.
    progress
        Called with the number of flashes so far.

    Returns
    -------
    Flashes
        What was seen.

    Raises
    ------
    UserError
        Where camera or output fails, or too many flashes are not seen.
    """
    found = Flashes(period_ns=_period_ns(rig))
    length_ns = max(round(FLASH_FRAMES * found.period_ns), SHORTEST_FLASH_NS)
    for number in range(flashes):
        last = _dark_frame(rig, spot, every)
        offset = (number * GOLDEN) % 1.0
        rig.flash(last.t_arrival_ns + round(offset * found.period_ns), length_ns)
        if not _see(rig, spot, last, found):
            found.missed += 1
            if found.missed > max(3, MOST_MISSED * flashes):
                raise UserError(
                    f"{rig.what}: {found.missed} of {number + 1} flashes were not seen; make the light "
                    "brighter, or keep others out of the picture"
                )
        progress(number + 1)
    return found


def _dark_frame(rig: Rig, spot: LightSpot, every: int) -> FrameStamps:
    """Let so many frames pass, then take the first one without the light."""
    for _ in range(every - 1):
        rig.frame()
    stamps = rig.frame()
    give_up_ns = stamps.t_arrival_ns + NO_FRAME_NS
    while spot.lit(rig.image):
        stamps = rig.frame()
        if stamps.t_arrival_ns > give_up_ns:
            raise UserError(f"{rig.what}: the light does not go out")
    return stamps


def _see(rig: Rig, spot: LightSpot, last: FrameStamps, found: Flashes) -> bool:
    """Wait for the frame that shows the flash; False where none does."""
    while True:
        stamps = rig.frame()
        command_ns = rig.commanded_ns
        if command_ns is not None and spot.lit(rig.image):
            found.command_ns.append(command_ns)
            found.dark.append(last)
            found.lit.append(stamps)
            return True
        last = stamps
        if command_ns is not None and stamps.t_arrival_ns - command_ns > SEEN_WITHIN_NS:
            return False


def _period_ns(rig: Rig) -> int:
    """The frame period, as frames come."""
    times = [rig.frame() for _ in range(21)]
    steps = [(b.t_scene_ns - a.t_scene_ns) / max(b.index - a.index, 1) for a, b in pairwise(times)]
    return max(round(float(np.median(steps))), 1)
