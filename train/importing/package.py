"""From a network trained elsewhere to a model package: golden frames, what each precision costs, parity.

An imported network has no labels by itself. Then only the displacement of a precision from float32 is known,
not its error, and `auto` stays with float32; labeled frames, where given, decide it.
"""

from __future__ import annotations

import importlib.metadata
import logging
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.device import physical_cores
from rt_pose.inference.engine import engines, open_engine
from rt_pose.inference.engines.openvino import input_shapes, openvino_core
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.package import (
    GOLDEN_CONFIDENCE,
    NETWORK,
    DecodeSpec,
    Golden,
    Manifest,
    Package,
    PrecisionReport,
    write_package,
)
from rt_pose.types import FloatArray
from train.accuracy import distances, figures
from train.data.labels import LabeledFrames
from train.data.sample_frames import SampleFrames, resized
from train.export import default_tracking
from train.importing.imported_network import ImportedNetwork, Original

_LOG = logging.getLogger(__name__)

GOLDEN_FRAMES = 8
CHECKED_FRAMES, MAPS_APART = 4, 1e-3
"""Frames on which the engine's way to compute a network is compared with the network as it came, and how far
their maps may be apart, as a share of their range."""


@dataclass
class ImportTrial:
    """The frames, labels and programs that an imported network is tried with."""

    frames: SampleFrames
    labels: LabeledFrames | None = None
    """Of the same keypoints in the same order."""
    originals: list[Original] | None = None
    """Programs to compare its keypoints with."""


def import_package(imported: ImportedNetwork, trial: ImportTrial, out: Path) -> Package:
    """Write the package of a network from elsewhere, and report how it compares.

    Parameters
    ----------
    imported
        The network.
    trial
        Frames to run it on, and programs to compare it with.
    out
        Folder of the package.

    Returns
    -------
    Package
        The package.

    Raises
    ------
    UserError
        Where the network cannot run, or is not confident of a single keypoint of the frames given.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="import-", dir=out.parent) as scratch:
        work = Path(scratch)
        imported.write_onnx(work / NETWORK)
        reference = _estimator(imported, work, "float32").estimate_all(trial.frames.images)
        _check_count(imported, reference)
        _check_norms(imported, work, trial.frames)
        golden = _golden(trial.frames, reference)
        parity = {
            original.name: _parity(imported, work, original, trial.frames)
            for original in trial.originals or []
        }
        reports = _measure(imported, work, trial, reference)
        manifest = Manifest(
            keypoints=imported.keypoints,
            skeleton=imported.bones,
            input=imported.spec,
            decode=imported.decode,
            tracking=default_tracking(len(imported.keypoints), trial.frames.size),
            precisions=reports,
            training=imported.provenance | {"parity_px": parity, "versions": _versions()},
        )
        return write_package(out, manifest, golden, lambda path: shutil.copyfile(work / NETWORK, path))


def compare(ours: FloatArray, theirs: FloatArray) -> dict[str, Any]:
    """Summarise the distances between the keypoints of two programs, where both see one.

    Parameters
    ----------
    ours, theirs
        Positions (F, K, 2), px; NaN where a keypoint is not seen.

    Returns
    -------
    dict
        n, median, P95 and largest distance, px; None where n is 0.
    """
    apart = np.linalg.norm(ours - theirs, axis=-1)
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        return {"n": 0, "median": None, "p95": None, "max": None}
    median, p95 = np.percentile(apart, [50, 95])
    return {"n": len(apart), "median": float(median), "p95": float(p95), "max": float(apart.max())}


def _estimator(
    imported: ImportedNetwork, work: Path, precision: str, decode: DecodeSpec | None = None
) -> Estimator:
    engine = open_engine("openvino", work, imported.spec, precision, physical_cores())
    return CpuEstimator(engine, decode or imported.decode)


def _check_count(imported: ImportedNetwork, found: Keypoints[FloatArray]) -> None:
    if found.xy.shape[1] != len(imported.keypoints):
        raise UserError(
            f"{imported.name}: its output gives {found.xy.shape[1]} keypoints with the decoder "
            f"'{imported.decode.decoder}', but {len(imported.keypoints)} are named"
        )


def _check_norms(imported: ImportedNetwork, work: Path, frames: SampleFrames) -> None:
    """Check that the engine, which computes group norms in its own way, agrees with the original graph."""
    model = openvino_core().read_model(work / NETWORK)
    model.reshape(input_shapes(imported.spec, 1))
    as_it_came = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ours = _estimator(imported, work, "float32")
    for image in frames.images[:CHECKED_FRAMES]:
        batch = ours.preprocess(image)
        wanted, found = np.asarray(as_it_came(batch)[0]), ours.infer(batch)
        apart, range_ = float(np.abs(found - wanted).max()), float(np.ptp(wanted))
        if not apart <= MAPS_APART * range_:
            raise UserError(
                f"{imported.name}: with its group norms as this engine computes them its maps differ by "
                f"{apart / range_:.2g} of their range, {MAPS_APART:g} is allowed: a group's mean is many "
                "times its deviation; train it with batch norm"
            )


def _golden(frames: SampleFrames, reference: Keypoints[FloatArray]) -> Golden:
    """The frames with the most confident keypoints, in their order."""
    confident = (reference.confidence >= GOLDEN_CONFIDENCE).sum(axis=1)
    if not confident.any():
        raise UserError(
            f"the network is not confident of a single keypoint of {frames.source} (highest confidence "
            f"{reference.confidence.max():.2f}, needed {GOLDEN_CONFIDENCE}), so no engine could be checked; "
            "give `--frames` like those it was trained on"
        )
    best = np.sort(np.argsort(-confident, kind="stable")[:GOLDEN_FRAMES])
    return Golden(np.stack([frames.images[i] for i in best]), reference.xy[best], reference.confidence[best])


def _parity(
    imported: ImportedNetwork, work: Path, original: Original, frames: SampleFrames
) -> dict[str, Any]:
    """The package's keypoints against the original's, on frames of the input's size or, where the network is
    to resize, of their own."""
    if imported.spec.frame is None:
        frames = resized(frames, imported.spec.width, imported.spec.height)
    decode = replace(imported.decode, decoder=original.decoder or imported.decode.decoder)
    ours = _estimator(imported, work, "float32", decode).estimate_all(frames.images)
    theirs = original.poses(frames.images)
    if theirs.shape[1] != len(imported.keypoints):
        raise UserError(
            f"{original.name}: it gives {theirs.shape[1]} keypoints, {len(imported.keypoints)} were imported"
        )
    result = compare(ours.xy, theirs[..., :2])
    if result["n"]:
        _LOG.info(
            f"against {original.name}: median {result['median']:.4f} px, P95 {result['p95']:.4f}, largest "
            f"{result['max']:.4f} (float32, {decode.decoder}, {result['n']} keypoints of "
            f"{len(frames.images)} frames)"
        )
    else:
        _LOG.info(
            f"against {original.name}: nothing to compare, it saw no keypoint of {len(frames.images)} frames"
        )
    return result


def _measure(
    imported: ImportedNetwork, work: Path, trial: ImportTrial, reference: Keypoints[FloatArray]
) -> dict[str, PrecisionReport]:
    """Displacement of each precision this processor has, and its error where there are labels."""
    confident = reference.confidence >= GOLDEN_CONFIDENCE
    reports = {}
    for precision in (p for p in engines()["openvino"].precisions() if p in ("float32", "bf16")):
        estimator = _estimator(imported, work, precision)
        moved = np.linalg.norm(estimator.estimate_all(trial.frames.images).xy - reference.xy, axis=-1)[
            confident
        ]
        median, p95 = (float(v) for v in np.percentile(moved, [50, 95]))
        report = PrecisionReport(None, median, p95)
        text = f"{precision}: moves keypoints by {median:.3f} px median, {p95:.3f} P95"
        if trial.labels is not None:
            found = estimator.estimate_all(trial.labels.images)
            errors = figures(distances(found.xy, trial.labels.xy))
            report.validation_error_px = errors["mean_px"]
            report.validation_median_px = errors["median_px"]
            text += f"; error to the labels median {errors['median_px']:.2f} px, mean {errors['mean_px']:.2f}"
        reports[precision] = report
        _LOG.info(text)
    return reports


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("rt-pose", "openvino", "onnx", "numpy")}
