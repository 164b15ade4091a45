"""What does not move: the arena's floor and walls, the beam, the light's distribution, the sensor's noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rigs.hashing import hash64
from rigs.simulated.path import ARENA
from rigs.simulated.scene import Beam, View
from rt_pose.types import FloatArray

FLOOR = (176.0, 164.0, 146.0)
WALL = (70.0, 72.0, 78.0)
BEAM = (112.0, 84.0, 60.0)
LIGHT_UNIT = 128
"""Value of a light field that leaves a colour as it is."""

SHIFT = 6
"""Fraction bits of the coordinates handed to OpenCV, whose integers are pixel centres."""

_WALL_WIDTH = 0.025
_LUMA = np.array([0.299, 0.587, 0.114])


def fixed(xy: FloatArray) -> NDArray[np.int32]:
    """Convert pixel coordinates to OpenCV's fixed point.

    Parameters
    ----------
    xy
        Coordinates (..., 2), px.

    Returns
    -------
    NDArray
        int32 (..., 2) with `SHIFT` fraction bits.
    """
    return np.rint(xy * (1 << SHIFT)).astype(np.int32)


def palette(colour: tuple[float, float, float], channels: int) -> tuple[float, ...]:
    """Return a colour as the camera sees it.

    Parameters
    ----------
    colour
        Red, green, blue; 0..255.
    channels
        1 gray, 3 RGB.

    Returns
    -------
    tuple of float
        The colour itself, or its luma alone (ITU-R BT.601 weights).
    """
    return colour if channels == 3 else (float(_LUMA @ np.array(colour)),)


def floor(seed: int, view: View, channels: int, texture: float) -> NDArray[np.uint8]:
    """Draw the arena from above in plain light, without the animal and the beam.

    Parameters
    ----------
    seed
        Seed of the scene.
    view
        Size of the frame and where the arena lies in it.
    channels
        C: 1 gray, 3 RGB.
    texture
        Contrast of the floor; 0 is even, 1 is bedding.

    Returns
    -------
    NDArray
        Image (H, W, C) uint8.
    """
    generator = np.random.default_rng(hash64(seed, "floor"))
    relief = np.zeros((view.height, view.width))
    for cells, contrast in ((6, 7.0), (18, 6.0), (60, 8.0), (130, 10.0)):
        coarse = generator.standard_normal((round(cells * 0.8) + 1, cells + 1))
        relief += contrast * cv2.resize(coarse, (view.width, view.height), interpolation=cv2.INTER_CUBIC)
    _scatter_straw(relief, generator, view)
    image = np.asarray(palette(FLOOR, channels)) + texture * relief[:, :, None]
    edge = np.array([[0.0, 0.0], [ARENA[0], 0.0], list(ARENA), [0.0, ARENA[1]]])
    inner = edge + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * _WALL_WIDTH
    inside = np.zeros((view.height, view.width), np.uint8)
    cv2.fillConvexPoly(inside, fixed(view.pixels(inner)), 255, cv2.LINE_AA, SHIFT)
    # The wall's shadow fades towards the middle of the floor.
    shade = cv2.blur(inside, (max(3, int(0.05 * view.scale)) | 1,) * 2).astype(np.float64) / 255.0
    share = (inside / 255.0)[:, :, None]
    wall = np.asarray(palette(WALL, channels)) + 0.3 * texture * relief[:, :, None]
    image = share * image * (0.55 + 0.45 * shade[:, :, None]) + (1.0 - share) * wall
    return np.ascontiguousarray(np.clip(image, 0.0, 255.0).astype(np.uint8))


def _scatter_straw(relief: FloatArray, generator: np.random.Generator, view: View) -> None:
    """Lay short straws of several shades over the relief (grey levels)."""
    straw = np.zeros(relief.shape, np.uint8)
    for positive in (True, False):
        straw[:] = 0
        starts = generator.uniform((0.0, 0.0), ARENA, (260, 2))
        turns = generator.uniform(0.0, 2.0 * np.pi, 260)
        ends = starts + np.stack([np.cos(turns), np.sin(turns)], 1) * generator.uniform(0.01, 0.04, (260, 1))
        for start, end in zip(fixed(view.pixels(starts)), fixed(view.pixels(ends)), strict=True):
            cv2.line(straw, start.tolist(), end.tolist(), 255, 1, cv2.LINE_AA, SHIFT)
        relief += straw * (0.09 if positive else -0.10)


def beam(
    seed: int, view: View, channels: int, shape: Beam
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the beam and its shadow.

    Parameters
    ----------
    seed
        Seed of the scene.
    view
        Size of the frame and where the arena lies in it.
    channels
        C: 1 gray, 3 RGB.
    shape
        Where the beam lies.

    Returns
    -------
    covered : NDArray
        The beam (H, W, C) uint8, premultiplied by its cover.
    beside : NDArray
        What it lets through (H, W, C) uint8; 255 is everything.
    lit : NDArray
        The light on the floor around it (H, W, C) uint8; 255 is no shadow.
    """
    generator = np.random.default_rng(hash64(seed, "grain"))
    corners = view.pixels(shape.corners())
    mask = np.zeros((view.height, view.width), np.uint8)
    cv2.fillConvexPoly(mask, fixed(corners), 255, cv2.LINE_AA, SHIFT)
    columns, rows = np.meshgrid(np.arange(view.width), np.arange(view.height))
    axis = view.pixels(np.array([[shape.x, ARENA[1] / 2.0]]))[0, 0]
    across = columns - axis - shape.slant * (rows - (view.height - 1) / 2.0)
    across /= shape.half_width * view.scale
    grain = np.interp(across, np.linspace(-1.2, 1.2, 40), generator.standard_normal(40) * 7.0)
    rounded = 12.0 * np.cos(np.clip(across, -1.0, 1.0) * np.pi / 2.0) - 10.0 * across
    picture = np.asarray(palette(BEAM, channels)) + (grain + rounded)[:, :, None]
    shadow = np.zeros_like(mask)
    cv2.fillConvexPoly(shadow, fixed(corners + 0.018 * view.scale), 110, cv2.LINE_AA, SHIFT)
    lit = 255 - cv2.blur(shadow, (max(3, int(0.02 * view.scale)) | 1,) * 2)
    covered = np.ascontiguousarray(
        (np.clip(picture, 0.0, 255.0) * (mask[:, :, None] / 255.0)).astype(np.uint8)
    )
    return covered, _repeat(255 - mask, channels), _repeat(lit, channels)


def light_fields(view: View) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return two distributions of light, from the upper left and from the lower right.

    Parameters
    ----------
    view
        Size of the frame.

    Returns
    -------
    tuple of NDArray
        Two fields (H, W) uint8, by which colours are multiplied; `LIGHT_UNIT` is neutral.
    """
    columns, rows = np.meshgrid(np.linspace(-1.0, 1.0, view.width), np.linspace(-1.0, 1.0, view.height))
    vignette = 1.06 - 0.13 * (columns**2 + rows**2)
    slope = 0.10 * columns + 0.08 * rows
    left, right = vignette * (1.0 - slope), vignette * (1.0 + slope)
    return (left * LIGHT_UNIT).astype(np.uint8), (right * LIGHT_UNIT).astype(np.uint8)


def noise_bank(
    seed: int, camera: str, height: int, width: int, channels: int, sigma: float
) -> NDArray[np.int8]:
    """Draw sensor noise, of which every frame shows a window at a hashed place.

    Parameters
    ----------
    seed, camera
        Seed of the run and name of the camera: each camera has its own noise.
    height, width, channels
        Shape of the bank; larger than a frame.
    sigma
        Standard deviation, grey levels.

    Returns
    -------
    NDArray
        Noise (height, width, channels) int8, grey levels.
    """
    generator = np.random.default_rng(hash64(seed, "noise", camera))
    noise = generator.standard_normal((height, width, channels), dtype=np.float32) * sigma
    return np.clip(np.rint(noise), -127, 127).astype(np.int8)


def _repeat(plane: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.repeat(plane[:, :, None], channels, axis=2))
