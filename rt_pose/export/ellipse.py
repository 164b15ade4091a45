"""The ellipse that holds a keypoint, as exports draw it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.rules.ellipse import squared_radius
from rt_pose.types import FloatArray

PROBABILITY = 0.9
_ANGLES = np.linspace(0.0, 2.0 * np.pi, 25)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)


def outlines(xy: FloatArray, covariance: FloatArray) -> FloatArray:
    """Outline the regions that hold keypoints with `PROBABILITY`.

    Parameters
    ----------
    xy
        (P, 2) px.
    covariance
        (P, 3) sxx, sxy, syy, px^2.

    Returns
    -------
    FloatArray
        (P, 25, 2) px, closed.
    """
    matrices = covariance[:, [[0, 1], [1, 2]]]
    values, vectors = np.linalg.eigh(matrices)
    axes = np.sqrt(np.maximum(values, 0.0) * squared_radius(PROBABILITY))
    found: NDArray[np.float64] = xy[:, None] + (_CIRCLE * axes[:, None]) @ vectors.transpose(0, 2, 1)
    return found
