"""A camera that is reached through a library: what such drivers share, from opening to stamps."""

from __future__ import annotations

import threading
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from rigs.acquisition import AcquisitionOptions
from rigs.camera_features import CameraSetup, Features, set_up
from rigs.frame_stamps import FrameStamper
from rigs.grabbing import DeviceLost, FrameSource, Grabber
from rt_pose.drivers import CameraFault, DriverContext, Grabbed
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FloatArray

TESTED = "on an emulator"


class Device(FrameSource, Protocol):
    """One opened camera in a library's hands."""

    serial: str
    tick_hz: float | None
    """Ticks a second of its clock; None where its frames have no time stamps."""
    counter_modulo: int | None
    """One more than the highest number of its frame counter, after which comes 1; None for 64 bits."""
    hardware: bool
    """Whether it is more than a part of the library itself."""

    @property
    def features(self) -> Features:
        """Its features by name."""
        ...

    def prepare(self, setup: CameraSetup) -> None:
        """Make the buffers for frames as they will come. Raises DeviceLost."""
        ...

    def begin(self) -> None:
        """Begin to acquire. Raises DeviceLost."""
        ...

    def close(self, gone: bool = False) -> None:
        """End acquiring and release the camera, one that is gone without a word to it. Never raises."""
        ...


class LibraryCamera:
    """All of a camera but how its library finds and opens it: a driver adds `find` and `_connect`."""

    Options: ClassVar[type] = AcquisitionOptions
    contract: ClassVar[int] = 2
    driver: ClassVar[str]
    """Name under which it is registered."""

    def __init__(self, name: str, options: Any, context: DriverContext) -> None:
        self._where = f"cameras.{name}.options"
        options.check(self._where)
        self._name, self._options, self._context = name, options, context
        self._stopped = threading.Event()
        self._device: Device | None = None
        self._gone = False
        self._grabber: Grabber | None = None
        self._stamper: FrameStamper | None = None

    def _connect(self) -> Device:
        """Find the camera and open it; UserError where that fails."""
        raise NotImplementedError

    def open(self) -> CameraInfo:
        """See `Camera.open`."""
        self.close()
        self._stopped.clear()
        self._gone = False
        device = self._connect()
        try:
            setup = set_up(device.features, self._options, self._context.channels, self._where)
            device.prepare(setup)
        except DeviceLost as error:
            device.close(gone=True)
            raise UserError(f"{self._where}: camera {device.serial} cannot be opened: {error}") from error
        except BaseException:
            device.close()
            raise
        self._device = device
        self._grabber = self._make_grabber(device, setup)
        return self._describe(device, setup)

    def arm(self) -> None:
        """See `Camera.arm`. A camera that runs by its own clock begins with `start`."""
        if self._options.trigger != "free":
            self._begin()

    def start(self) -> None:
        """See `Camera.start`."""
        if self._options.trigger == "free":
            self._begin()

    def grab(self, into: NDArray[np.uint8]) -> Grabbed:
        """See `Camera.grab`."""
        if self._grabber is None:
            raise CameraFault(f"camera {self._name}: it is not open")
        try:
            return self._grabber.grab(into)
        except DeviceLost as error:
            self._gone = True
            raise CameraFault(f"camera {self._name}: {error}") from error

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:  # noqa: ARG002
        """See `Camera.truth`. Always None."""
        return None

    def clock_summary(self) -> dict[str, Any]:
        """See `ClockedCamera.clock_summary`."""
        return {} if self._stamper is None else self._stamper.summary()

    def stop(self) -> None:
        """See `Camera.stop`. The library is not called: another thread may be in it."""
        self._stopped.set()

    def close(self) -> None:
        """See `Camera.close`."""
        device, self._device, self._grabber = self._device, None, None
        if device is not None:
            device.close(self._gone)

    def _begin(self) -> None:
        if self._device is None:
            raise CameraFault(f"camera {self._name}: it is not open")
        try:
            self._device.begin()
        except DeviceLost as error:
            self._gone = True
            raise CameraFault(f"camera {self._name}: it does not start: {error}") from error

    def _make_grabber(self, device: Device, setup: CameraSetup) -> Grabber:
        stamper = self._stamper = FrameStamper(
            self._context.clock,
            tick_hz=device.tick_hz,
            exposure_ns=round((setup.exposure_us or 0.0) * 1000),
            counter_modulo=device.counter_modulo,
            counter_first=1,
        )
        return Grabber(device, setup.pixel_format, stamper, self._options, self._context.clock, self._stopped)

    def _describe(self, device: Device, setup: CameraSetup) -> CameraInfo:
        x, y, width, height = setup.roi
        return CameraInfo(
            name=self._name,
            driver=self.driver,
            serial=device.serial,
            width=width,
            height=height,
            channels=setup.pixel_format.channels,
            rate_hz=setup.rate_hz,
            offset_xy=(x, y),
            pixel_format=setup.pixel_format_name,
            trigger=self._options.trigger,
            exposure_source="unavailable" if device.tick_hz is None else "device",
            tick_hz=device.tick_hz,
            settings=setup.settings,
            hardware=device.hardware,
            tested=TESTED,
        )
