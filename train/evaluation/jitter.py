"""How far keypoints move when nothing has: under the sensor's own noise, and in other precisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.loop.decode import Keypoints
from rt_pose.loop.estimate import Estimator
from rt_pose.package import Package
from rt_pose.types import FloatArray
from train.precisions import displacement, estimator, precisions_of

NOISE_GREY = 1.0
"""Standard deviation of the noise, grey levels."""
SEED = 0


def noisy(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """The frame as another exposure of a sensor with `NOISE_GREY` of noise would have it."""
    noise = np.rint(random.normal(0.0, NOISE_GREY, image.shape))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def noise_jitter(
    network: Estimator, images: Sequence[NDArray[np.uint8]], found: Keypoints[FloatArray]
) -> dict[str, Any]:
    """How far noise moves the keypoints `found` in the frames as they are, of those that it is sure of."""
    random = np.random.default_rng(SEED)
    moved = network.estimate_all([noisy(image, random) for image in images]).xy
    return _figures(displacement(moved, found))


def precision_jitter(
    package: Package, images: Sequence[NDArray[np.uint8]], found: Keypoints[FloatArray]
) -> dict[str, dict[str, Any]]:
    """How far each precision that this processor has moves keypoints from where float32 `found` them."""
    spec, decode = package.manifest.input, package.manifest.decode
    figures = {}
    for precision in precisions_of(package.path):
        if precision != "float32":
            moved = estimator(package.path, spec, decode, precision).estimate_all(images).xy
            figures[precision] = _figures(displacement(moved, found))
    return figures


def _figures(moved: FloatArray) -> dict[str, Any]:
    median, p95 = np.percentile(moved, [50, 95])
    return {"n": len(moved), "median_px": float(median), "p95_px": float(p95)}
