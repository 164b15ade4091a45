"""From a posture to a camera frame, at about a millisecond for 320x256."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rigs.hashing import angle, hash64
from rigs.simulated import scenery
from rigs.simulated.animal import BODY_LENGTH, EAR_RADIUS, MIDLINE_HALF_WIDTH, Posture
from rigs.simulated.galvo import SPOT_RADIUS
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.scene import Scene
from rigs.simulated.scenery import LIGHT_UNIT, SHIFT, fixed, palette
from rt_pose.clock import NS_PER_S
from rt_pose.types import FloatArray

FUR = ((52.0, 44.0, 40.0), (62.0, 53.0, 48.0), (76.0, 66.0, 59.0), (88.0, 77.0, 69.0), (98.0, 86.0, 77.0))
"""From the flank to the back."""
SKIN, INNER_EAR, EYE, NOSE = (
    (190.0, 150.0, 140.0),
    (150.0, 112.0, 104.0),
    (12.0, 12.0, 14.0),
    (214.0, 150.0, 148.0),
)

_SPARE = 64
"""By how many pixels the noise bank is larger than a frame."""
_LIGHT_OMEGAS = (0.37, 0.83)


class Renderer:
    """Draws the frames of one camera. Not for several threads at once: it keeps its buffers."""

    def __init__(self, seed: int, camera: str, options: SimulatedOptions, scene: Scene) -> None:
        self._seed, self._camera = seed, camera
        self._options, self._scene = options, scene
        view, channels = scene.view, options.channels
        self._beam, self._beside_beam, lit = scenery.beam(seed, view, channels, scene.beam)
        self._floor = cv2.multiply(
            scenery.floor(seed, view, channels, options.texture), lit, scale=1 / 255
        ).reshape(lit.shape)
        self._lights = [
            np.ascontiguousarray(np.repeat(field[:, :, None], channels, axis=2))
            for field in scenery.light_fields(view)
        ]
        self._light = np.empty_like(self._floor)
        self._mask = np.empty_like(self._floor)
        self._noise = scenery.noise_bank(
            seed, camera, view.height + _SPARE, view.width + _SPARE, channels, options.noise
        )
        self._light_phases = [angle(seed, "light", i) for i in range(3)]

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
            self._shadow(posture, into)
            self._feet(posture, into)
            self._body(posture, into)
            self._head(posture, into)
        cv2.multiply(into, self._beside_beam, dst=into, scale=1 / 255)
        cv2.add(into, self._beam, dst=into)
        cv2.GaussianBlur(into, (3, 3), 0.7, dst=into)  # the lens
        self._lighten(t_ns / NS_PER_S, into)
        self._add_noise(frame, into)

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
            self._disc(into, self._pixels(np.array(xy)), radius, (255.0,) * into.shape[2])

    def _pixels(self, xy: FloatArray) -> FloatArray:
        return self._scene.view.pixels(xy)

    def _colour(self, rgb: tuple[float, float, float]) -> tuple[float, ...]:
        return palette(rgb, self._options.channels)

    def _length(self, bodies: float) -> float:
        """Pixels in a number of body lengths."""
        return bodies * BODY_LENGTH * self._scene.view.scale

    def _polygon(self, into: NDArray[np.uint8], xy_px: FloatArray, colour: Sequence[float]) -> None:
        cv2.fillPoly(into, [fixed(xy_px)], colour, cv2.LINE_AA, SHIFT)

    def _disc(
        self, into: NDArray[np.uint8], xy_px: FloatArray, radius_px: float, colour: Sequence[float]
    ) -> None:
        radius = max(1, round(radius_px * (1 << SHIFT)))
        cv2.circle(into, fixed(xy_px).tolist(), radius, colour, -1, cv2.LINE_AA, SHIFT)

    def _outline(self, posture: Posture, share: float) -> FloatArray:
        """The body's outline (50, 2) px with its width scaled by `share`."""
        aside = posture.left * (share * MIDLINE_HALF_WIDTH)[:, None]
        return self._pixels(np.concatenate([posture.midline + aside, (posture.midline - aside)[::-1]]))

    def _shadow(self, posture: Posture, into: NDArray[np.uint8]) -> None:
        outline = self._outline(posture, 1.05) + self._length(0.05)
        reach = int(self._length(0.06)) | 1
        height, width = into.shape[:2]
        left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int) - reach, 0)
        right, bottom = np.ceil(outline.max(axis=0)).astype(int) + reach
        right, bottom = min(right, width), min(bottom, height)
        if right <= left or bottom <= top:
            return
        mask, patch = self._mask[top:bottom, left:right], into[top:bottom, left:right]
        mask[:] = 255
        self._polygon(mask, outline - (left, top), (140.0,) * into.shape[2])
        cv2.blur(mask, (reach, reach), dst=mask)
        cv2.multiply(patch, mask, dst=patch, scale=1 / 255)

    def _feet(self, posture: Posture, into: NDArray[np.uint8]) -> None:
        for xy in self._pixels(posture.feet):
            self._disc(into, xy, self._length(0.042), self._colour(SKIN))

    def _body(self, posture: Posture, into: NDArray[np.uint8]) -> None:
        tail = self._pixels(posture.tail)
        step = np.gradient(tail, axis=0)
        normal = np.stack([step[:, 1], -step[:, 0]], axis=1) / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
        aside = normal * np.linspace(self._length(0.035), self._length(0.009), len(tail))[:, None]
        self._polygon(into, np.concatenate([tail + aside, (tail - aside)[::-1]]), self._colour(INNER_EAR))
        for fur, share in zip(FUR, (1.0, 0.82, 0.64, 0.46, 0.26), strict=True):
            self._polygon(into, self._outline(posture, share), self._colour(fur))

    def _head(self, posture: Posture, into: NDArray[np.uint8]) -> None:
        nose, *ears = self._pixels(posture.keypoints[:3])
        for xy in ears:
            self._disc(into, xy, self._length(EAR_RADIUS), self._colour(FUR[0]))
            self._disc(into, xy, self._length(0.65 * EAR_RADIUS), self._colour(INNER_EAR))
        for xy in self._pixels(posture.eyes):
            self._disc(into, xy, self._length(0.020), self._colour(EYE))
        self._disc(into, nose, self._length(0.024), self._colour(NOSE))

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
