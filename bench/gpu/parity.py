"""GPU against CPU: the same input, the same keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bench.gpu.packages import NETWORKS, QUICK, package
from bench.gpu.section import Options, Row, Rows
from bench.synthetic_heatmaps import random_frames
from rt_pose.config.schema import EngineConfig
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.device import physical_cores
from rt_pose.inference.engine import open_engine
from rt_pose.inference.estimator import CpuEstimator
from rt_pose.inference.gpu.estimator import GpuEstimator
from rt_pose.inference.gpu.frames import DaliFrames, MatrixFrames
from rt_pose.inference.gpu.staging import Staging
from rt_pose.inference.gpu.stream import TorchCudaStream
from rt_pose.inference.preprocess import Preprocess
from rt_pose.package import GOLDEN_CONFIDENCE, InputSpec
from rt_pose.video import Channels

SIZES = ((640, 480), (1280, 1024), (396, 406), (200, 180))
FRAMES = 100
"""A tenth of the keypoints is confident (`bench.synthetic_heatmaps`): some 170, enough for a P99."""
BOUND_PX = 0.05
WAYS: dict[str, type[DaliFrames] | type[MatrixFrames]] = {"dali": DaliFrames, "compiled": MatrixFrames}


def measure(options: Options, rows: Rows) -> None:
    """Compare preprocessing by way, size and colour, and keypoints by network, way and precision.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    channels: tuple[Channels, ...] = (1, 3)
    for way in WAYS:
        for colours in channels:
            rows.add(f"preprocess, {way}, {colours} channels", _pixels, way, colours)
    for backbone, side in QUICK if options.quick else NETWORKS:
        for way in WAYS:
            what = f"keypoints, {backbone} {side}, {way}, float32"
            rows.add(what, _keypoints, options.packages, backbone, side, way)
        for precision in ("fp16", "bf16"):
            what = f"golden check, {backbone} {side}, {precision}"
            rows.add(what, _golden, options.packages, backbone, side, precision)


def _pixels(way: str, channels: Channels) -> Row:
    """The largest difference of the network's input, in grey levels."""
    spec = InputSpec(256, 256, channels, [0.0] * channels, [1.0] * channels)
    cuda_stream = TorchCudaStream()
    preprocess, cpu = WAYS[way](spec, cuda_stream, Staging(cuda_stream)), Preprocess(spec)
    with cuda_stream.on():
        inputs = torch.zeros((1, channels, 256, 256), device=cuda_stream.device)
    largest = 0.0
    for width, height in SIZES:
        for image in random_frames(4, width, height, channels):
            with cuda_stream.on():
                preprocess.into([image], [None], inputs)
            cuda_stream.wait()
            largest = max(largest, float(np.abs(inputs.cpu().numpy() - cpu([image])).max()))
    return {"largest_grey_levels": largest}


def _keypoints(folder: Path, backbone: str, side: int, way: str) -> Row:
    """How far keypoints of some confidence lie apart, px of the frame."""
    made = package(folder, backbone, side)
    manifest = made.manifest
    gpu = open_engine("torch_cuda", made.path, manifest.input, "float32", 1)
    cpu = open_engine("torch", made.path, manifest.input, "float32", physical_cores())
    images = [*made.golden.frames, *random_frames(FRAMES, 640, 480, manifest.input.channels, seed=1)]
    found = GpuEstimator(gpu, manifest.decode, way).estimate_all(images)  # type: ignore[arg-type]
    expected = CpuEstimator(cpu, manifest.decode).estimate_all(images)
    confident = expected.confidence >= GOLDEN_CONFIDENCE
    apart = np.linalg.norm(found.xy - expected.xy, axis=-1)[confident]
    p50, p99 = np.percentile(apart, [50, 99])
    return {
        "n": int(confident.sum()),
        "p50_px": float(p50),
        "p99_px": float(p99),
        "max_px": float(apart.max()),
        "bound_px": BOUND_PX,
        "within": bool(p99 <= BOUND_PX),
        "confidence_apart": float(np.abs(found.confidence - expected.confidence).max()),
    }


def _golden(folder: Path, backbone: str, side: int, precision: str) -> Row:
    made = package(folder, backbone, side)
    choice = choose_engine(made, EngineConfig(device="gpu", precision=precision))  # type: ignore[arg-type]
    return {"golden_p95_px": choice.golden_px, "preprocess": choice.preprocess, "engine": str(choice)}
