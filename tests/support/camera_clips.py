"""What several calibrated cameras see of places in space, as a network's answers to their clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from bench.calibration import make_rig
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from train.losses.clip import ClipInputs

LENS = np.array([-0.15, 0.0, 1e-3, -8e-4, -5e-3])


def bent_rig(count: int = 3) -> list[CalibratedCamera]:
    """Cameras around the origin whose lenses bend in every way that the model has, mm."""
    cameras = make_rig(np.random.default_rng(6), count)
    return [replace(camera, distortions=LENS * (1 - 0.3 * v)) for v, camera in enumerate(cameras)]


def places(frames: int, keypoints: int, seed: int = 0) -> FloatArray:
    """(T, K, 3) mm about the origin."""
    return np.random.default_rng(seed).uniform(-60, 60, (frames, keypoints, 3))


def seen(cameras: Sequence[CalibratedCamera], xyz: FloatArray) -> Tensor:
    """(V, T, K, 2) px, float64."""
    return torch.from_numpy(np.stack([camera.project(xyz) for camera in cameras]))


def clips_of(xy: Tensor, confidence: Tensor | None = None) -> list[ClipInputs]:
    """The answers of keypoints `xy` (V, T, K, 2) px; all sure where `confidence` (V, T, K) is not given."""
    sure = torch.ones(xy.shape[:3]) if confidence is None else confidence
    return [ClipInputs(torch.zeros(1), own.detach(), own, how) for own, how in zip(xy, sure, strict=True)]
