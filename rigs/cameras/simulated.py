"""The simulated camera: frames of a rendered animal at real-time pace, with exact truth."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from rigs.faults import Faults
from rigs.frame_stamps import FrameStamper
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.world import World
from rigs.waiting import AHEAD_SHARE, wait_until
from rt_pose.clock import NS_PER_S
from rt_pose.drivers import CameraFault, DriverContext, FoundDevice, camera_driver
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FloatArray, FrameStamps

if TYPE_CHECKING:
    from rigs.simulated.picture import Picture

TICK_HZ = 1e9
"""Of the clock of a camera that has one."""


@camera_driver("simulated")
class SimulatedCamera:
    """Frame i shows the world at i / rate on its clock, and is handed over at that time.

    It is rendered within the period before. Where the reader is late by more than a period, frames are
    skipped and the index jumps, as with a camera whose buffer overflows.
    """

    Options: ClassVar[type] = SimulatedOptions
    contract: ClassVar[int] = 2

    def __init__(self, name: str, options: SimulatedOptions, context: DriverContext) -> None:
        options.check(f"cameras.{name}.options")
        self._name, self._options = name, options
        self._clock = context.clock
        self._seed = context.seed if options.seed is None else options.seed
        self._faults = Faults(options.faults, self._seed, name, f"cameras.{name}.options")
        self._world = World.of(context, options.world)
        self._stopped = threading.Event()
        self._picture: Picture | None = None
        self._started_ns: int | None = None
        """Host time of the first start, from which the unplugging counts."""
        self._stamper: FrameStamper | None = None
        """Of a camera with a clock of its own."""
        self._next = 0
        self._held_ns = 0
        """How much later than its exposure the last frame was to be handed over, by a fault."""

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`."""
        return [FoundDevice("simulated", "", "rendered animal with known truth")]

    def open(self) -> CameraInfo:
        """See `Camera.open`."""
        from rigs.simulated.picture import make_picture

        self.close()
        options = self._options
        if self._is_gone(self._clock.now_ns()):
            raise UserError(f"cameras.{self._name}: it is unplugged (disconnect_s {options.disconnect_s:g})")
        picture = make_picture(self._seed, self._name, options)
        in_space = options.view is not None
        self._world.attach(self._name, self._seed, picture.timing, options.animals, in_space)
        self._picture = picture
        drift = options.drift_ppm
        self._stamper = None if drift is None else FrameStamper(self._clock, tick_hz=TICK_HZ)
        self._next = self._held_ns = 0
        self._stopped.clear()
        return CameraInfo(
            name=self._name,
            driver="simulated",
            serial=f"seed {self._seed}",
            width=options.width,
            height=options.height,
            channels=options.channels,
            rate_hz=options.rate_hz,
            exposure_source="host" if options.drift_ppm is None else "device",
            tick_hz=None if options.drift_ppm is None else TICK_HZ,
        )

    def arm(self) -> None:
        """See `Camera.arm`. Nothing to do."""

    def start(self) -> None:
        """See `Camera.start`. The first `grab` begins."""
        if self._started_ns is None:
            self._started_ns = self._clock.now_ns()

    def grab(self, into: NDArray[np.uint8]) -> FrameStamps | None:
        """See `Camera.grab`."""
        if self._picture is None:
            raise CameraFault(f"camera {self._name}: it is not open")
        epoch_ns = self._world.epoch_ns(self._clock)
        # A delay that was injected is the transport's: behind it frames wait, they are not skipped.
        frame = self._due(self._clock.now_ns() - epoch_ns - self._held_ns)
        t_ns = self._options.scene_time_ns(frame)
        options, duration_s = self._options, self._options.duration_s
        if self._stopped.is_set() or (duration_s is not None and t_ns >= duration_s * NS_PER_S):
            return None
        begin_ns = epoch_ns + t_ns - round(AHEAD_SHARE * NS_PER_S / self._options.rate_hz)
        if not wait_until(self._clock, begin_ns, self._stopped):
            return None
        self._picture.draw(frame, t_ns, self._world.reactions(), into)
        if not wait_until(self._clock, epoch_ns + t_ns + self._delay_ns(frame, t_ns), self._stopped):
            return None
        if options.led is not None and self._world.led.is_on(epoch_ns + t_ns):
            options.led.draw(into)
        self._picture.shine(self._world.lit(t_ns // 1000), into)  # only now is it known what is lit then
        self._next = frame + 1
        if self._is_gone(self._clock.now_ns()):
            raise CameraFault(f"camera {self._name}: it was unplugged (disconnect_s)")
        if self._stamper is not None:
            return msgspec.structs.replace(self._stamper.stamp(frame, self._ticks(t_ns)), index=frame)
        return FrameStamps(
            index=frame,
            t_exposure_ns=epoch_ns + t_ns,
            t_arrival_ns=self._clock.now_ns(),
            t_scene_ns=epoch_ns + t_ns,
        )

    def clock_summary(self) -> dict[str, Any]:
        """See `ClockedCamera.clock_summary`."""
        return {} if self._stamper is None else self._stamper.summary()

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:
        """See `Camera.truth`. It is exact: whatever can change a frame is known when it is handed over."""
        if self._picture is None:
            return None
        return self._picture.truth(self._options.scene_time_ns(index), self._world.reactions())

    def truth_in_space(self, index: int) -> FloatArray | None:
        """See `CameraInSpace.truth_in_space`."""
        if self._picture is None:
            return None
        return self._picture.places(self._options.scene_time_ns(index), self._world.reactions())

    def stop(self) -> None:
        """See `Camera.stop`."""
        self._stopped.set()

    def close(self) -> None:
        """See `Camera.close`."""
        if self._picture is not None:
            self._world.detach()
        self._picture = None

    def _is_gone(self, now_ns: int) -> bool:
        if self._options.disconnect_s is None or self._started_ns is None:
            return False
        since_s = (now_ns - self._started_ns) / NS_PER_S - self._options.disconnect_s
        return 0.0 <= since_s < self._options.gone_s

    def _ticks(self, t_ns: int) -> int:
        """The camera's own clock at a time of the world's."""
        assert self._options.drift_ppm is not None
        return round(t_ns * (1.0 + self._options.drift_ppm * 1e-6) * TICK_HZ / NS_PER_S)

    def _delay_ns(self, frame: int, t_ns: int) -> int:
        """Injected delay of a frame; in order: it cannot overtake the late one before it."""
        behind_ns = self._options.scene_time_ns(self._next - 1) + self._held_ns - t_ns
        self._held_ns = max(self._faults.delay_ns(frame), behind_ns)
        return self._held_ns

    def _due(self, t_ns: int) -> int:
        """The frame to hand over next at a time of the world's clock."""
        exposed = int(t_ns * self._options.rate_hz / NS_PER_S)
        frame = max(self._next, exposed)
        while frame and self._faults.drops(frame):
            frame += 1
        return frame
