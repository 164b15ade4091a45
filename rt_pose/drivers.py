"""The contracts of cameras, outputs and inputs, and the registry that `rigs` fills.

A driver is one file in `rigs/cameras/`, `rigs/outputs/` or `rigs/inputs/`: a class with a typed `Options`
dataclass, registered under its name. Vendor packages are imported inside `open`, never at the top.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import Clock
from rt_pose.config.build import build, read_section
from rt_pose.config.source import Source
from rt_pose.errors import UserError, nearest
from rt_pose.types import (
    Ack,
    CameraInfo,
    Command,
    Edge,
    FloatArray,
    FrameStamps,
    InputInfo,
    OutputInfo,
    SwitchOrder,
)


@dataclass(slots=True)
class DriverContext:
    """What every driver of one run shares."""

    clock: Clock
    seed: int = 0
    shared: dict[str, Any] = field(default_factory=dict)
    """Objects that belong to several drivers of a rig, by name (the simulated world, a bus)."""
    channels: int | None = None
    """Channels that the network takes (1 gray, 3 RGB): a camera that can give either gives these. None where
    no network is known."""


@dataclass(slots=True)
class FoundDevice:
    """One line of `rt-pose devices`."""

    driver: str
    serial: str
    description: str
    usable: bool = True
    remedy: str = ""
    """Where it cannot be used: the command that would repair it."""


class Camera(Protocol):
    """A source of frames. One thread calls `grab`; `stop` may come from any other.

    Life: `__init__` (no side effects), `open` (all or nothing, may be called again after `close`),
    `grab` until it returns None, `close` (idempotent).
    """

    Options: ClassVar[type]

    def __init__(self, name: str, options: Any, context: DriverContext) -> None:
        """Keep what the camera is opened with; no side effects.

        Parameters
        ----------
        name
            Name of the camera in the run's configuration.
        options
            An instance of the driver's `Options`, checked.
        context
            What the drivers of the run share.
        """
        ...

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """Search for the devices that this driver sees now.

        Returns
        -------
        list[FoundDevice]
            One entry a device; empty where there is none.
        """
        ...

    def open(self) -> CameraInfo:
        """Connect to the device, all or nothing.

        Returns
        -------
        CameraInfo
            What the camera will deliver.

        Raises
        ------
        UserError
            Where the device cannot be opened.
        """
        ...

    def grab(self, into: NDArray[np.uint8]) -> FrameStamps | None:
        """Wait for the next frame and write its pixels to `into`.

        The arrival is stamped when the pixels are in `into`.

        Parameters
        ----------
        into
            Where the pixels go, (H, W, C) uint8.

        Returns
        -------
        FrameStamps | None
            The stamps of the frame; None when the recording has ended or `stop` was called.

        Raises
        ------
        CameraFault
            Where the device fails.
        """
        ...

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:
        """Look up the exact keypoints of a frame, where the driver knows them.

        Parameters
        ----------
        index
            Index of the frame, as in its stamps.

        Returns
        -------
        tuple[FloatArray, NDArray[np.bool_]] | None
            Keypoints (N, K, 2) px and whether each is visible (N, K); None where the driver does not know
            them.
        """
        ...

    def stop(self) -> None:
        """Make a waiting `grab` return None soon (within 100 ms)."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class CameraFault(Exception):
    """The camera failed during the run; the session is then closed properly."""


class Output(Protocol):
    """A thing that acts. One thread, its own, calls `send`."""

    Options: ClassVar[type]

    def __init__(self, name: str, options: Any, context: DriverContext) -> None:
        """Keep what the output is opened with; no side effects.

        Parameters
        ----------
        name
            Name of the output in the run's configuration.
        options
            An instance of the driver's `Options`, checked.
        context
            What the drivers of the run share.
        """
        ...

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """Search for the devices that this driver sees now.

        Returns
        -------
        list[FoundDevice]
            One entry a device; empty where there is none.
        """
        ...

    def open(self) -> OutputInfo:
        """Connect to the device and enter the safe state.

        Returns
        -------
        OutputInfo
            What the output is and can do.
        """
        ...

    def send(self, command: Command) -> Ack:
        """Carry a command out and wait for its echo where the device gives one.

        Parameters
        ----------
        command
            What to do, on which line.

        Returns
        -------
        Ack
            When it was sent and echoed, and whether it succeeded.
        """
        ...

    def safe_state(self) -> None:
        """All lines low, at once. Must work after a fault, and from any thread, also during a `send`."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


@runtime_checkable
class WatchedOutput(Output, Protocol):
    """An output whose device drops its lines by itself where no heartbeat comes for a while.

    `OutputInfo.heartbeat_ms` is the interval that it needs. The thread that calls `send` calls `heartbeat`.
    """

    def heartbeat(self, alive: bool) -> list[str]:
        """Tell the device whether the loop is alive. A device that no longer answers raises.

        Parameters
        ----------
        alive
            Whether all is well; otherwise the device is left to drop its lines.

        Returns
        -------
        list[str]
            What the device has reported since the last call, a line each.
        """
        ...


class Input(Protocol):
    """A line that goes on and off: a lick, a lever, a sync pulse. Its edges come from a thread of its own.

    Life: `__init__` (no side effects), `open` (all or nothing), `start`, `stop`, `close` (idempotent).
    """

    Options: ClassVar[type]

    def __init__(self, name: str, options: Any, context: DriverContext) -> None:
        """Keep what the input is opened with; no side effects.

        Parameters
        ----------
        name
            Name of the input in the run's configuration.
        options
            An instance of the driver's `Options`, checked.
        context
            What the drivers of the run share.
        """
        ...

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """Search for the devices that this driver sees now.

        Returns
        -------
        list[FoundDevice]
            One entry a device; empty where there is none.
        """
        ...

    def open(self) -> InputInfo:
        """Connect to the device.

        Returns
        -------
        InputInfo
            What the input is, and whether it is on.
        """
        ...

    def start(self, deliver: Callable[[Edge], None]) -> None:
        """Begin to watch the line.

        Parameters
        ----------
        deliver
            Called with every edge, in order, from the input's thread; it never waits.
        """
        ...

    def stop(self) -> None:
        """End watching: `deliver` is not called any more once it returns."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


@runtime_checkable
class ReportingInput(Input, Protocol):
    """An input that can lose edges, or its device, and says so."""

    lost: int
    """Edges that it knows it has not delivered."""
    notices: deque[str]
    """What it has to report, a line each: its thread appends, the loop takes."""


@runtime_checkable
class OperatedInput(Input, Protocol):
    """An input that the operator switches: by a key of the run's terminal (`InputInfo.key`) or an order."""

    def switch(self, order: SwitchOrder, t_ns: int) -> None:
        """Switch the line. Never waits; from any thread.

        Parameters
        ----------
        order
            What the operator does.
        t_ns
            When, host time, ns.
        """
        ...


C = TypeVar("C", bound=type)
_CAMERAS: dict[str, type] = {}
_OUTPUTS: dict[str, type] = {}
_INPUTS: dict[str, type] = {}
_BROKEN: dict[str, dict[str, str]] = {"camera": {}, "output": {}, "input": {}}
"""Driver files that could not be imported, and why."""
FIND_S = 10.0
"""How long a driver may look for its devices."""


def camera_driver(name: str) -> Callable[[C], C]:
    """Class decorator: register a camera driver under `name`.

    Parameters
    ----------
    name
        What a configuration calls the driver.

    Returns
    -------
    Callable[[C], C]
        The decorator, which returns the class unchanged.
    """
    return _registrar(_CAMERAS, name)


def output_driver(name: str) -> Callable[[C], C]:
    """Class decorator: register an output driver under `name`.

    Parameters
    ----------
    name
        What a configuration calls the driver.

    Returns
    -------
    Callable[[C], C]
        The decorator, which returns the class unchanged.
    """
    return _registrar(_OUTPUTS, name)


def input_driver(name: str) -> Callable[[C], C]:
    """Class decorator: register an input driver under `name`.

    Parameters
    ----------
    name
        What a configuration calls the driver.

    Returns
    -------
    Callable[[C], C]
        The decorator, which returns the class unchanged.
    """
    return _registrar(_INPUTS, name)


def report_broken(kind: str, name: str, error: BaseException) -> None:
    """Report a driver whose file could not be imported; a run that wants it is told why.

    Parameters
    ----------
    kind
        "camera", "output" or "input".
    name
        Name of the file, without its suffix.
    error
        What it raised.
    """
    _BROKEN[kind][name] = _problem(error)


def _registrar(table: dict[str, type], name: str) -> Callable[[C], C]:
    def register(cls: C) -> C:
        if name in table and table[name] is not cls:
            raise ValueError(f"two drivers are called '{name}': {table[name]} and {cls}")
        table[name] = cls
        return cls

    return register


def cameras() -> dict[str, type]:
    """List the registered camera drivers.

    Returns
    -------
    dict[str, type]
        Driver classes by name.
    """
    return dict(_CAMERAS)


def outputs() -> dict[str, type]:
    """List the registered output drivers.

    Returns
    -------
    dict[str, type]
        Driver classes by name.
    """
    return dict(_OUTPUTS)


def inputs() -> dict[str, type]:
    """List the registered input drivers.

    Returns
    -------
    dict[str, type]
        Driver classes by name.
    """
    return dict(_INPUTS)


def make_camera(name: str, driver: str, options: dict[str, Any], context: DriverContext) -> Camera:
    """Make the camera `name` of a configuration, its options checked; it is not opened yet.

    Parameters
    ----------
    name
        Name of the camera in the configuration.
    driver
        Name of a registered camera driver.
    options
        The `options` section as read from the configuration.
    context
        What the drivers of the run share.

    Returns
    -------
    Camera
        The camera, before `open`.

    Raises
    ------
    UserError
        Where there is no such driver, or an option is wrong.
    """
    return _make(_CAMERAS, "camera", name, driver, options, context)


def make_output(name: str, driver: str, options: dict[str, Any], context: DriverContext) -> Output:
    """Make the output `name` of a configuration, its options checked; it is not opened yet.

    Parameters
    ----------
    name
        Name of the output in the configuration.
    driver
        Name of a registered output driver.
    options
        The `options` section as read from the configuration.
    context
        What the drivers of the run share.

    Returns
    -------
    Output
        The output, before `open`.

    Raises
    ------
    UserError
        Where there is no such driver, or an option is wrong.
    """
    return _make(_OUTPUTS, "output", name, driver, options, context)


def make_input(name: str, driver: str, options: dict[str, Any], context: DriverContext) -> Input:
    """Make the input `name` of a configuration, its options checked; it is not opened yet.

    Parameters
    ----------
    name
        Name of the input in the configuration.
    driver
        Name of a registered input driver.
    options
        The `options` section as read from the configuration.
    context
        What the drivers of the run share.

    Returns
    -------
    Input
        The input, before `open`.

    Raises
    ------
    UserError
        Where there is no such driver, or an option is wrong.
    """
    return _make(_INPUTS, "input", name, driver, options, context)


def report_drivers(source: Source, kinds: Sequence[str] = ("cameras", "outputs", "inputs")) -> None:
    """Report to a run's `source` the drivers that do not exist, and what is wrong with their options.

    A section that is not a mapping is left to whoever builds the configuration.

    Parameters
    ----------
    source
        The run's configuration as read; it collects the problems with their places.
    kinds
        The sections to look at: `cameras`, `outputs`, `inputs`.
    """
    for kind in kinds:
        group, table = source.plain.get(kind), _TABLES[kind]
        for name, item in group.items() if isinstance(group, dict) else ():
            driver = item.get("driver") if isinstance(item, dict) else None
            if not isinstance(driver, str):
                continue
            if driver in table:
                wanted: Any = table[driver]
                read_section(wanted.Options, item.get("options"), (kind, name, "options"), source)
            else:
                source.report((kind, name, "driver"), _no_driver(kind[:-1], driver, table))


_TABLES = {"cameras": _CAMERAS, "outputs": _OUTPUTS, "inputs": _INPUTS}


def _no_driver(kind: str, driver: str, table: dict[str, type]) -> str:
    if driver in _BROKEN[kind]:
        return f"the {kind} driver '{driver}' cannot be loaded: {_BROKEN[kind][driver]}"
    return f"there is no {kind} driver '{driver}'{nearest(driver, table)}"


def _make(
    table: dict[str, type], kind: str, name: str, driver: str, options: dict[str, Any], context: DriverContext
) -> Any:
    if driver not in table:
        raise UserError(f"{kind}s.{name}: {_no_driver(kind, driver, table)}")
    cls: Any = table[driver]
    return cls(name, build(cls.Options, options, f"{kind}s.{name}.options"), context)


def find_devices() -> list[tuple[str, FoundDevice]]:
    """Search for every device that a registered driver sees now.

    A driver that cannot be loaded, or whose search fails or hangs, is listed as a device that cannot be
    used, so that the others are still found; so is a driver that sees no device, since a configuration may
    name it all the same.

    Returns
    -------
    list[tuple[str, FoundDevice]]
        Pairs of kind ("camera", "output", "input") and device.
    """
    found: list[tuple[str, FoundDevice]] = []
    for kind, table in (("camera", _CAMERAS), ("output", _OUTPUTS), ("input", _INPUTS)):
        for name, driver in sorted(table.items()):
            found += [(kind, device) for device in _find(name, driver)]
        for name, problem in sorted(_BROKEN[kind].items()):
            found.append((kind, FoundDevice(name, "", "cannot be loaded", False, problem)))
    return found


def _find(name: str, driver: Any) -> list[FoundDevice]:
    """What one driver sees, whatever its library does: raise, exit, answer nonsense, or not at all."""
    answer: SimpleQueue[list[FoundDevice] | str] = SimpleQueue()

    def search() -> None:
        try:
            answer.put(
                [
                    FoundDevice(
                        str(d.driver), str(d.serial), str(d.description), bool(d.usable), str(d.remedy)
                    )
                    for d in driver.find()
                ]
            )
        except BaseException as error:  # noqa: BLE001 - a vendor's library may raise anything, exits included
            answer.put(_problem(error))

    threading.Thread(target=search, name=f"rt-pose-find-{name}", daemon=True).start()
    try:
        found = answer.get(timeout=FIND_S)
    except Empty:
        found = f"its library gave no answer within {FIND_S:g} s"
    if isinstance(found, str):
        return [FoundDevice(name, "", "cannot be searched for", False, found)]
    return found or [FoundDevice(name, "", "none is connected", False, "plug one in, and look again")]


def _problem(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
