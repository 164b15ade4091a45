"""The cameras that Basler's library emulates, and what they have not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rigs.cameras.basler import library
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.extras import need

EMULATED_SERIALS = ("0815-0000", "0815-0001")
VARIABLE = "PYLON_CAMEMU"
BLOCKS = 65_535
"""Block numbers of GigE Vision: 1 to this, then again from 1."""


@contextmanager
def emulated_cameras() -> Iterator[None]:
    """Two of them are there within the block, in this process and in those that it starts."""
    if lack := need("basler"):
        pytest.skip(f"this {lack}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(len(EMULATED_SERIALS)))
        yield


class TickingCamera:
    """An emulated camera whose frames bear ticks and block numbers as those of a GigE camera do."""

    def __init__(self, tick_hz: float, first_block: int) -> None:
        self.blocks: list[int] = []
        self.ticks: list[int] = []
        self.tick_hz = tick_hz
        self._first_block, self._clock = first_block, HostClock()

    def take_the_place_of_the_emulated(self, patch: pytest.MonkeyPatch) -> None:
        """Cameras that are opened from now on are such ones."""
        pylon, _ = library()
        opened = pylon.InstantCamera
        patch.setattr(pylon, "InstantCamera", lambda device: _Camera(opened(device), self))

    def stamp(self) -> tuple[int, int]:
        """Block number and ticks of the next frame."""
        self.blocks.append((self._first_block - 1 + len(self.blocks)) % BLOCKS + 1)
        self.ticks.append(round(self._clock.now_ns() * self.tick_hz / NS_PER_S))
        return self.blocks[-1], self.ticks[-1]


class _Like:
    """Passes on what it does not know itself."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Camera(_Like):
    def __init__(self, real: Any, ticking: TickingCamera) -> None:
        super().__init__(real)
        self._ticking = ticking

    def GetDeviceInfo(self) -> Any:  # noqa: N802
        return _Info(self._real.GetDeviceInfo())

    def GetNodeMap(self) -> Any:  # noqa: N802
        return _NodeMap(self._real.GetNodeMap(), self._ticking.tick_hz)

    def RetrieveResult(self, *args: Any) -> Any:  # noqa: N802
        result = self._real.RetrieveResult(*args)
        return _Result(result, *self._ticking.stamp()) if result.IsValid() else result


class _Info(_Like):
    def GetDeviceClass(self) -> str:  # noqa: N802
        return "BaslerGigE"


class _NodeMap(_Like):
    def __init__(self, real: Any, tick_hz: float) -> None:
        super().__init__(real)
        self._tick_hz = tick_hz

    def GetNode(self, name: str) -> Any:  # noqa: N802
        return _Node(self._tick_hz) if name == "GevTimestampTickFrequency" else self._real.GetNode(name)


class _Node:
    def __init__(self, value: float) -> None:
        self._value = value

    def IsReadable(self) -> bool:  # noqa: N802
        return True

    def GetValue(self) -> float:  # noqa: N802
        return self._value


class _Result(_Like):
    def __init__(self, real: Any, block: int, ticks: int) -> None:
        super().__init__(real)
        self._block, self._ticks = block, ticks

    def GetBlockID(self) -> int:  # noqa: N802
        return self._block

    def GetTimeStamp(self) -> int:  # noqa: N802
        return self._ticks
