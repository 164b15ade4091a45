"""A model package small enough for tests, whose network really finds something.

Keypoint k is a filled disc of its own grey level (`keypoint_levels`) on a dark ground, 6 to 12 input px in
radius: the network looks for pixels near that level and smooths what it finds. Nothing is trained.
"""

from __future__ import annotations

import io
import shutil
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from support.shared import made_once
from torch import Tensor, nn
from torch.nn import functional

from rt_pose.inference.engine import NETWORK_INPUT, NETWORK_OUTPUT, open_engine
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

STRIDE = 4
MEAN, STD = 100.0, 50.0


def keypoint_levels(keypoints: int) -> NDArray[np.float64]:
    """Grey level of each keypoint's disc."""
    return np.linspace(90.0, 250.0, keypoints)


def disc_frame(
    xy: FloatArray, width: int, height: int, channels: int, radius: float = 8.0
) -> NDArray[np.uint8]:
    """A frame (H, W, C) with keypoint k's disc at `xy[k]` px; NaN draws none."""
    image = np.full((height, width), 10, np.uint8)
    y, x = np.mgrid[:height, :width]
    for (cx, cy), level in zip(xy, keypoint_levels(len(xy)), strict=True):
        if np.isfinite(cx):
            image[(x - cx) ** 2 + (y - cy) ** 2 <= radius**2] = round(level)
    return np.repeat(image[:, :, None], channels, axis=2)


class DiscFinder(nn.Module):
    """Logits that peak at the middle of discs of given grey levels."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        levels = torch.as_tensor(keypoint_levels(keypoints), dtype=torch.float32)
        self.register_buffer("levels", ((levels - MEAN) / STD).reshape(1, -1, 1, 1))
        self.width = 0.3 * 160.0 / max(keypoints - 1, 1) / STD
        span = torch.arange(-3, 4, dtype=torch.float32)
        bell = torch.exp(-(span**2) / (2 * 1.5**2))
        kernel = (bell[:, None] * bell[None, :]).expand(keypoints, 1, 7, 7)
        self.register_buffer("kernel", kernel / kernel[0].sum())
        self.keypoints = keypoints

    def forward(self, image: Tensor) -> Tensor:
        gray = functional.avg_pool2d(image.mean(dim=1, keepdim=True), STRIDE)
        likeness = torch.exp(-(((gray - self.levels) / self.width) ** 2))
        return 25.0 * functional.conv2d(likeness, self.kernel, padding=3, groups=self.keypoints)


class DeepDiscFinder(DiscFinder):
    """The same through further convolutions: there is something to quantise."""

    def __init__(self, keypoints: int) -> None:
        super().__init__(keypoints)
        bell = torch.tensor([0.1, 0.8, 0.1])
        blur = torch.eye(keypoints)[:, :, None, None] * (bell[:, None] * bell[None, :])
        self.layers = nn.ModuleList(nn.Conv2d(keypoints, keypoints, 3, padding=1) for _ in range(4))
        for layer in self.layers:
            layer.weight.data.copy_(blur)  # type: ignore[union-attr, operator]
            layer.bias.data.zero_()  # type: ignore[union-attr, operator]

    def forward(self, image: Tensor) -> Tensor:
        x = super().forward(image)
        for layer in self.layers:
            x = functional.relu(layer(x))
        return x


def make_tiny_package(
    path: Path,
    keypoints: int = 4,
    width: int = 160,
    height: int = 128,
    channels: int = 1,
    seed: int = 0,
    network: type[DiscFinder] = DiscFinder,
) -> Package:
    """Write a package of `keypoints` discs for a network input of `width` x `height` to `path`.

    Its golden frames are twice the input's size in each direction. One of each kind is made in a test run,
    which takes seconds; each caller gets a copy of its own.
    """
    made = _made(keypoints, width, height, channels, seed, network)
    shutil.copytree(made, path, dirs_exist_ok=True)
    return read_package(path)


@cache
def _made(
    keypoints: int, width: int, height: int, channels: int, seed: int, network: type[DiscFinder]
) -> Path:
    name = f"{network.__module__}.{network.__qualname__}-{keypoints}-{width}-{height}-{channels}-{seed}"
    return made_once(name, lambda path: _make(path, keypoints, width, height, channels, seed, network))


def _make(
    path: Path,
    keypoints: int,
    width: int,
    height: int,
    channels: int,
    seed: int,
    network: type[DiscFinder],
) -> None:
    finder = network(keypoints).eval()
    example = torch.zeros(1, channels, height, width)
    onnx = _onnx(finder, example)
    (path / NETWORK).write_bytes(onnx)
    spec = InputSpec(width, height, 3 if channels == 3 else 1, mean=[MEAN] * channels, std=[STD] * channels)
    manifest = Manifest(
        keypoints=[f"k{i}" for i in range(keypoints)],
        skeleton=[(f"k{i}", f"k{i + 1}") for i in range(keypoints - 1)],
        input=spec,
        decode=DecodeSpec(stride=STRIDE),
        tracking=TrackingSpec(
            q_px2_s3=[2e6] * keypoints,
            tau_s=[0.1] * keypoints,
            gain=[1.0] * keypoints,
            floor_px2=[1.0] * keypoints,
        ),
        precisions={
            "float32": PrecisionReport(1.0, 0.0, 0.0),
            "bf16": PrecisionReport(1.0, 0.5, 1.0),
        },
    )
    frames = _golden_frames(keypoints, 2 * width, 2 * height, channels, seed)
    found = CpuEstimator(open_engine("openvino", path, spec, "float32", 1), manifest.decode).estimate_all(
        frames
    )
    write_package(
        path,
        manifest,
        Golden(frames, found.xy, found.confidence),
        lambda file: file.write_bytes(onnx),
        {"network.pt2": lambda file: _export_program(finder, example, file)},
    )


def _golden_frames(keypoints: int, width: int, height: int, channels: int, seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    margin = 40.0
    frames = []
    for _ in range(3):
        # One column a keypoint: the discs never cover one another.
        x = (np.arange(keypoints) + 0.5) * width / keypoints
        y = random.uniform(margin, height - margin, keypoints)
        frames.append(disc_frame(np.stack([x, y], axis=1), width, height, channels, radius=16.0))
    return np.stack(frames)


def _onnx(network: nn.Module, example: Tensor) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch deprecates its older exporter, the one that writes a single file without further packages.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            buffer,
            input_names=[NETWORK_INPUT],
            output_names=[NETWORK_OUTPUT],
            dynamic_axes={NETWORK_INPUT: {0: "batch"}, NETWORK_OUTPUT: {0: "batch"}},
            dynamo=False,
        )
    return buffer.getvalue()


def _export_program(network: nn.Module, example: Tensor, file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # An example of one image would fix the batch size at 1.
        program = torch.export.export(
            network, (torch.cat([example, example]),), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )
        torch.export.save(program, file)
