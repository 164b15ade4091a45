"""Scores of positions: against a reference, and, without one, by what cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.candidates.ways import Variant
from rt_pose.errors import UserError
from rt_pose.types import FloatArray

FAR_PX = 20.0
CONFIDENT = 0.9
BINS = np.linspace(0.0, 1.0, 11)
"""Of the reliability curve."""
Mask = NDArray[np.bool_]


def percentiles(values: FloatArray) -> dict[str, float]:
    """Compute P50 and P99.

    Parameters
    ----------
    values
        Any.

    Returns
    -------
    dict[str, float]
        p50 and p99.
    """
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}


def impossible(variant: Variant, paws: list[list[int]]) -> dict[str, float]:
    """Count what cannot be, without a reference.

    Parameters
    ----------
    variant
        What was chosen.
    paws
        Of each view, in one order.

    Returns
    -------
    dict[str, float]
        Shares of paw points that are more than `FAR_PX` from where they were a frame before, by view, and of
        paws whose views are further than that apart along x.
    """
    step = np.linalg.norm(np.diff(variant.xy, axis=0), axis=-1) > FAR_PX
    side, below = (variant.xy[:, view, 0] for view in paws)
    return {
        "steps_side": float(step[:, paws[0]].mean()),
        "steps_below": float(step[:, paws[1]].mean()),
        "views_apart": float((np.abs(side - below) > FAR_PX).mean()),
    }


def compare(variant: Variant, reference: FloatArray, paws: list[list[int]]) -> dict[str, Any]:
    """Compare with a reference, in all and by view.

    Parameters
    ----------
    variant
        What was chosen.
    reference
        (F, K, 2) px; NaN where it is not known.
    paws
        Of each view.

    Returns
    -------
    dict[str, Any]
        For `all`, `side` and `below` what `_figures` returns, and the reliability of the confidence.

    Raises
    ------
    UserError
        Where the reference is known nowhere.
    """
    apart = np.linalg.norm(variant.xy - reference, axis=-1)
    known = np.isfinite(reference[..., 0])
    if not known.any():
        raise UserError("no paw to compare with: the networks agree nowhere, or none is labeled")
    apart = np.where(known & np.isnan(apart), np.inf, apart)
    swapped = np.zeros(apart.shape, dtype=bool)
    for view in paws:
        for k in view:
            others = [reference[:, o] for o in view if o != k]
            near = [np.linalg.norm(variant.xy[:, k] - o, axis=-1) <= FAR_PX for o in others]
            swapped[:, k] = np.any(near, axis=0) & (apart[:, k] > FAR_PX)
    columns = {"all": [*paws[0], *paws[1]], "side": paws[0], "below": paws[1]}
    figures: dict[str, Any] = {
        name: _figures(apart[:, of], swapped[:, of], variant.confidence[:, of])
        for name, of in columns.items()
    }
    at = columns["all"]
    return figures | {"reliability": reliability(variant.confidence[:, at], apart[:, at])}


def _figures(apart: FloatArray, swapped: Mask, confidence: FloatArray) -> dict[str, Any]:
    """Share of points that are far off, of these on another paw, and far off among the confident."""
    known = ~np.isnan(apart)
    far, sure = known & (apart > FAR_PX), known & (confidence >= CONFIDENT)
    p50, p90, p99 = np.percentile(apart[known], [50, 90, 99], method="lower")
    return {
        "n": int(known.sum()),
        "far": float(far.sum() / known.sum()),
        "on_another": float(swapped.sum() / far.sum()) if far.any() else None,
        "n_confident": int(sure.sum()),
        "far_confident": float((far & sure).sum() / sure.sum()) if sure.any() else None,
        "p50_px": float(p50),
        "p90_px": float(p90),
        "p99_px": float(p99),
    }


def reliability(confidence: FloatArray, apart: FloatArray) -> dict[str, Any]:
    """Compare confidence with how often it is right.

    Parameters
    ----------
    confidence
        0..1.
    apart
        Distance to the reference, px; NaN where that is not known.

    Returns
    -------
    dict[str, Any]
        Expected calibration error, and of each bin n, mean confidence and share within `FAR_PX`.
    """
    known = ~np.isnan(apart)
    confidence, right = confidence[known], apart[known] <= FAR_PX
    place = np.clip(np.digitize(confidence, BINS) - 1, 0, len(BINS) - 2)
    bins = [
        {"n": int(at.sum()), "confidence": float(confidence[at].mean()), "right": float(right[at].mean())}
        for i in range(len(BINS) - 1)
        if (at := place == i).any()
    ]
    off = sum(b["n"] * abs(b["confidence"] - b["right"]) for b in bins)
    return {"expected_calibration_error": off / len(confidence), "bins": bins}
