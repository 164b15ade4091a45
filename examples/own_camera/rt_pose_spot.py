"""The camera `spot`: a bright spot that circles on a dark ground, made by this file instead of a device."""

import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rt_pose.drivers import NO_FRAME_YET, CameraFault, DriverContext, FoundDevice, camera_driver
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FrameStamps


@dataclass
class SpotOptions:
    """What a configuration may say under `cameras.NAME.options`."""

    rate_hz: float = 60.0
    """Frames a second."""
    radius: float = 40.0
    """Of the circle, px."""


@camera_driver("spot")
class SpotCamera:
    """Frame i is exposed i periods after `start`."""

    Options: ClassVar[type] = SpotOptions
    contract: ClassVar[int] = 2

    def __init__(self, name: str, options: SpotOptions, context: DriverContext) -> None:
        if not 1.0 <= options.rate_hz <= 1000.0:
            raise UserError(
                f"cameras.{name}.options: rate_hz must be between 1 and 1000, got {options.rate_hz:g}"
            )
        self._name, self._options, self._clock = name, options, context.clock
        self._stopped, self._open = threading.Event(), False
        self._begun_ns, self._next = 0, 0

    @classmethod
    def find(cls) -> list[FoundDevice]:
        # A real driver asks its library here, and imports it here.
        return [FoundDevice("spot", "", "a spot that circles")]

    def open(self) -> CameraInfo:
        # A real driver connects to the device with `options.serial`, sets what was asked for and reads it
        # back.
        self._open, self._next = True, 0
        self._stopped.clear()
        return CameraInfo(
            self._name, "spot", "", width=160, height=120, channels=1, rate_hz=self._options.rate_hz
        )

    def arm(self) -> None:
        """A real driver makes its buffers ready here; a triggered camera waits for its trigger from here
        on."""

    def start(self) -> None:
        self._begun_ns = self._clock.now_ns()

    def grab(self, into: np.ndarray[Any, Any]) -> FrameStamps | Any:
        if not self._open:
            raise CameraFault(f"camera {self._name}: it is not open")
        period_ns = 1e9 / self._options.rate_hz
        # A late reader gets the newest frame; the gap in the index shows how many it missed.
        self._next = max(self._next, int((self._clock.now_ns() - self._begun_ns) / period_ns))
        due_ns = self._begun_ns + round(self._next * period_ns)
        if self._stopped.wait(min(0.5, max(0.0, (due_ns - self._clock.now_ns()) / 1e9))):
            return None
        if self._clock.now_ns() < due_ns:
            return NO_FRAME_YET
        angle = self._next / 50
        x, y = 80 + self._options.radius * np.cos(angle), 60 + self._options.radius * np.sin(angle)
        rows, columns = np.mgrid[:120, :160]
        into[..., 0] = 20 + 200 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
        stamps = FrameStamps(self._next, due_ns, self._clock.now_ns(), due_ns)
        self._next += 1
        return stamps

    def truth(self, index: int) -> None:  # noqa: ARG002
        return None

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._open = False
