"""From a posture to a camera frame, at about a millisecond for 320x256."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rigs.simulated import scenery
from rigs.simulated.animal import BODY_LENGTH, EAR_RADIUS, MIDLINE_HALF_WIDTH, Posture
from rigs.simulated.drawing import (
    EAR_SHARE,
    EYE,
    EYE_SIZE,
    FOOT_SIZE,
    FUR,
    FUR_SHARES,
    INNER_EAR,
    NOSE,
    NOSE_SIZE,
    SKIN,
    TAIL_SIZE,
    cast_shadow,
    disc,
    polygon,
    thick_line,
)
from rigs.simulated.galvo import SPOT_RADIUS
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.scene import Scene
from rigs.simulated.scenery import palette
from rigs.simulated.sensor import Sensor
from rt_pose.types import FloatArray


class Renderer:
    """Draws the frames of one camera. Not for several threads at once: it keeps its buffers."""

    def __init__(self, seed: int, camera: str, options: SimulatedOptions, scene: Scene) -> None:
        self._options, self._scene = options, scene
        view, channels = scene.view, options.channels
        self._beam, self._beside_beam, lit = scenery.beam(seed, view, channels, scene.beam)
        self._floor = cv2.multiply(
            scenery.floor(seed, view, channels, options.texture), lit, scale=1 / 255
        ).reshape(lit.shape)
        self._mask = np.empty_like(self._floor)
        self._sensor = Sensor(seed, camera, options, view)

    def draw(self, postures: Sequence[Posture], frame: int, t_ns: int, into: NDArray[np.uint8]) -> None:
        """Draw a frame.

        Parameters
        ----------
        postures
            The animals, in scene units; each lies above those before it.
        frame
            Index of the frame; it chooses the noise.
        t_ns
            Scene time of the frame, ns; it determines the light.
        into
            Buffer (H, W, C) uint8 that is overwritten: C = 1 gray or 3 RGB.
        """
        np.copyto(into, self._floor)
        for posture in postures:
            shadow = self._outline(posture, 1.05) + self._length(0.05)
            cast_shadow(into, shadow, int(self._length(0.06)) | 1, self._mask)
            self._feet(posture, into)
            self._body(posture, into)
            self._head(posture, into)
        cv2.multiply(into, self._beside_beam, dst=into, scale=1 / 255)
        cv2.add(into, self._beam, dst=into)
        self._sensor.expose(frame, t_ns, into)

    def shine(self, places: Sequence[tuple[float, float]], into: NDArray[np.uint8]) -> None:
        """Draw light on a frame that has been drawn; where it falls, the sensor is saturated.

        Parameters
        ----------
        places
            Where it falls, scene units.
        into
            The frame (H, W, C) uint8.
        """
        for xy in places:
            radius = SPOT_RADIUS * self._scene.view.scale
            disc(into, self._pixels(np.array(xy)), radius, (255.0,) * into.shape[2])

    def _pixels(self, xy: FloatArray) -> FloatArray:
        return self._scene.view.pixels(xy)

    def _colour(self, rgb: tuple[float, float, float]) -> tuple[float, ...]:
        return palette(rgb, self._options.channels)

    def _length(self, bodies: float) -> float:
        """Pixels in a number of body lengths."""
        return bodies * BODY_LENGTH * self._scene.view.scale

    def _outline(self, posture: Posture, share: float) -> FloatArray:
        """The body's outline (50, 2) px with its width scaled by `share`."""
        aside = posture.left * (share * MIDLINE_HALF_WIDTH)[:, None]
        return self._pixels(np.concatenate([posture.midline + aside, (posture.midline - aside)[::-1]]))

    def _feet(self, posture: Posture, into: NDArray[np.uint8]) -> None:
        for xy in self._pixels(posture.feet):
            disc(into, xy, self._length(FOOT_SIZE), self._colour(SKIN))

    def _body(self, posture: Posture, into: NDArray[np.uint8]) -> None:
        tail = self._pixels(posture.tail)
        base, end = (self._length(size) for size in TAIL_SIZE)
        polygon(into, thick_line(tail, np.linspace(base, end, len(tail))), self._colour(INNER_EAR))
        for fur, share in zip(FUR, FUR_SHARES, strict=True):
            polygon(into, self._outline(posture, share), self._colour(fur))

    def _head(self, posture: Posture, into: NDArray[np.uint8]) -> None:
        nose, *ears = self._pixels(posture.keypoints[:3])
        for xy in ears:
            disc(into, xy, self._length(EAR_RADIUS), self._colour(FUR[0]))
            disc(into, xy, self._length(EAR_SHARE * EAR_RADIUS), self._colour(INNER_EAR))
        for xy in self._pixels(posture.eyes):
            disc(into, xy, self._length(EYE_SIZE), self._colour(EYE))
        disc(into, nose, self._length(NOSE_SIZE), self._colour(NOSE))
