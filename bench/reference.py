"""The bare engine beside the loop: the same network on a ready tensor, back to back and at the loop's pace.

On a shared machine a reference that was measured minutes away says little. `AlternatingCamera` plays a
recording in blocks, and between them, while the loop has nothing to do, times an engine of its own in the
same process:

    bare | loop | bare | loop | ... | bare          each loop block has a bare one on both sides
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import rigs
from rigs.cameras.video import VideoCamera, VideoOptions
from rigs.waiting import wait_until
from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.drivers import DriverContext, camera_driver
from rt_pose.inference.engine import Engine, open_engine
from rt_pose.package import read_package
from rt_pose.types import CameraInfo, FrameStamps

DRIVER = "alternating"
SETTLE_NS = 100 * NS_PER_MS
"""From the last frame of a block to the first bare forward: the loop still has that frame in its
hands."""
WARM_UP = 3
"""Forwards at the start of each part of a bare block that are not counted."""


@dataclass
class EngineKey:
    """What opens a second engine like the loop's."""

    model: str
    backend: str
    precision: str
    threads: int

    def open(self) -> Engine:
        """Open the engine.

        Returns
        -------
        Engine
            Loaded.

        Raises
        ------
        UserError
            Where it cannot be had.
        """
        package = read_package(self.model)
        return open_engine(self.backend, package.path, package.manifest.input, self.precision, self.threads)


@dataclass
class BareBlock:
    """Times of the bare engine in one interval."""

    t_start_ns: int
    t_end_ns: int
    paced_ms: list[float]
    """ms; one forward a period, asleep in between: what the pace alone costs."""
    back_to_back_ms: list[float]
    """ms; one after the other: the bare forward of the definition of overhead."""


class BareEngine:
    """An engine and a ready tensor."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Make a ready tensor for an engine.

        Parameters
        ----------
        engine
            Loaded.
        clock
            Times the forwards.
        """
        self._forward, self._clock = engine.ready(), clock

    def block(
        self, rate_hz: float, paced_s: float, back_to_back_s: float, stopped: threading.Event
    ) -> BareBlock:
        """Time forwards, first paced and then back to back.

        Parameters
        ----------
        rate_hz
            Rate of the paced part, forwards/s.
        paced_s, back_to_back_s
            Length of the parts, s.
        stopped
            Ends both early when it is set.

        Returns
        -------
        BareBlock
            The times, without those of the warm-up.
        """
        start = self._clock.now_ns()
        paced = self._paced(rate_hz, paced_s, stopped)
        close_by = self._back_to_back(back_to_back_s, stopped)
        return BareBlock(start, self._clock.now_ns(), paced[WARM_UP:], close_by[WARM_UP:])

    def _paced(self, rate_hz: float, seconds: float, stopped: threading.Event) -> list[float]:
        t0 = self._clock.now_ns()
        found: list[float] = []
        for i in range(round(rate_hz * seconds) + WARM_UP):
            if not wait_until(self._clock, t0 + round(i * NS_PER_S / rate_hz), stopped):
                break
            found.append(self._forward_ms())
        return found

    def _back_to_back(self, seconds: float, stopped: threading.Event) -> list[float]:
        end = self._clock.now_ns() + round(seconds * NS_PER_S)
        found: list[float] = []
        while (len(found) <= WARM_UP or self._clock.now_ns() < end) and not stopped.is_set():
            found.append(self._forward_ms())
        return found

    def _forward_ms(self) -> float:
        start = self._clock.now_ns()
        self._forward()
        return (self._clock.now_ns() - start) / NS_PER_MS


@dataclass
class AlternatingOptions(VideoOptions):
    """A recording in blocks, and the engine that is timed between them."""

    engine: EngineKey = field(default_factory=lambda: EngineKey("", "", "", 0))
    """The engine to time."""
    blocks: int = 1
    """Blocks of frames."""
    block_frames: int = 1
    """Frames a block."""
    paced_s: float = 2.0
    """Length of a bare block's paced part."""
    back_to_back_s: float = 0.5
    """Length of its part without pauses."""
    results: str = ""
    """File for the bare blocks, written when the camera is closed."""


class AlternatingCamera(VideoCamera):
    """The video camera with pauses in which the bare engine is timed. Ends after its last bare block."""

    Options: ClassVar[type] = AlternatingOptions

    def __init__(self, name: str, options: AlternatingOptions, context: DriverContext) -> None:
        """See `VideoCamera`."""
        super().__init__(name, options, context)
        self._plan, self._rate_hz = options, options.rate_hz or 0.0
        self._bare: BareEngine | None = None
        self._taken: list[BareBlock] = []
        self._left = 0
        """Frames of the current block that are still to come."""

    def open(self) -> CameraInfo:
        """See `Camera.open`."""
        info = super().open()
        self._rate_hz = info.rate_hz or self._rate_hz
        self._bare, self._taken, self._left = BareEngine(self._plan.engine.open(), self._clock), [], 0
        return info

    def grab(self, into: NDArray[np.uint8]) -> FrameStamps | None:
        """See `Camera.grab`."""
        if self._left == 0:
            self._time_the_engine()
            if len(self._taken) > self._plan.blocks:
                return None
            self._left = self._plan.block_frames
            self.resume()
        self._left -= 1
        return super().grab(into)

    def close(self) -> None:
        """See `Camera.close`."""
        super().close()
        if self._taken:
            blocks = [asdict(block) for block in self._taken]
            Path(self._plan.results).write_text(json.dumps(blocks), encoding="utf-8")
            self._taken = []

    def _time_the_engine(self) -> None:
        assert self._bare is not None
        if wait_until(self._clock, self._clock.now_ns() + SETTLE_NS, self._stopped):
            plan = self._plan
            self._taken.append(
                self._bare.block(self._rate_hz, plan.paced_s, plan.back_to_back_s, self._stopped)
            )


def register() -> None:
    """Register the drivers of `rigs`, and this one, in the loop's process of a benchmark."""
    rigs.register()
    camera_driver(DRIVER)(AlternatingCamera)


def read_blocks(path: Path) -> list[BareBlock]:
    """Read what an `AlternatingCamera` wrote.

    Parameters
    ----------
    path
        Its `results`.

    Returns
    -------
    list[BareBlock]
        In order of time.
    """
    return [BareBlock(**block) for block in json.loads(path.read_text(encoding="utf-8"))]


def pooled(blocks: list[BareBlock], part: str) -> list[float]:
    """Collect the times of all blocks.

    Parameters
    ----------
    blocks
        The blocks.
    part
        `paced_ms` or `back_to_back_ms`.

    Returns
    -------
    list[float]
        ms.
    """
    return [ms for block in blocks for ms in getattr(block, part)]


def neighbouring_p50(blocks: list[BareBlock], t_ns: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """Get the bare engine's median around each time.

    Parameters
    ----------
    blocks
        In order of time.
    t_ns
        (F,) host times, ns.
    part
        `paced_ms` or `back_to_back_ms`.

    Returns
    -------
    NDArray[np.float64]
        (F,) mean of the medians of the block before and of the one after, ms.
    """
    medians = np.array([np.median(getattr(block, part)) for block in blocks])
    starts = np.array([block.t_start_ns for block in blocks], np.float64)
    after = np.clip(np.searchsorted(starts, t_ns), 1, len(blocks) - 1) if len(blocks) > 1 else 0
    before: Any = np.maximum(after - 1, 0)
    found: NDArray[np.float64] = np.broadcast_to((medians[before] + medians[after]) / 2, t_ns.shape)
    return found
