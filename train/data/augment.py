"""Random changes of training frames as a DALI graph, and the same changes of their labels.

    frame uint8 HWC -> warp (rotation, zoom, shift) -> erase -> blur -> brightness, contrast -> noise

The order is that of the world: what hides the animal, then the lens, the light, and last the sensor. One
graph serves labeled frames and clips. Nothing is drawn within it: every random number is fed. What follows in
the same pipeline is rt_pose's own preprocessing; with every range at 0 nothing else happens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rt_pose.inference.preprocess import frame_from_input
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.config import AugmentConfig

MIDDLE_GRAY = 127.5
"""The level that contrast leaves alone; stated, as DALI's documented default, 0.5, would make it a gain."""
BLUR_REACH = 3.0
"""The blur's window reaches so many standard deviations (of the widest blur) to each side."""
SHARP = 0.05
"""Standard deviation (px) that blurs nothing; DALI refuses 0."""


def augment_graph(augment: AugmentConfig, device: str = "cpu") -> Any:
    """Build the DALI node of augmented frames, inside a pipeline.

    It is fed by the external sources `frames`, `warps`, those that `draw_levels` names, and `sensor`.

    Parameters
    ----------
    augment
        Ranges of all changes; what is 0 is left out of the graph.
    device
        cpu or gpu: where frames and sensor noise lie, and where the graph then runs.

    Returns
    -------
    DataNode
        Frames, uint8 HWC.
    """
    return _sensor_noise(_appearance(augment, device), augment, device)


def _appearance(augment: AugmentConfig, device: str) -> Any:
    """The node of frames changed in all but the sensor's noise."""
    from nvidia.dali import fn, types

    frames = fn.external_source(name="frames", device=device, layout="HWC", dtype=types.UINT8, ndim=3)
    if warps_frames(augment):
        # Beyond the frame's edge its last pixels go on: a black rim would be an edge that live frames lack.
        frames = fn.warp_affine(
            frames,
            matrix=_source("warps", 2),
            inverse_map=False,
            interp_type=types.INTERP_LINEAR,
        )
    if augment.erase:
        frames = fn.erase(
            frames,
            anchor=_source("erase_at", 1),
            shape=_source("erase_shape", 1),
            fill_value=_source("erase_level", 1),
            axis_names="HW",
            normalized=True,
        )
    if augment.blur:
        frames = fn.gaussian_blur(
            frames, sigma=_source("blur", 0), window_size=2 * math.ceil(BLUR_REACH * augment.blur) + 1
        )
    if augment.brightness or augment.contrast:
        frames = fn.brightness_contrast(
            frames,
            brightness=_source("brightness", 0),
            contrast=_source("contrast", 0),
            contrast_center=MIDDLE_GRAY,
        )
    return frames


def _sensor_noise(frames: Any, augment: AugmentConfig, device: str) -> Any:
    """The node of `frames` under the sensor's noise.

    Shot noise is a normal variable of the Poisson's variance. The normal field itself is fed: DALI's own
    takes six times as long on a CPU (130 against 26 ms for 16 frames of 396x406, 590 as a Poisson).
    """
    from nvidia.dali import fn, types
    from nvidia.dali import math as dali_math

    if not is_noisy(augment):
        return frames
    spread = _source("noise", 0) if augment.noise else 0.0
    if augment.shot_noise:
        spread = dali_math.sqrt(frames * _source("shot_noise", 0) + spread * spread)
    # Read in place; but on a GPU DALI's copy is what orders it after the stream that made it.
    in_place = device == "cpu"
    field = fn.external_source(
        name="sensor", device=device, layout="HWC", dtype=types.FLOAT, ndim=3, no_copy=in_place
    )
    return fn.cast(frames + field * spread, dtype=types.UINT8)  # to the nearest grey level of 0..255


def is_noisy(augment: AugmentConfig) -> bool:
    """Whether two draws of the sensor's noise differ.

    Parameters
    ----------
    augment
        Ranges of all changes.
    """
    return bool(augment.noise or augment.shot_noise)


def draw_fields(images: Sequence[Any], seed: int) -> list[Any]:
    """Draw standard normal numbers of the images' shapes, the same for the same seed.

    torch's, which are drawn three times as fast as numpy's.

    Parameters
    ----------
    images
        Images (H, W, C): arrays, or tensors, for which they are drawn on their device by its own generator.
    seed
        Seed of the generator.

    Returns
    -------
    list
        A field (H, W, C) float32 for each image, of the image's kind.
    """
    if isinstance(images[0], torch.Tensor):
        device = images[0].device
        there = torch.Generator(device).manual_seed(seed)
        return [torch.randn(image.shape, generator=there, device=device) for image in images]
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(image.shape, generator=random).numpy() for image in images]


def draw_levels(
    augment: AugmentConfig, size: int, random: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Draw what the graph is fed for some frames beside frames, warps and sensor noise.

    Parameters
    ----------
    augment
        Ranges of all changes; only what they turn on is drawn.
    size
        Number of frames B.
    random
        The generator to draw from.

    Returns
    -------
    dict of str to NDArray
        float32 arrays (B,), (B, 1) or (B, 2) by the name of their external source.
    """
    levels: dict[str, FloatArray] = {}
    if augment.brightness or augment.contrast:
        levels["brightness"] = 1 + random.uniform(-augment.brightness, augment.brightness, size)
        levels["contrast"] = 1 + random.uniform(-augment.contrast, augment.contrast, size)
    if augment.noise:
        levels["noise"] = random.uniform(0, augment.noise, size)
    if augment.shot_noise:
        levels["shot_noise"] = random.uniform(0, augment.shot_noise, size)
    if augment.blur:
        levels["blur"] = np.maximum(random.uniform(0, augment.blur, size), SHARP)
    if augment.erase:
        shape = random.uniform(0, augment.erase, (size, 2))
        levels["erase_shape"] = shape
        levels["erase_at"] = random.uniform(0, 1 - shape)
        levels["erase_level"] = random.uniform(0, 255, (size, 1))
    return {name: values.astype(np.float32) for name, values in levels.items()}


def _source(name: str, ndim: int) -> Any:
    from nvidia.dali import fn, types

    return fn.external_source(name=name, dtype=types.FLOAT, ndim=ndim)


def random_warp(augment: AugmentConfig, shape: tuple[int, ...], random: np.random.Generator) -> FloatArray:
    """Draw a rotation, zoom and shift about the frame's centre.

    Parameters
    ----------
    augment
        Ranges of the changes.
    shape
        Shape (H, W, ...) of the frame.
    random
        The generator to draw from.

    Returns
    -------
    FloatArray
        Affine (2, 3) from frame px to frame px, pixel centres at integers.
    """
    size = np.array([shape[1], shape[0]], float)
    angle = np.deg2rad(random.uniform(-augment.rotate_deg, augment.rotate_deg))
    zoom = (1 + augment.scale) ** random.uniform(-1, 1)
    shift = random.uniform(-augment.shift, augment.shift, 2) * size
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    centre = (size - 1) / 2
    return np.column_stack([linear, centre + shift - linear @ centre])


def dali_matrix(warp: FloatArray) -> NDArray[np.float32]:
    """Convert an affine to DALI's convention, with the centre of the top-left pixel at (0.5, 0.5).

    Parameters
    ----------
    warp
        Affine (2, 3) between px whose centres are at integers.

    Returns
    -------
    NDArray
        Affine (2, 3) float32.
    """
    half = np.array([0.5, 0.5])
    linear, offset = warp[:, :2], warp[:, 2]
    return np.column_stack([linear, offset + half - linear @ half]).astype(np.float32)


def input_keypoints(xy: FloatArray, warp: FloatArray, shape: tuple[int, ...], spec: InputSpec) -> FloatArray:
    """Convert labels to px of the network's input, under the warp of their frame.

    Parameters
    ----------
    xy
        Labels (..., K, 2), frame px.
    warp
        Affine (2, 3) from frame px to frame px.
    shape
        Shape (H, W, ...) of the frame.
    spec
        Size of the network's input.

    Returns
    -------
    FloatArray
        Keypoints (..., K, 2), input px; NaN where they lie outside it.
    """
    to_frame = frame_from_input(spec, (shape[1], shape[0]))
    warped = xy @ warp[:, :2].T + warp[:, 2]
    points = (warped - to_frame[:, 2]) / np.diag(to_frame)
    inside = (points >= -0.5) & (points <= np.array([spec.width, spec.height]) - 0.5)
    return np.where(inside.all(axis=-1, keepdims=True), points, np.nan)


def warps_frames(augment: AugmentConfig) -> bool:
    """Whether frames are warped at all.

    Parameters
    ----------
    augment
        Ranges of all changes.
    """
    return bool(augment.rotate_deg or augment.scale or augment.shift)
