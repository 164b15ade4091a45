"""Keypoints that move in space as the filter's model says, and what cameras see of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from support.ornstein import discretised

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera


def moving(
    random: np.random.Generator, frames: int, keypoints: int, dt_s: float, q: float, tau: float
) -> FloatArray:
    """(F, K, 3), within some tens of mm of the origin."""
    step, noise = discretised(dt_s, q, tau)
    root = np.linalg.cholesky(noise)
    start = random.uniform(-20, 20, (keypoints, 3)), random.normal(0, np.sqrt(q * tau / 2), (keypoints, 3))
    state = np.stack(start)
    places = np.empty((frames, keypoints, 3))
    for f in range(frames):
        places[f] = state[0]
        state = np.tensordot(step, state, 1) + np.tensordot(root, random.normal(size=state.shape), 1)
    return places


def seen(
    cameras: Sequence[CalibratedCamera], places: FloatArray, noise_px: float, random: np.random.Generator
) -> FloatArray:
    """(V, F, K, 2) px with noise."""
    xy = np.stack([camera.project(places) for camera in cameras])
    return xy + random.normal(0, 1, xy.shape) * noise_px
