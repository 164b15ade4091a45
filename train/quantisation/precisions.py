"""What a precision costs: error to the labels, and how far keypoints move from where float32 puts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.device import physical_cores
from rt_pose.inference.engine import engines, open_engine
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.package import GOLDEN_CONFIDENCE, DecodeSpec, InputSpec, PrecisionReport, ordered_like
from rt_pose.types import FloatArray
from train.accuracy import figures
from train.animals import label_errors

BACKEND = "openvino"
"""The engine that has precisions to choose from."""


@dataclass
class PrecisionReference:
    """Frames, and what the float32 network finds in them."""

    images: Sequence[NDArray[np.uint8]]
    """Frames (H, W, C) kept back from training; where none were, others, on which no error is known."""
    xy: FloatArray | None
    """(F, K, 2) or (F, N, K, 2) px, their labels; None: there are none, and no error is known."""
    found: Keypoints[FloatArray]
    video: Sequence[NDArray[np.uint8]] = ()
    """Frames (H, W, C) without labels."""
    video_found: Keypoints[FloatArray] | None = None


def estimator(
    folder: Path, spec: InputSpec, decode: DecodeSpec, precision: str, individuals: int = 1
) -> Estimator:
    """Open the live chain on a network, in a precision of the CPU's engine.

    Parameters
    ----------
    folder
        Folder that holds the network's files.
    spec, decode
        Its input, and how its output becomes keypoints.
    precision
        One of `precisions_of`.
    individuals
        How many animals a frame gives, for a network that finds several.
    """
    engine = open_engine(BACKEND, folder, spec, precision, physical_cores())
    return CpuEstimator(engine, decode, detections=individuals)


def precisions_of(folder: Path) -> list[str]:
    """Return the precisions that this processor has and a folder holds a network for, fastest first.

    Parameters
    ----------
    folder
        Folder that holds the networks' files.
    """
    engine = engines()[BACKEND]
    return [p for p in engine.precisions() if engine.missing(folder, p) is None]


def measure(network: Estimator, reference: PrecisionReference) -> PrecisionReport:
    """Measure a precision.

    Parameters
    ----------
    network
        The network, running in it.
    reference
        Frames, labels and the keypoints of float32.

    Returns
    -------
    PrecisionReport
        Error to the labels, where there are any, and displacement from float32; frame px.
    """
    found = network.estimate_all(reference.images)
    errors = {} if reference.xy is None else figures(label_errors(found, reference.xy))
    moved = displacement(found.xy, reference.found)
    report = PrecisionReport(
        errors.get("mean_px"),
        float(np.median(moved)),
        float(np.percentile(moved, 95)),
        errors.get("median_px"),
        errors.get("p90_px"),
        len(moved),
    )
    if reference.video_found is not None:
        moved = displacement(network.estimate_all(reference.video).xy, reference.video_found)
        report.video_median_px, report.video_p95_px = (float(q) for q in np.percentile(moved, [50, 95]))
        report.video_n = len(moved)
    return report


def displacement(xy: FloatArray, reference: Keypoints[FloatArray]) -> FloatArray:
    """Return how far keypoints are from those of the reference, of those that it is confident of.

    Parameters
    ----------
    xy
        Positions (F, K, 2), or of several animals (F, D, K, 2) in any order, px.
    reference
        Keypoints of the same F frames.

    Returns
    -------
    FloatArray
        Distances (n,), px; of all keypoints where the reference is confident of none. What was not found of
        several animals is left out: the error to the labels counts it.
    """
    confident = reference.confidence >= GOLDEN_CONFIDENCE
    if not confident.any():
        confident = np.ones_like(confident)
    moved: FloatArray = np.linalg.norm(ordered_like(xy, reference.xy) - reference.xy, axis=-1)[confident]
    return moved[np.isfinite(moved)] if xy.ndim == 4 and np.isfinite(moved).any() else moved


def format_precision(precision: str, report: PrecisionReport) -> str:
    """Describe a report in one line.

    Parameters
    ----------
    precision
        Its name.
    report
        Figures in frame px.
    """
    error = "error not known, no labels being kept back"
    if report.validation_error_px is not None:
        error = (
            f"validation error median {report.validation_median_px:.2f} px, mean "
            f"{report.validation_error_px:.2f}, P90 {report.validation_p90_px:.2f}"
        )
    text = (
        f"{precision}: {error}; moves keypoints by {report.displacement_median_px:.3f} px from the reference "
        f"(P95 {report.displacement_p95_px:.3f}, n {report.displacement_n})"
    )
    if report.video_n:
        text += f", on video {report.video_median_px:.3f} (P95 {report.video_p95_px:.3f}, n {report.video_n})"
    return text
