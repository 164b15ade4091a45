"""GigE Vision and USB3 Vision cameras of any make through Aravis.

Aravis is reached by its GObject introspection. Its threads do what is to be done (packets, heartbeat); no
GLib main loop runs here, nor is one needed: the signal `control-lost` comes on Aravis' heartbeat thread. That
thread tries for some six seconds before it gives a camera up, so a camera from which nothing comes is also
asked here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rigs.acquisition import AcquisitionOptions, choose_device
from rigs.camera_features import CameraSetup, FeatureError, Limits
from rigs.grabbing import Delivery, DeviceLost
from rigs.library_camera import LibraryCamera
from rt_pose.drivers import FoundDevice, camera_driver
from rt_pose.errors import UserError
from rt_pose.extras import need

INSTALL_ARAVIS = "apt install gir1.2-aravis-0.8"
UDEV_RULE = 'SUBSYSTEM=="usb", ENV{ID_USB_INTERFACES}=="*:ef0500:*", TAG+="uaccess"'
ALLOW_USB = (
    f"echo '{UDEV_RULE}' | sudo tee /etc/udev/rules.d/70-usb3vision.rules && sudo udevadm control --reload "
    "&& sudo udevadm trigger"
)
USB_DEVICES = Path("/sys/bus/usb/devices")
USB3_VISION = ("ef", "05")
"""Class and subclass of the USB interface of a USB3 Vision camera."""
CONTROL_REGISTER = 0x0A00
"""Where a GigE Vision camera says whether a program controls it: by its lowest two bits."""
VERSION_REGISTER = 0
"""The register of the standard's version, which other cameras have."""
COUNTER_MODULO = 65536
"""Of the block numbers of GigE Vision, and of Aravis' own simulated camera."""
TICK_HZ = 1e9
"""Aravis gives time stamps in nanoseconds, whatever the camera's ticks are."""
FAILURES = {
    "timeout": "it did not come whole in time",
    "missing-packets": "packets are missing",
    "wrong-packet-id": "a packet has a wrong number",
    "size-mismatch": "it has another size than its buffer",
    "payload-not-supported": "it is no image",
    "aborted": "it was aborted",
}
"""What Aravis calls the states of a buffer."""
_LISTING = threading.Lock()
"""Aravis has one list of devices for the whole process."""


@dataclass
class AravisOptions(AcquisitionOptions):
    """Which camera, how it takes its frames, and how they travel."""

    resend: bool = True
    """Ask a GigE camera again for packets that were lost: later frames wait for them, up to 0.1 s. false:
    such a frame fails at once."""
    packet_bytes: int | None = None
    """Size of a GigE camera's packets; without it, the camera's own, or less where that does not get
    through."""
    packet_socket: bool = False
    """Take a GigE camera's packets from the network card directly: fewer are lost, but the program needs the
    right to do so (CAP_NET_RAW)."""
    simulated: bool = False
    """Offer the simulated camera of Aravis itself, too."""


@camera_driver("aravis")
class AravisCamera(LibraryCamera):
    """A GigE Vision or USB3 Vision camera through Aravis."""

    Options: ClassVar[type] = AravisOptions
    driver: ClassVar[str] = "aravis"

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`."""
        try:
            aravis = _aravis("the driver")
        except UserError as error:
            return [FoundDevice("aravis", "", "GigE Vision and USB3 Vision", False, str(error))]
        found = []
        for serial, index in _list_devices(aravis).items():
            vendor, model = aravis.get_device_vendor(index), aravis.get_device_model(index)
            how = f"{aravis.get_device_protocol(index)} at {aravis.get_device_address(index)}"
            found.append(FoundDevice("aravis", serial, f"{vendor} {model}, {how}"))
        return found + closed_usb_cameras()

    def _connect(self) -> _Device:
        aravis = _aravis(f"{self._where}: the driver 'aravis'")
        if self._options.simulated:
            aravis.enable_interface("Fake")
        devices = _list_devices(aravis)
        serial = choose_device(list(devices), self._options.serial, self._where)
        try:
            camera = aravis.Camera.new(aravis.get_device_id(devices[serial]))
        except (RuntimeError, TypeError) as error:
            raise UserError(
                f"{self._where}: camera {serial} cannot be opened: {_message(error)}; does another "
                "program have it open?"
            ) from error
        if camera.is_gv_device() and not camera.get_device().is_controller():
            held = [camera]
            del camera
            _release(held)
            raise UserError(f"{self._where}: camera {serial} cannot be opened: another program controls it")
        return _Device(aravis, camera, serial, self._options)


def closed_usb_cameras(devices: Path = USB_DEVICES) -> list[FoundDevice]:
    """List USB3 Vision cameras that this user may not open: Aravis does not see them at all.

    Parameters
    ----------
    devices
        Folder of the kernel in which each USB interface has a folder.

    Returns
    -------
    list[FoundDevice]
        Each with the command that lets it be opened.
    """
    found = []
    for interface in sorted(devices.glob("*:*")):
        if (_line(interface / "bInterfaceClass"), _line(interface / "bInterfaceSubClass")) != USB3_VISION:
            continue
        camera = devices / interface.name.partition(":")[0]
        node = Path(f"/dev/bus/usb/{_line(camera / 'busnum'):0>3}/{_line(camera / 'devnum'):0>3}")
        try:
            node.open("r+b", buffering=0).close()
        except OSError as error:
            what = f"{_line(camera / 'product')}, USB3 Vision: {error.strerror}"
            found.append(FoundDevice("aravis", _line(camera / "serial"), what, False, ALLOW_USB))
    return found


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _aravis(what: str) -> Any:
    """Aravis' module; UserError, beginning with `what`, where it is not installed."""
    if lack := need("aravis"):
        raise UserError(f"{what} {lack} and `{INSTALL_ARAVIS}`")
    import gi

    try:
        gi.require_version("Aravis", "0.8")
        from gi.repository import Aravis
    except (ValueError, ImportError) as error:
        raise UserError(f"{what} needs Aravis 0.8, which is not installed; `{INSTALL_ARAVIS}`") from error
    return Aravis


def _list_devices(aravis: Any) -> dict[str, int]:
    """Places in Aravis' list by serial number; a camera that is reached by two ways stands there twice."""
    with _LISTING:
        aravis.update_device_list()
        indices = range(aravis.get_n_devices())
        return {aravis.get_device_serial_nbr(i) or aravis.get_device_id(i): i for i in reversed(indices)}


def _message(error: Exception) -> str:
    """GLib's message without its domain and number."""
    return str(getattr(error, "message", error))


def _release(held: list[Any]) -> None:
    """Let go of a camera that does not answer, on a thread: Aravis asks it for some ten seconds more."""
    last, held[:] = held[:], []

    def let_go(objects: list[Any]) -> None:
        while objects:
            objects.pop(0)

    threading.Thread(target=let_go, args=(last,), name="aravis-release", daemon=True).start()


@contextmanager
def _losses() -> Iterator[None]:
    """DeviceLost for what GLib raises."""
    try:
        yield
    except RuntimeError as error:
        raise DeviceLost(_message(error)) from error


class _Features:
    """A camera's features through Aravis (`rigs.camera_features.Features`)."""

    def __init__(self, aravis: Any, device: Any) -> None:
        self._aravis, self._device = aravis, device

    def value(self, name: str) -> Any:
        """See `Features.value`."""
        if self._mode(name) in (None, self._aravis.GcAccessMode.WO):
            return None
        try:
            return getattr(self._device, f"get_{self._kind(name)}_feature_value")(name)
        except RuntimeError:
            return None

    def limits(self, name: str) -> Limits | None:
        """See `Features.limits`."""
        kind = self._kind(name)
        if not self._writable(name) or kind not in ("integer", "float"):
            return None
        try:
            low, high = getattr(self._device, f"get_{kind}_feature_bounds")(name)
            return Limits(
                low, high, self._device.get_integer_feature_increment(name) if kind == "integer" else 0
            )
        except RuntimeError:
            return None

    def entries(self, name: str) -> list[str]:
        """See `Features.entries`."""
        if not self._writable(name):
            return []
        try:
            return list(self._device.dup_available_enumeration_feature_values_as_strings(name))
        except RuntimeError:
            return []

    def write(self, name: str, value: Any) -> None:
        """See `Features.write`."""
        kind = self._kind(name)
        try:
            getattr(self._device, f"set_{kind}_feature_value")(
                name, round(value) if kind == "integer" else value
            )
        except RuntimeError as error:
            raise FeatureError(f"{name} = {value}: {_message(error)}") from error

    def _writable(self, name: str) -> bool:
        modes = self._aravis.GcAccessMode
        return self._mode(name) in (modes.WO, modes.RW) and not self._device.get_feature(name).is_locked()

    def _mode(self, name: str) -> Any:
        """The feature's access mode; None where the camera does not have it now."""
        try:
            if not self._device.is_feature_available(name):
                return None
        except RuntimeError:
            return None
        return self._device.get_feature(name).get_actual_access_mode()

    def _kind(self, name: str) -> str:
        """What the names of Aravis' functions call the feature's type."""
        node, aravis = self._device.get_feature(name), self._aravis
        if isinstance(node, aravis.GcBoolean):
            return "boolean"
        if isinstance(node, aravis.GcFloat):
            return "float"
        if isinstance(node, aravis.GcInteger) and not isinstance(node, aravis.GcEnumeration):
            return "integer"
        return "string"


class _Device:
    """An opened camera, its stream and its buffers."""

    tick_hz: float | None = TICK_HZ

    def __init__(self, aravis: Any, camera: Any, serial: str, options: AravisOptions) -> None:
        self._aravis, self._camera, self._options = aravis, camera, options
        self._device = camera.get_device()
        self.serial, self.features = serial, _Features(aravis, self._device)
        self._gigabit = camera.is_gv_device()
        self.hardware = not isinstance(self._device, aravis.FakeDevice)
        long = camera.is_uv_device() or self.features.value("GevGVSPExtendedIDMode") == "On"
        self.counter_modulo = None if long else COUNTER_MODULO
        self._stream: Any = None
        self._memory: dict[Any, NDArray[np.uint8]] = {}
        """Our own memory of each buffer: frames are read from it where they lie."""
        self._acquiring = False
        lost = self._lost = threading.Event()
        self._signal = self._device.connect("control-lost", lambda _: lost.set())

    def prepare(self, setup: CameraSetup) -> None:
        """See `Device.prepare`."""
        options = self._options
        _, _, self._width, self._height = setup.roi
        self._dtype = np.dtype(setup.pixel_format.dtype)
        self._shape = setup.pixel_format.shape(self._height, self._width)
        self._frame_bytes = int(np.prod(self._shape)) * self._dtype.itemsize
        with _losses():
            if self._gigabit and not options.packet_socket:
                self._camera.gv_set_stream_options(self._aravis.GvStreamOption.PACKET_SOCKET_DISABLED)
            if self._gigabit and options.packet_bytes is not None:
                self._camera.gv_set_packet_size(options.packet_bytes)
            self._stream = self._camera.create_stream(None, None)
            if self._gigabit and not options.resend:
                self._stream.set_property("packet-resend", self._aravis.GvStreamPacketResend.NEVER)
            payload = max(self._camera.get_payload(), self._frame_bytes)
        for _ in range(options.buffers):
            memory = np.empty(payload, np.uint8)
            buffer = self._aravis.Buffer.new(payload, memory.ctypes.data)
            self._memory[buffer] = memory
            self._stream.push_buffer(buffer)

    def begin(self) -> None:
        """See `Device.begin`."""
        self._acquiring = True
        with _losses():
            self._camera.start_acquisition()

    def pop(self, timeout_s: float) -> Delivery | None:
        """See `FrameSource.pop`."""
        if self._lost.is_set():
            raise DeviceLost("it was switched off, or another program took control of it")
        if timeout_s > 0.0:
            buffer = self._stream.timeout_pop_buffer(round(timeout_s * 1e6))
        else:
            buffer = self._stream.try_pop_buffer()
        if buffer is None:
            return None
        failure = self._failure(buffer)
        samples = None if failure else self._samples(buffer)
        return Delivery(buffer, buffer.get_frame_id(), buffer.get_timestamp() or None, samples, failure)

    def give_back(self, delivery: Delivery) -> None:
        """See `FrameSource.give_back`."""
        self._stream.push_buffer(delivery.buffer)

    def send_trigger(self) -> None:
        """See `FrameSource.send_trigger`."""
        with _losses():
            self._camera.software_trigger()

    def problem(self) -> str:
        """See `FrameSource.problem`."""
        try:
            value = self._device.read_register(CONTROL_REGISTER if self._gigabit else VERSION_REGISTER)
        except RuntimeError as error:
            return f"it no longer answers ({_message(error)})"
        if self._gigabit and not value & 0b11:
            return "it was switched off and on, or another program took control of it"
        return ""

    def close(self, gone: bool = False) -> None:
        """See `Device.close`."""
        if self._acquiring and not gone:
            try:
                self._camera.stop_acquisition()
            except RuntimeError:
                gone = True
        self._device.disconnect(self._signal)
        held = [self._stream, self._memory, self.features, self._device, self._camera]
        del self._stream, self._memory, self.features, self._device, self._camera
        if gone:
            _release(held)
        while held:  # the stream first: its thread writes into the memory
            held.pop(0)

    def _failure(self, buffer: Any) -> str:
        status = buffer.get_status()
        if status != self._aravis.BufferStatus.SUCCESS:
            return FAILURES.get(status.value_nick, status.value_nick)
        width, height = buffer.get_image_width(), buffer.get_image_height()
        if (width, height) != (self._width, self._height):
            return f"it is {width} x {height} px large"
        return ""

    def _samples(self, buffer: Any) -> NDArray[Any]:
        return self._memory[buffer][: self._frame_bytes].view(self._dtype).reshape(self._shape)
