"""The covariance of what a network finds in one frame: the filter's measurement noise, and the bias."""

from __future__ import annotations

import dataclasses

import numpy as np

from rt_pose.package import TrackingSpec
from rt_pose.types import FloatArray

P95_OF_SIGMA = 2.4477
"""95th percentile of a displacement in the plane whose x and y have a standard deviation of 1."""


def with_noise_floor(tracking: TrackingSpec, displacement_p95_px: float) -> TrackingSpec:
    """Add the engine's own displacement to the floor of the measurement noise.

    Parameters
    ----------
    tracking
        The package's parameters.
    displacement_p95_px
        95th percentile of the displacement of the engine's keypoints from the reference, px.

    Returns
    -------
    TrackingSpec
        Parameters whose `floor_px2` has grown by the variance of the displacement, taken as an isotropic
        Gaussian.
    """
    variance = (displacement_p95_px / P95_OF_SIGMA) ** 2
    return dataclasses.replace(tracking, floor_px2=[floor + variance for floor in tracking.floor_px2])


def error_covariance(cov: FloatArray, tracking: TrackingSpec) -> FloatArray:
    """Return the covariance of keypoints' errors in single frames, as the causal filter takes it.

    Parameters
    ----------
    cov
        The network's covariance as decoded, (..., K, 2, 2) px^2.
    tracking
        Gain, floor and, where the package has one, bias.

    Returns
    -------
    FloatArray
        gain times `cov`, plus the floor and the bias, (..., K, 2, 2) px^2.
    """
    noise = np.asarray(tracking.gain)[:, None, None] * cov
    noise = noise + np.asarray(tracking.floor_px2)[:, None, None] * np.eye(2)
    return noise + np.asarray(tracking.bias_px2) if tracking.bias_px2 else noise
