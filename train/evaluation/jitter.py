"""How far keypoints move in a scene that stands still: under the sensor's noise, and in other precisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import Estimator
from rt_pose.package import Package
from rt_pose.types import FloatArray
from train.quantisation.precisions import displacement, estimator, precisions_of

NOISE_GREY = 1.0
"""Standard deviation of the noise, grey levels."""
SEED = 0


def add_noise(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a frame as another exposure of a sensor with `NOISE_GREY` of noise would have it.

    Parameters
    ----------
    image
        Image (H, W, C) uint8; it is not changed.
    random
        The generator to draw from.
    """
    noise = np.rint(random.normal(0.0, NOISE_GREY, image.shape))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def noise_jitter(
    network: Estimator, images: Sequence[NDArray[np.uint8]], found: Keypoints[FloatArray]
) -> dict[str, Any]:
    """Measure how far noise moves the confident keypoints.

    Parameters
    ----------
    network
        The network to run on noisy frames.
    images
        F images (H, W, C) uint8, without added noise.
    found
        Keypoints in those, frame px.

    Returns
    -------
    dict
        n, median and P95 of the movement, px.
    """
    return _figures(displacement(xy_in_noise(network, images), found))


def xy_in_noise(network: Estimator, images: Sequence[NDArray[np.uint8]], seed: int = SEED) -> FloatArray:
    """Return where a network sees keypoints in noisy frames; every network gets the same noise.

    Parameters
    ----------
    network
        The network to run.
    images
        F images (H, W, C) uint8, without added noise.
    seed
        Seed of the noise.

    Returns
    -------
    FloatArray
        Positions (F, K, 2), of several animals (F, D, K, 2), frame px.
    """
    random = np.random.default_rng(seed)
    return network.estimate_all([add_noise(image, random) for image in images]).xy


def precision_jitter(
    package: Package, images: Sequence[NDArray[np.uint8]], found: Keypoints[FloatArray]
) -> dict[str, dict[str, Any]]:
    """Measure how far each precision that this processor has moves the confident keypoints.

    Parameters
    ----------
    package
        The package to run.
    images
        F images (H, W, C) uint8.
    found
        Keypoints in those in float32, frame px.

    Returns
    -------
    dict of str to dict
        n, median and P95 of the movement (px) by precision.
    """
    return {
        precision: _figures(displacement(xy_in_precision(package, images, precision), found))
        for precision in precisions_of(package.path)
        if precision != "float32"
    }


def xy_in_precision(package: Package, images: Sequence[NDArray[np.uint8]], precision: str) -> FloatArray:
    """Return where a package sees keypoints in one of the processor's precisions.

    Parameters
    ----------
    package
        The package to run.
    images
        F images (H, W, C) uint8.
    precision
        One of `precisions_of`.

    Returns
    -------
    FloatArray
        Positions (F, K, 2), of several animals (F, D, K, 2), frame px.
    """
    manifest = package.manifest
    network = estimator(package.path, manifest.input, manifest.decode, precision, manifest.individuals)
    return network.estimate_all(images).xy


def _figures(moved: FloatArray) -> dict[str, Any]:
    median, p95 = np.percentile(moved, [50, 95])
    return {"n": len(moved), "median_px": float(median), "p95_px": float(p95)}
