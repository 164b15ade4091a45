"""Random changes of training frames as a DALI graph, and the same changes of their labels.

    frame uint8 HWC -> warp (rotation, zoom, shift) -> brightness, contrast -> noise

What follows in the same pipeline is rt_pose's own preprocessing; with every range at 0 there is nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.loop.preprocess import frame_from_input
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.config import AugmentConfig

MIDDLE_GRAY = 127.5
"""What contrast turns about. DALI's own default, 0.5, is for images of 0..1 and makes contrast a gain."""


def augmented(augment: AugmentConfig) -> Any:
    """The DALI node of augmented frames, uint8 HWC, inside a pipeline.

    It is fed by the external sources frames, warps, and those that `draw_levels` names.
    """
    from nvidia.dali import fn, types

    frames = fn.external_source(name="frames", layout="HWC", dtype=types.UINT8, ndim=3)
    if warps_frames(augment):
        # Beyond the frame's edge its last pixels go on: a black rim would be an edge that live frames lack.
        frames = fn.warp_affine(
            frames,
            matrix=fn.external_source(name="warps", dtype=types.FLOAT, ndim=2),
            inverse_map=False,
            interp_type=types.INTERP_LINEAR,
        )
    if augment.brightness or augment.contrast:
        frames = fn.brightness_contrast(
            frames,
            brightness=fn.external_source(name="brightness", dtype=types.FLOAT, ndim=0),
            contrast=fn.external_source(name="contrast", dtype=types.FLOAT, ndim=0),
            contrast_center=MIDDLE_GRAY,
        )
    if augment.noise:
        frames = fn.noise.gaussian(frames, stddev=fn.external_source(name="noise", dtype=types.FLOAT, ndim=0))
    return frames


def draw_levels(
    augment: AugmentConfig, size: int, random: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Factors and noise levels of `size` frames by external source, for those that `augment` turns on."""
    levels: dict[str, FloatArray] = {}
    if augment.brightness or augment.contrast:
        levels["brightness"] = 1 + random.uniform(-augment.brightness, augment.brightness, size)
        levels["contrast"] = 1 + random.uniform(-augment.contrast, augment.contrast, size)
    if augment.noise:
        levels["noise"] = random.uniform(0, augment.noise, size)
    return {name: values.astype(np.float32) for name, values in levels.items()}


def random_warp(augment: AugmentConfig, shape: tuple[int, ...], random: np.random.Generator) -> FloatArray:
    """(2, 3) affine from frame px to frame px (pixel centres at integers), about the frame's centre."""
    size = np.array([shape[1], shape[0]], float)
    angle = np.deg2rad(random.uniform(-augment.rotate_deg, augment.rotate_deg))
    zoom = (1 + augment.scale) ** random.uniform(-1, 1)
    shift = random.uniform(-augment.shift, augment.shift, 2) * size
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    centre = (size - 1) / 2
    return np.column_stack([linear, centre + shift - linear @ centre])


def dali_matrix(warp: FloatArray) -> NDArray[np.float32]:
    """The same affine as DALI wants it: with the centre of the top-left pixel at (0.5, 0.5)."""
    half = np.array([0.5, 0.5])
    linear, offset = warp[:, :2], warp[:, 2]
    return np.column_stack([linear, offset + half - linear @ half]).astype(np.float32)


def input_keypoints(xy: FloatArray, warp: FloatArray, shape: tuple[int, ...], spec: InputSpec) -> FloatArray:
    """Labels (K, 2) in frame px, warped, in px of the network's input; NaN where that is outside it."""
    to_frame = frame_from_input(spec, (shape[1], shape[0]))
    warped = xy @ warp[:, :2].T + warp[:, 2]
    points = (warped - to_frame[:, 2]) / np.diag(to_frame)
    inside = (points >= -0.5) & (points <= np.array([spec.width, spec.height]) - 0.5)
    return np.where(inside.all(axis=-1, keepdims=True), points, np.nan)


def warps_frames(augment: AugmentConfig) -> bool:
    """Whether frames are warped at all."""
    return bool(augment.rotate_deg or augment.scale or augment.shift)
