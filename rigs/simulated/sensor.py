"""What a simulated camera does to every picture: its lens, changing light, and noise of its own."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from rigs.hashing import angle, hash64
from rigs.simulated import scenery
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.scene import View
from rigs.simulated.scenery import LIGHT_UNIT
from rt_pose.clock import NS_PER_S

_SPARE = 64
"""By how many pixels the noise bank is larger than a frame."""
_LIGHT_OMEGAS = (0.37, 0.83)


class Sensor:
    """The last steps of a frame. Not for several threads at once: it keeps its buffers."""

    def __init__(self, seed: int, camera: str, options: SimulatedOptions, view: View) -> None:
        self._seed, self._camera, self._options = seed, camera, options
        self._lights = [
            np.ascontiguousarray(np.repeat(field[:, :, None], options.channels, axis=2))
            for field in scenery.light_fields(view)
        ]
        self._light = np.empty_like(self._lights[0])
        self._noise = scenery.noise_bank(
            seed, camera, view.height + _SPARE, view.width + _SPARE, options.channels, options.noise
        )
        self._light_phases = [angle(seed, "light", i) for i in range(3)]

    def expose(self, frame: int, t_ns: int, into: NDArray[np.uint8]) -> None:
        """Make a frame of a picture in plain light.

        Parameters
        ----------
        frame
            Index of the frame; it chooses the noise.
        t_ns
            Scene time of the frame, ns; it determines the light.
        into
            The picture (H, W, C) uint8, which becomes the frame.
        """
        cv2.GaussianBlur(into, (3, 3), 0.7, dst=into)  # the lens
        self._lighten(t_ns / NS_PER_S, into)
        self._add_noise(frame, into)

    def _lighten(self, t_s: float, into: NDArray[np.uint8]) -> None:
        swell = sum(
            math.sin(omega * t_s + phase)
            for omega, phase in zip(_LIGHT_OMEGAS, self._light_phases, strict=False)
        )
        level = 1.0 + self._options.light * swell / len(_LIGHT_OMEGAS)
        tilt = 0.5 + 0.5 * math.sin(0.21 * t_s + self._light_phases[2])
        cv2.addWeighted(
            self._lights[0], level * tilt, self._lights[1], level * (1.0 - tilt), 0.0, dst=self._light
        )
        cv2.multiply(into, self._light, dst=into, scale=1 / LIGHT_UNIT)

    def _add_noise(self, frame: int, into: NDArray[np.uint8]) -> None:
        place = hash64(self._seed, "noise", self._camera, frame)
        top, left = place % _SPARE, (place >> 32) % _SPARE
        height, width = into.shape[:2]
        cv2.add(into, self._noise[top : top + height, left : left + width], dst=into, dtype=cv2.CV_8U)
