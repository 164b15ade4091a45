"""A package that finds several animals, so simple that what it must find can be said by hand.

An animal is two discs of `tiny_package` that lie `ARM` px of the network's input to the left and to the right
of its centre: the right one is the keypoint k0, the left one k1. The network's centres and offsets say so.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from support.shared import made_once
from support.tiny_package import MEAN, STD, STRIDE, DiscFinder, _onnx, disc_frame
from torch import Tensor
from torch.nn import functional

from rt_pose.inference.engine import open_engine
from rt_pose.inference.estimator import CpuEstimator
from rt_pose.package import (
    NETWORK,
    DecodeSpec,
    Golden,
    InputSpec,
    Manifest,
    Package,
    PrecisionReport,
    TrackingSpec,
    read_package,
    write_package,
)
from rt_pose.types import FloatArray

WIDTH, HEIGHT, ARM = 160, 128, 16
STEPS = ARM // STRIDE
SCALE = 2.0
DECODE = DecodeSpec(stride=STRIDE, decoder="centre_offsets", offset_scale=SCALE)
TWO = np.array([[[60.0, 40.0], [28.0, 40.0]], [[128.0, 92.0], [96.0, 92.0]]])
"""(2, 2, 2) frame px: two animals, k0 and k1 of each."""


class AnimalFinder(DiscFinder):
    """Heatmaps of the discs, of the animals' centres, and offsets to those."""

    def forward(self, image: Tensor) -> Tensor:
        maps = super().forward(image)
        right = functional.pad(maps[:, :1, :, STEPS:], (0, STEPS))
        left = functional.pad(maps[:, 1:, :, :-STEPS], (STEPS, 0))
        x = torch.ones_like(right) * STEPS / SCALE
        y = torch.zeros_like(right)
        return torch.cat([maps, right + left, -x, y, x, y], dim=1)


def animals_frame(animals: FloatArray) -> NDArray[np.uint8]:
    """A frame (HEIGHT, WIDTH, 1) with animals (N, 2, 2) px."""
    frames = [disc_frame(own, WIDTH, HEIGHT, 1) for own in animals]
    return np.maximum.reduce([*frames, np.full((HEIGHT, WIDTH, 1), 10, np.uint8)])


def make_several_package(path: Path) -> Package:
    """A copy of the package in `path`; its golden frames hold two animals, and one."""
    shutil.copytree(made_once("several-package", _make), path, dirs_exist_ok=True)
    return read_package(path)


def _make(path: Path) -> None:
    spec = InputSpec(WIDTH, HEIGHT, 1, [MEAN], [STD])
    onnx = _onnx(AnimalFinder(2).eval(), torch.zeros(1, 1, HEIGHT, WIDTH))
    (path / NETWORK).write_bytes(onnx)
    manifest = Manifest(
        keypoints=["k0", "k1"],
        skeleton=[("k0", "k1")],
        input=spec,
        decode=DECODE,
        tracking=TrackingSpec([2e6] * 2, [0.1] * 2, [1.0] * 2, [1.0] * 2),
        precisions={"float32": PrecisionReport(1.0, 0.0, 0.0), "bf16": PrecisionReport(1.0, 0.5, 1.0)},
        individuals=2,
    )
    frames = np.stack([animals_frame(TWO), animals_frame(TWO[1:])])
    engine = open_engine("openvino", path, spec, "float32", 1)
    found = CpuEstimator(engine, DECODE, detections=2).estimate_all(frames)
    golden = Golden(frames, found.xy, found.confidence)
    write_package(path, manifest, golden, lambda file: file.write_bytes(onnx))


def make_animals_video(path: Path, tracks: FloatArray) -> Path:
    """A video of animals (T, N, 2, 2) px; NaN is not in the frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (WIDTH, HEIGHT))
    for animals in tracks:
        writer.write(np.repeat(animals_frame(animals), 3, axis=2))
    writer.release()
    return path
