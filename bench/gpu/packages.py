"""Packages of the real size for the GPU's benchmark, made with torch alone: no Lightning, no OpenVINO.

The backbones have random weights where their ImageNet ones are not installed; heads are sharpened until maps
have peaks (`bench.synthetic_heatmaps`). bf16's displacement is measured on the CPU, on the golden frames;
fp16 goes by it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.gpu.section import Options, Row, Rows
from bench.synthetic_heatmaps import random_frames, sharpen
from rt_pose.errors import UserError
from rt_pose.inference.device import physical_cores
from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.package import (
    GOLDEN_CONFIDENCE,
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
from train.models.backbones import BACKBONES, build_backbone
from train.models.files import write_onnx, write_program
from train.models.heads import STRIDE, HeatmapHead

NETWORKS = [(backbone, side) for backbone in ("lite0", "resnet50") for side in (256, 384)]
QUICK = NETWORKS[:1]
KEYPOINTS, GOLDEN_FRAMES = 17, 6
NOTE = "head not trained: this package is for timing only, its keypoints mean nothing"


class Network(torch.nn.Module):
    """Backbone and head as they are trained."""

    def __init__(self, backbone: str) -> None:
        """Build backbone and head.

        Parameters
        ----------
        backbone
            Name of the backbone.
        """
        super().__init__()
        try:
            self.backbone = build_backbone(backbone, 1)
        except UserError:  # its ImageNet weights are not installed
            self.backbone = BACKBONES[backbone].build(1)
        self.head = HeatmapHead(self.backbone.features, KEYPOINTS, 32)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `torch.nn.Module.forward`."""
        found: torch.Tensor = self.head(self.backbone(images))
        return found


def measure(options: Options, rows: Rows) -> None:
    """Record a row a package, made or found.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    for backbone, side in QUICK if options.quick else NETWORKS:
        rows.add(f"{backbone} {side}x{side}", _row, options.packages, backbone, side)


def package(folder: Path, backbone: str, side: int) -> Package:
    """Read the package of a network, made before.

    Parameters
    ----------
    folder
        Folder of packages.
    backbone
        Name of the backbone.
    side
        Side of the input, px.

    Returns
    -------
    Package
        The package.

    Raises
    ------
    UserError
        Where it was not made.
    """
    path = folder / f"{backbone}-{side}"
    if not path.is_dir():
        raise UserError(f"{path}: there is no such package; `python -m bench.gpu --only packages` makes it")
    return read_package(path)


def _row(folder: Path, backbone: str, side: int) -> Row:
    path = folder / f"{backbone}-{side}"
    if not path.is_dir():
        part = path.with_name(path.name + ".part")
        make(part, backbone, side)
        part.rename(path)
    made = read_package(path)
    return {"path": str(path), "bf16_p95_px": made.manifest.precisions["bf16"].displacement_p95_px}


def make(path: Path, backbone: str, side: int) -> Package:
    """Write a package of one network.

    Parameters
    ----------
    path
        Its folder, new.
    backbone
        Name of the backbone.
    side
        Side of the input, px.

    Returns
    -------
    Package
        The package.
    """
    torch.manual_seed(0)
    row = BACKBONES[backbone]
    spec, decode = InputSpec(side, side, 1, [row.mean], [row.std]), DecodeSpec(stride=STRIDE)
    images = random_frames(GOLDEN_FRAMES, 640, 480, 1)
    network = Network(backbone).eval().requires_grad_(False)
    sharpen(network, network.head.heatmaps, spec, decode, images)
    path.mkdir(parents=True)
    write_program(network, spec, path / PROGRAM)
    estimator = CpuEstimator(open_engine("torch", path, spec, "float32", physical_cores()), decode)
    exact = estimator.estimate_all(images)
    lower = _rounded(network, estimator, images)
    moved = np.linalg.norm(lower - exact.xy, axis=-1)[exact.confidence >= GOLDEN_CONFIDENCE]
    manifest = Manifest(
        keypoints=[f"k{i}" for i in range(KEYPOINTS)],
        skeleton=[],
        input=spec,
        decode=decode,
        tracking=TrackingSpec([2e6] * KEYPOINTS, [0.1] * KEYPOINTS, [0.1] * KEYPOINTS, [1.0] * KEYPOINTS),
        precisions={
            "float32": PrecisionReport(1.0, 0.0, 0.0),
            "bf16": PrecisionReport(1.0, float(np.median(moved)), float(np.percentile(moved, 95))),
        },
        training={"note": NOTE, "backbone": backbone},
    )
    return write_package(
        path,
        manifest,
        Golden(np.stack(images), exact.xy, exact.confidence),
        lambda file: write_onnx(network, spec, file),
        {PROGRAM: lambda _: None},  # it is there
    )


def _rounded(network: Network, estimator: Estimator, images: list[Any]) -> Any:
    """Keypoints (F, K, 2) of the network in bf16."""
    half = copy.deepcopy(network).to(torch.bfloat16)
    found = []
    with torch.no_grad():
        for image in images:
            batch = torch.from_numpy(estimator.preprocess(image).copy()).bfloat16()
            size = (image.shape[1], image.shape[0])
            found.append(estimator.decode(half(batch).float().numpy(), size).xy)
    return np.concatenate(found)
