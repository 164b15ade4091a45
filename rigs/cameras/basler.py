"""Basler cameras (GigE, USB3) by Basler's own library, pylon, and the cameras that it emulates.

With `PYLON_CAMEMU=2` in the environment of the program, pylon adds two emulated cameras, 0815-0000 and
0815-0001.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rigs.acquisition import choose_device
from rigs.camera_features import CameraSetup, FeatureError, Limits
from rigs.grabbing import Delivery, DeviceLost
from rigs.library_camera import TESTED, LibraryCamera
from rt_pose.drivers import FoundDevice, camera_driver
from rt_pose.errors import UserError
from rt_pose.extras import need, remedy, require

EMULATED, GIGE, USB = "BaslerCamEmu", "BaslerGigE", "BaslerUsb"
"""What pylon calls the ways in which a camera is reached."""
USB_TICK_HZ = 1e9
NO_BLOCK_ID = 2**64 - 1
BLOCK_IDS_GIGE = 2**16
"""The block numbers of GigE Vision have 16 bits and leave out 0, unless the camera is set to longer ones."""
UNREACHABLE = (
    "close the program that has it open; or give it an address in this network: `ipconfigurator` of pylon"
)


@camera_driver("basler")
class BaslerCamera(LibraryCamera):
    """A camera that pylon finds, whatever it is connected by."""

    driver: ClassVar[str] = "basler"

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`."""
        if lack := need("basler"):
            return [FoundDevice("basler", "", lack.partition(";")[0], usable=False, remedy=remedy("basler"))]
        pylon, _ = library()
        factory = pylon.TlFactory.GetInstance()
        return [_found(device, factory) for device in factory.EnumerateDevices()]

    def _connect(self) -> _Device:
        require("basler", f"{self._where}: the camera driver 'basler'")
        pylon, genicam = library()
        factory = pylon.TlFactory.GetInstance()
        try:
            devices = {device.GetSerialNumber(): device for device in factory.EnumerateDevices()}
            serial = choose_device(list(devices), self._options.serial, self._where)
            camera = pylon.InstantCamera(factory.CreateDevice(devices[serial]))
            camera.Open()
        except genicam.GenericException as error:
            raise UserError(
                f"{self._where}: the camera cannot be opened: {_line(error)}; is it open in another program?"
            ) from error
        return _Device(camera, newest_only=self._options.grab == "latest", buffers=self._options.buffers)


@cache
def library() -> tuple[Any, Any]:
    """Import Basler's library.

    Returns
    -------
    tuple[Any, Any]
        Its modules `pylon` and `genicam`, which has its exceptions.

    Notes
    -----
    Its import raises warnings from within C; where warnings are errors (`python -W error`), they would end
    the process by a segmentation fault.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pypylon import genicam, pylon
    return pylon, genicam


def _found(device: Any, factory: Any) -> FoundDevice:
    kind, serial = device.GetDeviceClass(), device.GetSerialNumber()
    if kind == EMULATED:
        return FoundDevice("basler", serial, "emulated by pylon (PYLON_CAMEMU)")
    description = f"{device.GetModelName()}, {kind}; the driver was tested {TESTED}"
    if factory.IsDeviceAccessible(device):
        return FoundDevice("basler", serial, description)
    return FoundDevice("basler", serial, f"{description}: it cannot be opened", False, UNREACHABLE)


class _Device:
    """An opened camera and its buffers (`rigs.library_camera.Device`)."""

    def __init__(self, camera: Any, *, newest_only: bool, buffers: int) -> None:
        pylon, _ = library()
        self._camera, self._buffers = camera, buffers
        self._strategy = pylon.GrabStrategy_LatestImageOnly if newest_only else pylon.GrabStrategy_OneByOne
        self._return = pylon.TimeoutHandling_Return
        self.features = _Features(camera.GetNodeMap())
        info = camera.GetDeviceInfo()
        kind = info.GetDeviceClass()
        self.serial: str = info.GetSerialNumber()
        self.hardware = kind != EMULATED
        self.tick_hz = _tick_hz(self.features, kind)
        longer = self.features.value("GevGVSPExtendedIDMode") == "On"
        self.counter_modulo = BLOCK_IDS_GIGE if kind == GIGE and not longer else None

    def prepare(self, setup: CameraSetup) -> None:
        """See `Device.prepare`."""
        self._pixels = setup.pixel_format
        self._size = setup.roi[2:]
        with _losses():
            self._camera.MaxNumBuffer.Value = self._buffers

    def begin(self) -> None:
        """See `Device.begin`."""
        with _losses():
            self._camera.StartGrabbing(self._strategy)

    def pop(self, timeout_s: float) -> Delivery | None:
        """See `FrameSource.pop`."""
        with _losses():
            result = self._camera.RetrieveResult(round(timeout_s * 1000), self._return)
            if result.IsValid():
                return self._delivery(result)
            if not self._camera.IsGrabbing():
                raise DeviceLost("it delivers nothing; was it started?")
        return None

    def give_back(self, delivery: Delivery) -> None:
        """See `FrameSource.give_back`."""
        result, view = delivery.buffer
        delivery.samples = None  # or the view could not be let go of
        with _losses():
            if view is not None:
                view.release()
            result.Release()

    def send_trigger(self) -> None:
        """See `FrameSource.send_trigger`."""
        with _losses():
            self._camera.ExecuteSoftwareTrigger()

    def problem(self) -> str:
        """See `FrameSource.problem`."""
        return "it was unplugged or switched off" if self._camera.IsCameraDeviceRemoved() else ""

    def close(self, gone: bool = False) -> None:  # noqa: ARG002
        """See `Device.close`."""
        _, genicam = library()
        with suppress(genicam.GenericException):  # of a camera that is gone
            self._camera.DestroyDevice()

    def _delivery(self, result: Any) -> Delivery:
        number = result.GetBlockID()
        counter = None if number == NO_BLOCK_ID else number
        ticks = result.GetTimeStamp() if self.tick_hz else None
        if not result.GrabSucceeded():
            # The emulator's failed frames have the error code 0.
            failure = result.GetErrorDescription() or f"error {result.GetErrorCode():#x}"
            return Delivery((result, None), counter, ticks, None, failure)
        if (result.GetWidth(), result.GetHeight()) != self._size:
            failure = f"it is {result.GetWidth()}x{result.GetHeight()} px large"
            return Delivery((result, None), counter, ticks, None, failure)
        view = result.GetImageMemoryView()
        return Delivery((result, view), counter, ticks, self._samples(view, result.GetPaddingX()))

    def _samples(self, view: memoryview, padding_bytes: int) -> NDArray[Any]:
        """The pixels where they lie in pylon's buffer; rows may be padded."""
        pixels, (width, height) = self._pixels, self._size
        sample_bytes = np.dtype(pixels.dtype).itemsize
        pixel_bytes = pixels.samples * sample_bytes
        shape = pixels.shape(height, width)
        strides = (width * pixel_bytes + padding_bytes, pixel_bytes, sample_bytes)[: len(shape)]
        return np.ndarray(shape, pixels.dtype, view, strides=strides)


class _Features:
    """A camera's features through pylon (`rigs.camera_features.Features`).

    pylon hands out an object for any name: whether there is such a feature shows when it is read.
    """

    def __init__(self, nodes: Any) -> None:
        self._nodes = nodes

    def value(self, name: str) -> Any:
        """See `Features.value`."""
        _, genicam = library()
        node = self._nodes.GetNode(name)
        try:
            return node.GetValue() if node.IsReadable() else None
        except genicam.GenericException:
            return None

    def limits(self, name: str) -> Limits | None:
        """See `Features.limits`."""
        pylon, _ = library()
        with _refusals(name):
            node = self._nodes.GetNode(name)
            if not node.IsWritable():
                return None
            stepped = isinstance(node, pylon.IntegerParameter) or node.HasInc()
            return Limits(node.GetMin(), node.GetMax(), node.GetInc() if stepped else 0.0)

    def entries(self, name: str) -> list[str]:
        """See `Features.entries`."""
        with _refusals(name):
            node = self._nodes.GetNode(name)
            return list(node.GetSettableValues()) if node.IsWritable() else []

    def write(self, name: str, value: Any) -> None:
        """See `Features.write`."""
        with _refusals(f"{name} = {value}"):
            self._nodes.GetNode(name).SetValue(value)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """FeatureError for what pylon raises."""
    _, genicam = library()
    try:
        yield
    except genicam.GenericException as error:
        raise FeatureError(f"{what}: {_line(error)}") from error


@contextmanager
def _losses() -> Iterator[None]:
    """DeviceLost for what pylon raises."""
    _, genicam = library()
    try:
        yield
    except genicam.GenericException as error:
        raise DeviceLost(_line(error)) from error


def _line(error: Exception) -> str:
    """pylon's message, without the place in its sources."""
    return str(error).partition(" : ")[0].strip() or type(error).__name__


def _tick_hz(features: _Features, kind: str) -> float | None:
    """Ticks a second of the frames' time stamps; None where they are no clock that is known."""
    if kind == USB:
        return USB_TICK_HZ
    if kind == GIGE:
        return float(features.value("GevTimestampTickFrequency") or 0.0) or None
    return None  # an emulated camera stamps every frame with 0
