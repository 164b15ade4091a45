"""From a posture in space to the frame of a camera with a perspective, at about two milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rigs.simulated import scenery
from rigs.simulated.animal import EAR_RADIUS
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
from rigs.simulated.path import ARENA
from rigs.simulated.scene import View
from rigs.simulated.scenery import WALL, palette
from rigs.simulated.sensor import Sensor
from rigs.simulated.solid import BALLS_MM, BODY_MM, MM, SolidPosture, on_floor, on_plan
from rigs.simulated.solid_scene import SolidScene
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera

_RAISED = 0.5
"""Of a ball's radius: how much higher its lightest tone lies, for the light comes from above."""
_SHARES = np.array(FUR_SHARES)[:, None]
_OUTSIDE = -10.0
"""A place that no floor has, in pixels of its plan."""


_FOOT = ((FOOT_SIZE, SKIN),)
_EAR = ((EAR_RADIUS, FUR[0]), (EAR_SHARE * EAR_RADIUS, INNER_EAR))
_FEATURES: tuple[tuple[tuple[float, tuple[float, float, float]], ...], ...] = (
    *(_FOOT, _FOOT, _FOOT, _FOOT),
    *(_EAR, _EAR),
    *(((EYE_SIZE, EYE),), ((EYE_SIZE, EYE),)),
    ((NOSE_SIZE, NOSE),),
)
"""Discs (radius in body lengths, colour) of feet, ears, eyes and nose."""


class SolidRenderer:
    """Draws the frames of one camera in space. Not for several threads at once: it keeps its buffers."""

    def __init__(self, seed: int, camera: str, options: SimulatedOptions, scene: SolidScene) -> None:
        self._scene, self._camera = scene, scene.camera
        self._eye, self._focal = scene.camera.position, float(scene.camera.focal.mean())
        self._channels = options.channels
        self._floor = _floor_seen(seed, scene.camera, options)
        self._mask = np.empty_like(self._floor)
        self._sensor = Sensor(seed, camera, options, scene.view)

    def draw(self, postures: Sequence[SolidPosture], frame: int, t_ns: int, into: NDArray[np.uint8]) -> None:
        """Draw a frame.

        Parameters
        ----------
        postures
            The animals, in mm.
        frame
            Index of the frame; it chooses the noise.
        t_ns
            Scene time of the frame, ns; it determines the light.
        into
            Buffer (H, W, C) uint8 that is overwritten: C = 1 gray or 3 RGB.
        """
        np.copyto(into, self._floor)
        far_first = sorted(postures, key=lambda posture: -self._distance(posture.midline[12]))
        for posture in far_first:
            self._shadow(posture, into)
        for posture in far_first:
            self._animal(posture, into)
        self._sensor.expose(frame, t_ns, into)

    def shine(self, places: Sequence[tuple[float, float]], into: NDArray[np.uint8]) -> None:
        """Draw light on a frame that has been drawn; where it falls, the sensor is saturated.

        Parameters
        ----------
        places
            Where it falls on the floor, scene units.
        into
            The frame (H, W, C) uint8.
        """
        for xy in places:
            (spot,), (scale,) = self._seen(np.append(on_floor(np.array(xy)), 0.0)[None])
            if np.isfinite(spot).all():
                disc(into, spot, SPOT_RADIUS * MM * scale, (255.0,) * self._channels)

    def _distance(self, xyz: FloatArray) -> float:
        return float(np.linalg.norm(xyz - self._eye))

    def _seen(self, xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixels (..., 2) of points, and pixels a mm there (...)."""
        xy, _, local = self._camera.project_with_derivative(xyz)
        return xy, self._focal / local[..., 2]

    def _colour(self, rgb: tuple[float, float, float]) -> tuple[float, ...]:
        return palette(rgb, self._channels)

    def _shadow(self, posture: SolidPosture, into: NDArray[np.uint8]) -> None:
        below = posture.midline * (1.0, 1.0, 0.0)
        xy, scale = self._seen(below)
        outline = thick_line(xy, 1.1 * BALLS_MM * scale)
        cast_shadow(into, outline, int(0.08 * BODY_MM * float(scale.mean())) | 1, self._mask)

    def _animal(self, posture: SolidPosture, into: NDArray[np.uint8]) -> None:
        """What the body hides is drawn before it, the rest after it, each from far to near."""
        centres = np.concatenate([posture.feet, posture.keypoints[1:3], posture.eyes, posture.keypoints[:1]])
        hidden = posture.hides(self._eye, centres)
        xy, scale = self._seen(centres)
        order = np.argsort(scale)
        tail_first = self._distance(posture.tail[4]) > self._distance(posture.midline[16])
        self._features([i for i in order if hidden[i]], xy, scale, into)
        if tail_first:
            self._tail(posture, into)
        self._trunk(posture, into)
        if not tail_first:
            self._tail(posture, into)
        self._features([i for i in order if not hidden[i]], xy, scale, into)

    def _features(
        self, which: Sequence[int], xy: FloatArray, scale: FloatArray, into: NDArray[np.uint8]
    ) -> None:
        """Four feet, two ears, two eyes, the nose: those that are asked for, in this order."""
        for i in which:
            for size, rgb in _FEATURES[i]:
                disc(into, xy[i], size * BODY_MM * scale[i], self._colour(rgb))

    def _tail(self, posture: SolidPosture, into: NDArray[np.uint8]) -> None:
        xy, scale = self._seen(posture.tail)
        half_width = np.linspace(*TAIL_SIZE, len(xy)) * BODY_MM * scale
        polygon(into, thick_line(xy, half_width), self._colour(INNER_EAR))

    def _trunk(self, posture: SolidPosture, into: NDArray[np.uint8]) -> None:
        """Balls along the midline, tone by tone: each smaller, higher and lighter than the one before."""
        raised = np.zeros((len(FUR), *posture.midline.shape))
        raised[..., 2] = _RAISED * (1.0 - _SHARES) * BALLS_MM
        xy, scale = self._seen(posture.midline + raised)
        radii = _SHARES * BALLS_MM * scale
        far_first = np.argsort(scale[0])
        for tone, rgb in enumerate(FUR):
            colour = self._colour(rgb)
            for i in far_first:
                disc(into, xy[tone, i], radii[tone, i], colour)


def _floor_seen(seed: int, camera: CalibratedCamera, options: SimulatedOptions) -> NDArray[np.uint8]:
    """The arena without animals, as a camera sees it (H, W, C)."""
    width, height = camera.size
    plan = View(round(ARENA[0] * height), height)
    floor = scenery.floor(seed, plan, options.channels, options.texture)
    px = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    ideal = camera.undistort(px)
    ray = np.concatenate([ideal, np.ones((height, width, 1))], axis=-1) @ camera.rotation_matrix
    with np.errstate(all="ignore"):
        reach = -camera.position[2] / ray[..., 2]
        met = camera.position[:2] + reach[..., None] * ray[..., :2]  # of the plane of the floor
    known = np.isfinite(met).all(axis=-1) & (reach > 0)
    place = np.where(known[..., None], plan.pixels(on_plan(met)), _OUTSIDE)
    place = np.clip(place, _OUTSIDE, 10 * plan.width).astype(np.float32)
    seen = cv2.remap(
        floor,
        place[..., 0],
        place[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=palette(WALL, options.channels),
    )
    return np.ascontiguousarray(seen.reshape(height, width, options.channels))
