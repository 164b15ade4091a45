"""The stamps of a real camera's frames: its counter unwrapped, its clock mapped to the host's."""

from __future__ import annotations

from typing import Any

import numpy as np

from rigs.camera_clock import CameraClock
from rigs.counters import advance
from rt_pose.clock import Clock
from rt_pose.types import FrameStamps

PERCENTILES = {"p50": 50, "p90": 90, "p99": 99, "max": 100}


class FrameStamper:
    """Makes the `FrameStamps` of one camera, in the order in which its frames come.

    For a driver: one is made in `open`, `stamp` is called for every frame that `grab` hands over, `restart`
    after a reconnection. It is used from the thread that calls `grab`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tick_hz: float | None,
        exposure_ns: int = 0,
        counter_modulo: int | None = None,
        counter_first: int = 0,
        delay_ns: int = 0,
        tick_modulo: int | None = None,
    ) -> None:
        """Begin without a frame.

        Parameters
        ----------
        clock
            The host clock.
        tick_hz
            Ticks a second of the device's clock; None where it has none.
        exposure_ns
            Length of the exposure, ns: its middle is half of that before its end.
        counter_modulo
            One more than the highest number that the device's frame counter takes (65536 for 16 bits); None
            for one that never begins again.
        counter_first
            The number that comes after the highest (1 for the block numbers of GigE Vision).
        delay_ns
            From the end of the exposure to the arrival by the fastest journey, ns, where it is known.
        tick_modulo
            After how many ticks the device's clock begins again; None for 64 bits.
        """
        self._clock = clock
        self._camera_clock = CameraClock(tick_hz, tick_modulo) if tick_hz else None
        self._counter_period = None if counter_modulo is None else counter_modulo - counter_first
        self.exposure_ns, self.delay_ns = exposure_ns, delay_ns
        """Both may be changed while frames come, by a driver that reads them of each frame."""
        self._counter: int | None = None
        self._index = -1
        self._t_scene_ns: int | None = None
        self._restarts = self._counter_resets = self._lost = self._without_ticks = 0

    def stamp(self, counter: int | None, ticks: int | None, arrival_ns: int | None = None) -> FrameStamps:
        """Return the stamps of the next frame.

        Parameters
        ----------
        counter
            The device's frame counter; None where it has none: then frames are counted.
        ticks
            The device's clock at the frame; at which moment of it does not matter, as long as it is always
            the same. None where it gives none.
        arrival_ns
            Host time at which the frame was there, ns; now where it is not given.

        Returns
        -------
        FrameStamps
            `index` begins at 0, and a gap in it is frames that the device lost; `t_exposure_ns` is None where
            there are no ticks; `t_scene_ns` rises strictly.
        """
        arrival_ns = self._clock.now_ns() if arrival_ns is None else arrival_ns
        self._count(counter)
        mapped_ns = None
        if self._camera_clock is not None and ticks is not None:
            mapped_ns = self._camera_clock.host_ns(ticks, arrival_ns)
        exposure_ns = None if mapped_ns is None else mapped_ns - self.delay_ns - self.exposure_ns // 2
        self._without_ticks += exposure_ns is None
        scene_ns = arrival_ns if exposure_ns is None else exposure_ns
        if self._t_scene_ns is not None and scene_ns <= self._t_scene_ns:
            scene_ns = self._t_scene_ns + 1
        self._t_scene_ns = scene_ns
        return FrameStamps(
            index=self._index,
            t_exposure_ns=None if exposure_ns is None else scene_ns,
            t_arrival_ns=arrival_ns,
            t_scene_ns=scene_ns,
            clock_error_ns=0 if exposure_ns is None else self._error_ns(scene_ns - exposure_ns),
            epoch=self.epoch,
            t_device_ticks=ticks,
        )

    def index_of(self, counter: int | None) -> int | None:
        """Compute which index a frame has that was begun and is not handed over.

        Parameters
        ----------
        counter
            The device's frame counter; None where it has none.

        Returns
        -------
        int or None
            As of `FrameStamps`, less than the last one's where it is told late; None where it is not known,
            without a counter and before the first frame.
        """
        if counter is None or self._counter is None or counter == self._counter:
            return None
        index = self._index + self._gone(counter)
        return index if index >= 0 else None

    def restart(self) -> None:
        """Begin anew with the device's counter and clock, after a reconnection; `index` goes on."""
        self._restarts += 1
        self._counter = None
        if self._camera_clock is not None:
            self._camera_clock.begin_anew()

    @property
    def epoch(self) -> int:
        """How often the camera came back or set its clock."""
        return self._restarts + (0 if self._camera_clock is None else self._camera_clock.resets)

    def summary(self) -> dict[str, Any]:
        """Sum up what is known of counter and clock, for the session.

        Returns
        -------
        dict[str, Any]
            `exposure` says "device" or "unavailable"; with a clock also `slope_ppm`, the present bound
            `error_us` and the percentiles of `residual_us`, by which frames came later than the fastest.
        """
        counted = {
            "frames": self._index + 1 - self._lost,
            "lost": self._lost,
            "restarts": self._restarts,
            "counter_resets": self._counter_resets,
        }
        clock = self._camera_clock
        if clock is None or not clock.frames:
            return {"exposure": "unavailable", **counted}
        residuals_us = clock.residuals_ns() / 1000.0
        return {
            "exposure": "device",
            **counted,
            "without_ticks": self._without_ticks,
            "clock_resets": clock.resets,
            "tick_hz": clock.tick_hz,
            "slope_ppm": round(clock.slope_ppm, 3),
            "error_us": round(clock.error_ns / 1000.0, 1),
            "residual_us": {
                name: round(float(np.percentile(residuals_us, share)), 1)
                for name, share in PERCENTILES.items()
            },
        }

    def _error_ns(self, moved_ns: int) -> int:
        assert self._camera_clock is not None
        return self._camera_clock.error_ns + moved_ns

    def _count(self, counter: int | None) -> None:
        """Let the index go on by what the device's counter has gone on."""
        gone = 1 if counter is None or self._counter is None else self._gone(counter)
        if gone <= 0:  # the device has begun to count anew
            self._counter_resets += 1
            gone = 1
        self._counter = counter
        self._index += gone
        self._lost += gone - 1

    def _gone(self, counter: int) -> int:
        """By how much the device's counter has gone on since the last frame."""
        assert self._counter is not None
        period = self._counter_period
        return counter - self._counter if period is None else advance(counter, self._counter, period)
