"""GenTL producers: libraries that end in `.cti`, come with a camera, and reach every camera of their vendor.

Harvesters finds and opens cameras and reads their descriptions. Waits for a frame, and the question whether a
camera is there, go to the producer directly (`ProducerCalls`): the bindings would hold the interpreter, and
with it the loop, until the answer comes.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from rigs.grabbing import DeviceLost
from rt_pose.errors import UserError, first_line

PATH_VARIABLE = "GENICAM_GENTL64_PATH"
SUCCESS, TIMEOUT = 0, -1011
"""What functions of the GenTL standard return."""
_LOG = logging.getLogger(f"{__name__}.harvesters")
_LOG.setLevel(logging.CRITICAL)  # what matters of its messages is raised here


def installed_producers() -> list[str]:
    """List the GenTL producers that the environment names.

    Returns
    -------
    list[str]
        Paths of files that end in .cti, in the order of the folders.
    """
    folders = [folder for folder in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if folder]
    return [str(path) for folder in folders for path in sorted(Path(folder).glob("*.cti"))]


def print_devices(path: str) -> None:
    """Print the devices of a producer as JSON: pairs of serial number and description.

    Parameters
    ----------
    path
        The producer.
    """
    producer = load_producer(path, "producer")
    try:
        print(json.dumps(producer.describe()))  # noqa: T201 - the answer to another process
    finally:
        release_producer(producer)


class Producer:
    """A loaded producer. It can be loaded once in a process, so the cameras of a run share it."""

    def __init__(self, path: str) -> None:
        """Load it.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        OSError
            Where it cannot be loaded.
        """
        harvesters = _harvesters()
        self.path, self.users = path, 0
        self._harvester = harvesters.Harvester(
            config=harvesters.ParameterSet({harvesters.ParameterKey.LOGGER: _LOG})
        )
        self._harvester.add_file(path, check_validity=True)

    def update(self) -> None:
        """List the devices anew, which no opened camera would survive."""
        self._harvester.update()

    def serials(self) -> list[str]:
        """List the serial numbers of the devices.

        Returns
        -------
        list[str]
            One each; where a device has none, the producer's name of it.
        """
        return [_serial(info) for info in self._harvester.device_info_list]

    def describe(self) -> list[tuple[str, str]]:
        """Describe the devices.

        Returns
        -------
        list[tuple[str, str]]
            Serial number and description of each.
        """
        return [
            (
                _serial(info),
                " ".join(str(info.property_dict.get(key) or "") for key in ("vendor", "model")).strip(),
            )
            for info in self._harvester.device_info_list
        ]

    def create(self, serial: str) -> Any:
        """Open a device.

        Parameters
        ----------
        serial
            One of `serials`.

        Returns
        -------
        Any
            Harvesters' acquirer of images.
        """
        index = self.serials().index(serial)
        # On the main thread Harvesters would take SIGINT for itself.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._harvester.create, index).result()

    def destroy(self, acquirer: Any) -> None:
        """Close a device.

        Parameters
        ----------
        acquirer
            What `create` gave.
        """
        with suppress(*library_errors()):  # of a device that is gone already
            acquirer.destroy()
        if acquirer in self._harvester.image_acquirers:
            self._harvester.image_acquirers.remove(acquirer)

    def close(self) -> None:
        """Unload it."""
        with suppress(*library_errors()):
            self._harvester.reset()


LOADED: dict[str, Producer] = {}
"""The producers of this process, by their paths."""
_LOADING = threading.Lock()


def load_producer(path: str, where: str) -> Producer:
    """Get a producer for one more user, its list of devices as new as its other users allow.

    Parameters
    ----------
    path
        The file.
    where
        Begins the error.

    Returns
    -------
    Producer
        To be given to `release_producer` in the end.

    Raises
    ------
    UserError
        Where it cannot be loaded.
    """
    with _LOADING:
        producer = LOADED.get(path)
        if producer is None:
            try:
                producer = LOADED[path] = Producer(path)
            except OSError as error:
                raise UserError(f"{where}: {path} cannot be loaded: {error}") from error
        if not producer.users:
            producer.update()
        producer.users += 1
        return producer


def release_producer(producer: Producer) -> None:
    """Give a producer back; the last user unloads it.

    Parameters
    ----------
    producer
        What `load_producer` gave.
    """
    with _LOADING:
        producer.users -= 1
        if not producer.users:
            del LOADED[producer.path]
            producer.close()


class ProducerCalls:
    """A producer's own functions, which let the interpreter go while they wait."""

    def __init__(self, path: str) -> None:
        """Find the functions.

        Parameters
        ----------
        path
            The producer, loaded already.
        """
        library = ctypes.CDLL(path)
        self._event, self._read = library.EventGetData, library.GCReadPort
        self._event.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]
        self._read.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p]
        self._event.restype = self._read.restype = ctypes.c_int32
        self._new_buffer = (ctypes.c_void_p * 2)()  # its handle, and a pointer of the user
        self._size = ctypes.c_size_t()

    def wait_for_buffer(self, events: int, timeout_ms: int) -> int | None:
        """Wait for the next buffer.

        Parameters
        ----------
        events
            Handle of the queue of buffers.
        timeout_ms
            How long, ms.

        Returns
        -------
        int or None
            The buffer's handle; None where none came in time.

        Raises
        ------
        DeviceLost
            Where the producer gives an error.
        """
        self._size.value = ctypes.sizeof(self._new_buffer)
        code = self._event(events, self._new_buffer, ctypes.byref(self._size), timeout_ms)
        if code == TIMEOUT:
            return None
        if code != SUCCESS:
            raise DeviceLost(f"its producer gave the error {code}")
        return self._new_buffer[0]

    def reads(self, port: int) -> bool:
        """Check whether a device answers a reading of its first register.

        Parameters
        ----------
        port
            Handle of the device's port.

        Returns
        -------
        bool
            Whether it does.
        """
        four, size = ctypes.create_string_buffer(4), ctypes.c_size_t(4)
        return bool(self._read(port, 0, four, ctypes.byref(size)) == SUCCESS)


def library_errors() -> tuple[type[Exception], ...]:
    """Get what Harvesters and the bindings beneath it raise.

    Returns
    -------
    tuple[type[Exception], ...]
        Classes, for `except`.
    """
    from genicam import genapi, gentl

    return (genapi.GenericException, gentl.GenericException)


@contextmanager
def losses() -> Iterator[None]:
    """Raise DeviceLost for what the library raises."""
    try:
        yield
    except library_errors() as error:
        raise DeviceLost(first_line(error)) from error


def _harvesters() -> ModuleType:
    with warnings.catch_warnings():  # it changes the filters of the whole process
        from harvesters import core
    return core


def _serial(info: Any) -> str:
    return str(info.property_dict.get("serial_number") or info.property_dict.get("id_"))
