"""From a trained network to a model package, with its errors measured through the live chain."""

from __future__ import annotations

import copy
import importlib.metadata
import logging
import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.device import physical_cores
from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_reference import PROGRAM, TorchEngine
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.package import (
    GOLDEN_CONFIDENCE,
    NETWORK,
    PRECISION_NETWORKS,
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
from train.accuracy import figures
from train.animals import animal_figures, label_errors
from train.data.labels import LabeledFrames
from train.models.files import write_onnx, write_program
from train.models.network import PoseNetwork, StreamingExport
from train.quantisation.mixed import write_first_in_float32
from train.quantisation.precisions import (
    PrecisionReference,
    estimator,
    format_precision,
    measure,
    precisions_of,
)

_LOG = logging.getLogger(__name__)

GOLDEN_FRAMES = 8
MIXED = PRECISION_NETWORKS["mixed"]
VELOCITY_TAU_S = 0.1
REST_SPEED_DIAGONALS_S = 0.75
"""Default strength of movement: the root mean square speed along each axis, in frame diagonals a second."""
GAIN = 0.1
"""Of the network's covariance. A perfect map is as wide as its training target, which is no error: taken
whole it would make the filter distrust good keypoints. A tenth is near the squared errors seen on labels."""
FLOOR_PX2 = 1.0
_VERSIONED = ("rt-pose", "torch", "pytorch-lightning", "nvidia-dali-cuda120", "openvino", "onnx", "numpy")


@dataclass
class Trained:
    """A trained network and what it was trained on."""

    network: PoseNetwork
    spec: InputSpec
    decode: DecodeSpec
    bones: list[tuple[str, str]]
    train: LabeledFrames
    validation: LabeledFrames
    """Kept back; empty where every frame trained."""
    training: dict[str, Any]
    """Provenance for the manifest; errors and versions are added to it."""
    individuals: int = 1
    """The most animals in a frame."""

    @property
    def measured_on(self) -> LabeledFrames:
        """Frames kept back, else those that trained: they tell how far apart precisions are, no error."""
        return self.validation if len(self.validation) else self.train


def export(trained: Trained, folder: Path) -> Package:
    """Write the package of a trained network and report its validation errors.

    Parameters
    ----------
    trained
        The network and what it was trained on.
    folder
        Folder of the package; an earlier one is replaced once this one is whole.

    Returns
    -------
    Package
        The package.

    Raises
    ------
    UserError
        Where no golden keypoint is confident: no engine could be checked against it at a start.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="export-", dir=folder.parent) as scratch:
        work = Path(scratch)
        network = _plain(trained.network)
        # First of all: there may be no package, and what follows takes seconds.
        _golden(trained, CpuEstimator(_NetworkEngine(network, trained.spec), trained.decode))
        write_program(network, trained.spec, work / PROGRAM)
        live = _estimator(trained, work)
        golden = _golden(trained, live)
        write_onnx(network, trained.spec, work / NETWORK)
        write_first_in_float32(work / NETWORK, trained.spec, work / MIXED)
        reference = live.estimate_all(trained.measured_on.images)
        reports = _measure(trained, work, reference)
        manifest = Manifest(
            keypoints=trained.train.keypoints,
            skeleton=trained.bones,
            input=trained.spec,
            decode=trained.decode,
            tracking=default_tracking(len(trained.train.keypoints), _frame_size(trained.measured_on)),
            precisions=reports,
            training=trained.training | _errors(trained.validation, reference) | {"versions": _versions()},
            individuals=trained.individuals,
        )
        package = write_package(
            work / "package",
            manifest,
            golden,
            lambda path: shutil.copyfile(work / NETWORK, path),
            {name: _copier(work / name) for name in (PROGRAM, MIXED, Path(MIXED).with_suffix(".bin").name)},
        )
        return _put(package, folder, work / "earlier")


class _NetworkEngine(TorchEngine):
    """The reference as it will be, of a network that has not been exported yet."""

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        self.spec, self.precision, self.threads = spec, "float32", torch.get_num_threads()
        self.description = "the network itself"
        self._network = network


def _put(package: Package, folder: Path, earlier: Path) -> Package:
    """Move the package to its place; one that was there stays until this one is whole."""
    if folder.exists():
        folder.replace(earlier)
    package.path.replace(folder)
    return read_package(folder)


def _copier(source: Path) -> Callable[[Path], object]:
    return lambda target: shutil.copyfile(source, target)


def default_tracking(keypoints: int, frame_size: tuple[int, int]) -> TrackingSpec:
    """Return filter parameters from the frame's size alone, marked uncalibrated.

    Parameters
    ----------
    keypoints
        Number of keypoints K.
    frame_size
        (width, height) of the frames, px.

    Returns
    -------
    TrackingSpec
        The same parameters for every keypoint.

    Notes
    -----
    A velocity that decays with tau and is driven with strength q has variance q tau / 2 at rest; q is chosen
    so that this is `REST_SPEED_DIAGONALS_S` frame diagonals a second. The noise of an observation is `GAIN`
    times the network's covariance, on top of a floor of one squared frame pixel.
    """
    speed = REST_SPEED_DIAGONALS_S * math.hypot(*frame_size)
    strength = 2 * speed**2 / VELOCITY_TAU_S
    return TrackingSpec(
        q_px2_s3=[strength] * keypoints,
        tau_s=[VELOCITY_TAU_S] * keypoints,
        gain=[GAIN] * keypoints,
        floor_px2=[FLOOR_PX2] * keypoints,
    )


def _plain(network: PoseNetwork) -> nn.Module:
    """Return a copy for inference, its weights in the plain layout: torch's archive takes no other.

    With context it is called with a past, and returns the next one as well.
    """
    plain = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    for parameter in plain.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    return plain if plain.context is None else StreamingExport(plain).eval()


def _golden(trained: Trained, live: Estimator) -> Golden:
    """Return raw frames of one size, of the validation set first, and the reference's keypoints in them."""
    candidates = [*trained.validation.images, *trained.train.images]
    shape = candidates[0].shape
    images = [image for image in candidates if image.shape == shape][:GOLDEN_FRAMES]
    found = live.estimate_sequence(images)
    if not (found.confidence >= GOLDEN_CONFIDENCE).any():
        raise UserError(
            f"the network is not confident of a single keypoint (highest confidence "
            f"{found.confidence.max():.2f}, needed {GOLDEN_CONFIDENCE}), so no package was written; "
            "train for more steps or label more frames"
        )
    return Golden(np.stack(images), found.xy, found.confidence)


def _measure(trained: Trained, work: Path, reference: Keypoints[FloatArray]) -> dict[str, PrecisionReport]:
    """A report for each precision that this processor has."""
    xy = trained.validation.xy if len(trained.validation) else None
    on = PrecisionReference(trained.measured_on.images, xy, reference)
    reports = {}
    for precision in precisions_of(work):
        network = estimator(work, trained.spec, trained.decode, precision, trained.individuals)
        reports[precision] = measure(network, on)
        _LOG.info(format_precision(precision, reports[precision]))
    return reports


def _estimator(trained: Trained, work: Path) -> Estimator:
    """The live chain on the reference."""
    engine = open_engine("torch", work, trained.spec, "float32", physical_cores())
    return CpuEstimator(engine, trained.decode, detections=trained.individuals)


def _errors(frames: LabeledFrames, found: Keypoints[FloatArray]) -> dict[str, Any]:
    """Return the validation errors under `errors`, in frame px; nothing where no frame was kept back.

    They are given for all keypoints and (median) by keypoint, null for one without a label.
    """
    if not len(frames):
        return {}
    apart = label_errors(found, frames.xy).reshape(-1, len(frames.keypoints))
    per_keypoint: dict[str, float | None] = {}
    for name, column in zip(frames.keypoints, apart.T, strict=True):
        labeled = column[~np.isnan(column)]
        per_keypoint[name] = float(np.median(labeled)) if len(labeled) else None
    n = int((~np.isnan(apart)).sum())
    errors = figures(apart) | {"n": n, "per_keypoint": per_keypoint}
    if frames.several:
        errors |= animal_figures(found, frames.xy)
    return {"errors": errors}


def _frame_size(frames: LabeledFrames) -> tuple[int, int]:
    height, width = frames.images[0].shape[:2]
    return width, height


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _VERSIONED}
