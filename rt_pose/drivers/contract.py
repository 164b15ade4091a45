"""What a camera, an output and an input are to the rest of the program.

Version 2 of the contract, against version 1: a camera is armed (`arm`) apart from being started (`start`), so
that several stand ready before a trigger runs; `grab` tells a frame that failed and a wait that brought
nothing from a device that is gone. Outputs and inputs are the same in both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import Clock
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

CONTRACT = 2
"""The version that this program follows. A driver class names its own as `contract`; without it, it is 1."""


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


class FailedFrame(msgspec.Struct, frozen=True):
    """What `grab` returns for frames that the device began and that did not come whole; it goes on."""

    reason: str
    """In the device's words, such as "3 packets are missing"."""
    count: int = 1
    index: int | None = None
    """What the first of them would have had in its stamps; None where it is not known, or where the device
    does not count frames that fail. Frames that are counted are no gap besides."""


class NoFrameYet(msgspec.Struct, frozen=True):
    """What `grab` returns where nothing came within its time: no fault, a trigger may be long in coming."""


NO_FRAME_YET: Final = NoFrameYet()
Grabbed = FrameStamps | FailedFrame | NoFrameYet | None


class Camera(Protocol):
    """A source of frames. One thread calls `arm`, `start` and `grab`; `stop` may come from any other.

    Life: `__init__` (no side effects), `open` (all or nothing, may be called again after `close`), `arm`,
    `start`, `grab` until it returns None or raises, `close` (idempotent). After a fault the program may close
    the camera and open it again. A class whose devices are told apart by another option than `serial` names
    it as `named_by`: `rt-pose run --camera DRIVER:NAME` sets that."""

    Options: ClassVar[type]
    contract: ClassVar[int]
    """Version of the contract that the class follows: `CONTRACT` when it was written."""

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
        """Connect to the device, set what was asked for and read back what it took, all or nothing.

        Returns
        -------
        CameraInfo
            What the camera will deliver, and with which settings.

        Raises
        ------
        UserError
            Where the device cannot be opened, or refuses a setting.
        """
        ...

    def arm(self) -> None:
        """Make ready to deliver: a triggered camera waits for its trigger from here on.

        Raises
        ------
        CameraFault
            Where the device fails.
        """
        ...

    def start(self) -> None:
        """Let frames come; called when every camera of the run is armed.

        Raises
        ------
        CameraFault
            Where the device fails.
        """
        ...

    def grab(self, into: NDArray[np.uint8]) -> Grabbed:
        """Wait for the next frame and write its pixels to `into`.

        The arrival is stamped when the pixels are in `into`. A wait ends after about a second at most, with
        `NO_FRAME_YET`.

        Parameters
        ----------
        into
            Where the pixels go, (H, W, C) uint8.

        Returns
        -------
        FrameStamps | FailedFrame | NoFrameYet | None
            The stamps of the frame; or what became of frames that failed; or that none came yet. None when
            the recording has ended or `stop` was called.

        Raises
        ------
        CameraFault
            Where the device is gone.
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


@runtime_checkable
class ClockedCamera(Camera, Protocol):
    """A camera whose stamps come from a device's counter and clock."""

    def clock_summary(self) -> dict[str, Any]:
        """Sum up how well counter and clock of the device are known, for the session.

        Returns
        -------
        dict[str, Any]
            Numbers and texts, as `rigs.frame_stamps.FrameStamper.summary` gives them; from any thread.
        """
        ...


@runtime_checkable
class CameraInSpace(Camera, Protocol):
    """A camera of a rig that knows where in space the keypoints of its frames are."""

    def truth_in_space(self, index: int) -> FloatArray | None:
        """Look up the exact keypoints of a frame in space.

        Parameters
        ----------
        index
            Index of the frame, as in its stamps.

        Returns
        -------
        FloatArray or None
            (N, K, 3) mm; None where the driver does not know them.
        """
        ...


class CameraFault(Exception):
    """The device is gone or no longer works: outputs become safe, and the session is closed properly or,
    where the configuration says so, the camera is opened again."""


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
