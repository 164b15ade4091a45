"""How honest a package's covariances are: the share of labels that their ellipses hold."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from rt_pose.package import Manifest
from rt_pose.types import FloatArray

COVERED = (0.5, 0.9, 0.99)
"""Shares of a Gaussian whose ellipses are counted."""


@dataclass
class Coverage:
    """Labels within ellipses, as the manifest's `training.calibration.coverage`."""

    n: int
    """Labels of keypoints that were seen."""
    held: dict[str, float] = field(default_factory=dict)
    """The share of them (0..1) within the ellipse that should hold so many, by that share: 0.5, 0.9, 0.99."""
    how: str = ""
    """Which labels."""


def held_shares(distance2: FloatArray, levels: tuple[float, ...] = COVERED) -> dict[str, float]:
    """Count what lies within ellipses of a Gaussian in the plane.

    Parameters
    ----------
    distance2
        Squared Mahalanobis distances of errors, one or more, (n,).
    levels
        Shares that the ellipses should hold; the squared radius of each is -2 ln(1 - level).

    Returns
    -------
    dict[str, float]
        The share that each holds, by its level.
    """
    return {f"{level:g}": float((distance2 <= -2 * np.log(1 - level)).mean()) for level in levels}


def mahalanobis2(e: FloatArray, cov: FloatArray) -> FloatArray:
    """Compute squared Mahalanobis distances.

    Parameters
    ----------
    e
        Errors (n, 2), px.
    cov
        Their covariances (n, 2, 2), px^2.

    Returns
    -------
    FloatArray
        (n,).
    """
    return np.asarray(np.einsum("ni,nij,nj->n", e, np.linalg.inv(cov), e))


def coverage_of(manifest: Manifest) -> Coverage | None:
    """Read what a package says of its covariances.

    Parameters
    ----------
    manifest
        Of the package.

    Returns
    -------
    Coverage | None
        None where it was not calibrated with labels.
    """
    calibration = manifest.training.get("calibration")
    if not manifest.tracking.calibrated or not isinstance(calibration, dict):
        return None
    try:
        return msgspec.convert(calibration.get("coverage"), Coverage)
    except msgspec.ValidationError:
        return None


def coverage_text(manifest: Manifest) -> str:
    """Say in a line how honest a package's covariances are.

    Parameters
    ----------
    manifest
        Of the package.

    Returns
    -------
    str
        The shares that the ellipses hold, or why they are not known.
    """
    if not manifest.tracking.calibrated:
        return "the package is not calibrated, so they are a guess; `rt-pose train calibrate` fits them"
    coverage = coverage_of(manifest)
    if coverage is None or not coverage.held:
        return "how many labels they hold is not known; calibrate the package with `--labels`"
    shares = ", ".join(f"{found:.0%} in {float(level):.0%}" for level, found in coverage.held.items())
    return f"of {coverage.n} labels ({coverage.how}) the ellipses hold {shares}"
