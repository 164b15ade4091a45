"""Cameras of any vendor through its GenTL producer: a library that ends in `.cti` and comes with the camera.

Frames are taken from the producer itself (`rigs.gentl.ProducerCalls`) and not from Harvesters, which drops
those that did not come whole without a word of why.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rigs.acquisition import AcquisitionOptions, choose_device
from rigs.camera_features import CameraSetup, FeatureError, Limits
from rigs.gentl import (
    PATH_VARIABLE,
    Producer,
    ProducerCalls,
    installed_producers,
    library_errors,
    load_producer,
    losses,
    release_producer,
)
from rigs.grabbing import Delivery, DeviceLost
from rigs.library_camera import LibraryCamera
from rt_pose.drivers import FoundDevice, camera_driver
from rt_pose.errors import UserError, first_line
from rt_pose.extras import need, remedy, require

NO_PRODUCER = (
    f"install the camera vendor's GenTL producer, and set {PATH_VARIABLE} to the folder of its .cti file or "
    "give `producer:` in the options"
)
FIND_S = 8.0
GIGE_COUNTER_MODULO = 65536


@dataclass
class GenicamOptions(AcquisitionOptions):
    """Which camera, how it takes its frames, and whose library reaches it."""

    producer: str = ""
    """The vendor's GenTL producer, a file that ends in .cti; without it, those in the folders that the
    environment's GENICAM_GENTL64_PATH names."""


@camera_driver("genicam")
class GenicamCamera(LibraryCamera):
    """A camera through its vendor's GenTL producer."""

    Options: ClassVar[type] = GenicamOptions
    driver: ClassVar[str] = "genicam"

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`.

        Notes
        -----
        Each producer is loaded in a process of its own: one that crashes takes nothing else with it.
        """
        if lack := need("genicam"):
            return [FoundDevice("genicam", "", lack.partition(";")[0], False, remedy("genicam"))]
        paths = installed_producers()
        if not paths:
            return [FoundDevice("genicam", "", "no GenTL producer is known", False, NO_PRODUCER)]
        with ThreadPoolExecutor(len(paths)) as pool:
            return [device for found in pool.map(_find_through, paths) for device in found]

    def _connect(self) -> _Device:
        require("genicam", f"{self._where}: the driver 'genicam'")
        producer, serial = self._choose(self._producers())
        try:
            return _Device(producer, producer.create(serial), serial, self._options)
        except library_errors() as error:
            release_producer(producer)
            raise UserError(
                f"{self._where}: camera {serial} cannot be opened: {first_line(error)}; does another program "
                "have it open?"
            ) from error

    def _producers(self) -> list[str]:
        path = self._options.producer
        if path and not Path(path).is_file():
            raise UserError(f"{self._where}: producer: there is no file {path}")
        paths = [path] if path else installed_producers()
        if not paths:
            raise UserError(f"{self._where}: no GenTL producer is known; {NO_PRODUCER}")
        return paths

    def _choose(self, paths: list[str]) -> tuple[Producer, str]:
        """The producer that sees the camera with the wanted serial number, kept loaded, and that number."""
        loaded: list[Producer] = []
        try:
            for path in paths:
                loaded.append(load_producer(path, f"{self._where}: producer"))
            seen = {serial: producer for producer in reversed(loaded) for serial in producer.serials()}
            serial = choose_device(list(seen), self._options.serial, self._where)
        except BaseException:
            for producer in loaded:
                release_producer(producer)
            raise
        for producer in loaded:
            if producer is not seen[serial]:
                release_producer(producer)
        return seen[serial], serial


def _find_through(path: str) -> list[FoundDevice]:
    """What a producer sees, asked in a process of its own."""
    code = "import sys; from rigs.gentl import print_devices; print_devices(sys.argv[1])"
    name = Path(path).name
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=FIND_S, check=False
        )
        pairs = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return [FoundDevice("genicam", "", name, False, f"it gave no answer within {FIND_S:g} s: {path}")]
    except (IndexError, ValueError):
        why = (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]
        return [FoundDevice("genicam", "", name, False, why)]
    return [FoundDevice("genicam", serial, f"{description}, through {name}") for serial, description in pairs]


def _feature_errors() -> tuple[type[Exception], ...]:
    """What the reading or writing of a feature raises; AttributeError where the camera has another kind of
    it."""
    return (*library_errors(), AttributeError)


class _Features:
    """A camera's features through its node map (`rigs.camera_features.Features`)."""

    def __init__(self, node_map: Any) -> None:
        from genicam.genapi import EAccessMode

        self._node_map = node_map
        self._readable = (EAccessMode.RO, EAccessMode.RW)
        self._writable = (EAccessMode.WO, EAccessMode.RW)

    def value(self, name: str) -> Any:
        """See `Features.value`."""
        node = self._node(name, self._readable)
        try:
            return None if node is None else node.value
        except _feature_errors():
            return None

    def limits(self, name: str) -> Limits | None:
        """See `Features.limits`."""
        from genicam.genapi import IInteger

        node = self._node(name, self._writable)
        try:
            step = node.inc if isinstance(node, IInteger) else 0.0
            return None if node is None else Limits(node.min, node.max, step)
        except _feature_errors():  # not a number
            return None

    def entries(self, name: str) -> list[str]:
        """See `Features.entries`."""
        node = self._node(name, self._writable)
        try:
            return [] if node is None else [entry for entry in node.symbolics if self._offered(node, entry)]
        except _feature_errors():  # not an enumeration
            return []

    def write(self, name: str, value: Any) -> None:
        """See `Features.write`."""
        try:
            getattr(self._node_map, name).value = value
        except _feature_errors() as error:
            raise FeatureError(f"{name} = {value}: {first_line(error)}") from error

    def execute(self, name: str) -> None:
        """Execute a command. Raises FeatureError."""
        try:
            getattr(self._node_map, name).execute()
        except _feature_errors() as error:
            raise FeatureError(f"{name}: {first_line(error)}") from error

    def _node(self, name: str, modes: tuple[int, ...]) -> Any:
        """The feature's node; None where there is none with such an access mode now."""
        try:
            node = getattr(self._node_map, name)
            return node if node.get_access_mode() in modes else None
        except _feature_errors():
            return None

    def _offered(self, node: Any, entry: str) -> bool:
        return node.get_entry_by_name(entry).get_access_mode() in self._readable


class _Device:
    """An opened camera and its buffers."""

    hardware = True

    def __init__(self, producer: Producer, acquirer: Any, serial: str, options: GenicamOptions) -> None:
        self._producer, self._acquirer, self.serial, self._options = producer, acquirer, serial, options
        self.features = _Features(acquirer.remote_device.node_map)
        self._absent: set[str] = set()
        """What buffers of this producer do not know of themselves."""
        self._calls = ProducerCalls(producer.path)
        self._port = int(acquirer.remote_device.port.handle)
        self._answers = self._calls.reads(self._port)
        """Whether it can be asked if it is there."""
        self.tick_hz = self._tick_hz()
        long = acquirer.device.tl_type != "GEV" or self.features.value("GevGVSPExtendedIDMode") == "On"
        self.counter_modulo = None if long else GIGE_COUNTER_MODULO

    def prepare(self, setup: CameraSetup) -> None:
        """See `Device.prepare`. Buffers are made with the beginning."""
        _, _, self._width, self._height = setup.roi
        self._dtype = np.dtype(setup.pixel_format.dtype)
        self._shape = setup.pixel_format.shape(self._height, self._width)
        self._acquirer.num_buffers = max(self._options.buffers, self._acquirer.min_num_buffers)

    def begin(self) -> None:
        """See `Device.begin`."""
        with losses():
            self._acquirer.start()
        # The public `fetch` waits with the interpreter held; what is beneath it need not.
        events = next(iter(self._acquirer._new_buffer_event_monitor_dict.values()))
        self._events = int(events.handle)
        self._buffers = {int(buffer._handle): buffer for buffer in self._acquirer._announced_buffers}

    def pop(self, timeout_s: float) -> Delivery | None:
        """See `FrameSource.pop`."""
        handle = self._calls.wait_for_buffer(self._events, round(timeout_s * 1000))
        if handle is None:
            return None
        buffer = self._buffers[handle]
        with losses():
            failure = self._failure(buffer)
            samples = None if failure else self._samples(buffer)
            ticks = None if self.tick_hz is None else self._known(buffer, "timestamp")
            return Delivery(buffer, self._known(buffer, "frame_id"), ticks or None, samples, failure)

    def give_back(self, delivery: Delivery) -> None:
        """See `FrameSource.give_back`."""
        with losses():
            delivery.buffer.parent.queue_buffer(delivery.buffer)

    def send_trigger(self) -> None:
        """See `FrameSource.send_trigger`."""
        try:
            self.features.execute("TriggerSoftware")
        except FeatureError as error:
            raise DeviceLost(str(error)) from error

    def problem(self) -> str:
        """See `FrameSource.problem`."""
        return "it no longer answers" if self._answers and not self._calls.reads(self._port) else ""

    def close(self, gone: bool = False) -> None:  # noqa: ARG002
        """See `Device.close`."""
        self._producer.destroy(self._acquirer)
        release_producer(self._producer)
        self._buffers = {}
        del self._acquirer, self.features

    def _tick_hz(self) -> float | None:
        """Ticks a second of the buffers' time stamps; None where nothing says so."""
        try:
            known = self._acquirer.device.timestamp_frequency
        except library_errors():
            known = self.features.value("GevTimestampTickFrequency")
        return float(known) if known else None

    def _failure(self, buffer: Any) -> str:
        if not buffer.is_complete():
            filled, size = self._known(buffer, "size_filled"), self._known(buffer, "size")
            return (
                f"it is not complete: {filled} of {size} bytes"
                if filled is not None
                else "it is not complete"
            )
        width, height = self._known(buffer, "width"), self._known(buffer, "height")
        if width and height and (width, height) != (self._width, self._height):
            return f"it is {width} x {height} px large"
        return ""

    def _samples(self, buffer: Any) -> NDArray[Any]:
        """The pixels in the buffer's own memory, without what fills up its lines."""
        padding = self._known(buffer, "padding_x") or 0
        row_bytes = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        pixel_bytes = row_bytes // self._width
        strides = (row_bytes + padding, pixel_bytes, self._dtype.itemsize)[: len(self._shape)]
        offset = self._known(buffer, "image_offset") or 0
        return np.ndarray(self._shape, self._dtype, buffer.raw_buffer, offset, strides)

    def _known(self, buffer: Any, what: str) -> Any:
        """What a buffer says of itself; None where the producer does not know, and is not asked again."""
        if what in self._absent:
            return None
        try:
            return getattr(buffer, what)
        except library_errors():
            self._absent.add(what)
            return None
