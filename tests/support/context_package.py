"""A package whose network sees past frames, so simple that what it must find can be said by hand.

The discs of `tiny_package`, each map with half of the map before it and a quarter of the one before that on
top: a moving disc is found a little behind, and a hidden one where it was.
"""

from __future__ import annotations

from pathlib import Path

import torch
from support.tiny_package import MEAN, STD, STRIDE, DiscFinder, _golden_frames
from torch import Tensor

from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.inference.estimator import CpuEstimator
from rt_pose.package import (
    ContextSpec,
    DecodeSpec,
    Golden,
    InputSpec,
    Manifest,
    Package,
    PrecisionReport,
    TrackingSpec,
    write_package,
)
from train.models.files import write_onnx, write_program

WIDTH, HEIGHT = 160, 128
FRAMES = 2


class RememberingDiscFinder(DiscFinder):
    """Logits of the present frame, and fading ones of the two before it."""

    def forward(self, image: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        now = super().forward(image)
        last, older = context[:, : self.keypoints], context[:, self.keypoints :]
        return now + 0.5 * last + 0.25 * older, torch.cat([now, last], dim=1)


def make_context_package(path: Path, keypoints: int = 3) -> Package:
    """Write the package to `path`."""
    context = ContextSpec(FRAMES, keypoints, HEIGHT // STRIDE, WIDTH // STRIDE)
    spec = InputSpec(WIDTH, HEIGHT, 1, [MEAN], [STD], context=context)
    network = RememberingDiscFinder(keypoints).eval()
    path.mkdir(parents=True, exist_ok=True)
    write_program(network, spec, path / PROGRAM)
    manifest = Manifest(
        keypoints=[f"k{i}" for i in range(keypoints)],
        skeleton=[],
        input=spec,
        decode=DecodeSpec(stride=STRIDE),
        tracking=TrackingSpec([2e6] * keypoints, [0.1] * keypoints, [1.0] * keypoints, [1.0] * keypoints),
        precisions={name: PrecisionReport(1.0, 0.5, 1.0) for name in ("float32", "bf16")},
    )
    frames = _golden_frames(keypoints, 2 * WIDTH, 2 * HEIGHT, 1, 0)
    estimator = CpuEstimator(open_engine("torch", path, spec, "float32", 1), manifest.decode)
    found = estimator.estimate_sequence(frames)
    return write_package(
        path,
        manifest,
        Golden(frames, found.xy, found.confidence),
        lambda file: write_onnx(network, spec, file),
        {PROGRAM: lambda _: None},
    )
