"""The golden check: an engine must reproduce the keypoints that float32 gave for the golden frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.package.animals import ordered_like
from rt_pose.package.manifest import precision_report
from rt_pose.package.read import Golden, Package
from rt_pose.types import FloatArray

GOLDEN_TOLERANCE_PX = 0.05
GOLDEN_FACTOR = 1.5
"""Another precision may displace the golden keypoints by this factor of its recorded P95."""
GOLDEN_CONFIDENCE = 0.5


def golden_check(
    package: Package,
    precision: str,
    predict: Callable[[NDArray[np.uint8]], tuple[FloatArray, FloatArray]],
) -> float:
    """Measure how far an engine moves the confident golden keypoints, and refuse it beyond tolerance.

    Parameters
    ----------
    package
        The package whose golden frames are predicted.
    precision
        The engine's precision; it chooses the tolerance.
    predict
        Maps frames (G, H, W, C) uint8 to keypoints (G, K, 2) px and confidence (G, K); of several animals to
        (G, D, K, 2) and (G, D, K).

    Returns
    -------
    float
        The displacement, px: the largest for float32, the P95 for another precision.

    Raises
    ------
    UserError
        Where the displacement is beyond tolerance, no golden keypoint is confident, or the precision was not
        tried at export.
    """
    xy, _ = predict(package.golden.frames)
    confident = package.golden.confidence >= GOLDEN_CONFIDENCE
    if not confident.any():
        raise UserError(
            f"model package {package.path}: none of its golden keypoints has confidence >= "
            f"{GOLDEN_CONFIDENCE}, so no engine can be checked against it; train the model further"
        )
    displacement = _displacement(xy, package.golden, confident)
    report = precision_report(package.manifest, precision)
    if precision == "float32":
        tolerance, measured, figure = GOLDEN_TOLERANCE_PX, float(displacement.max()), "largest"
    else:
        if report is None:
            raise UserError(
                f"model package {package.path}: precision '{precision}' was never tried at export "
                f"(tried: {', '.join(package.manifest.precisions)}); export the package again"
            )
        tolerance = max(GOLDEN_FACTOR * report.displacement_p95_px, GOLDEN_TOLERANCE_PX)
        measured, figure = float(np.percentile(displacement, 95)), "P95"
    if not measured <= tolerance:
        raise UserError(
            f"model package {package.path}: this engine in {precision} moves the golden keypoints by "
            f"{measured:.3f} px ({figure}), tolerance {tolerance:.3f} px; try `--engine.precision float32`"
        )
    return measured


def _displacement(xy: FloatArray, golden: Golden, confident: NDArray[np.bool_]) -> FloatArray:
    """How far the confident keypoints are from where they should be; infinite where one was not found.

    Of several animals fewer may be asked for than the golden frames hold: the surest of them are compared.
    """
    moved: FloatArray = np.linalg.norm(ordered_like(xy, golden.xy) - golden.xy, axis=-1)
    if xy.ndim == 3:
        return moved[confident]
    if xy.shape[1] < golden.xy.shape[1]:
        confident = confident & np.isfinite(moved)
    return np.nan_to_num(moved[confident], nan=np.inf)
