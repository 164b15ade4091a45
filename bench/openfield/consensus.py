"""How far networks are apart on a video without labels, each against the consensus of the others.

F frames, K keypoints, N networks; all positions are frame px. A consensus is the median of the networks,
taken for x and y each; it speaks where its networks agree, that is, where none of them is further from it
than `agree_px`. A network is judged by the consensus of the *others*, so that none is its own judge, and ours
by the same others beside it, so that both are measured by one rule on the same keypoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rt_pose.types import FloatArray

BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0)
"""Edges of the bins of likelihood."""


@dataclass
class NetworkPoses:
    """What one network finds in the video."""

    name: str
    xy: FloatArray
    """(F, K, 2) px; NaN where it found nothing."""
    likelihood: FloatArray
    """(F, K)."""


@dataclass
class Limits:
    """What counts as near and as far, frame px."""

    agree_px: float
    """Networks agree where none is further than this from their median."""
    outlier_px: float
    """Further than this from where the others agree a network is the outlier."""


def consensus(networks: Sequence[NetworkPoses], agree_px: float) -> FloatArray:
    """Compute the consensus of networks.

    Parameters
    ----------
    networks
        Their poses.
    agree_px
        They agree where none is further than this from their median, px.

    Returns
    -------
    FloatArray
        (F, K, 2) their median, px; NaN where they do not agree.
    """
    xy = np.stack([network.xy for network in networks])  # (N, F, K, 2)
    middle = np.median(xy, axis=0)
    apart = np.linalg.norm(xy - middle, axis=-1).max(axis=0)  # (F, K)
    agreed: FloatArray = np.where((apart <= agree_px)[..., None], middle, np.nan)
    return agreed


def consensus_distances(network: NetworkPoses, agreed: FloatArray) -> FloatArray:
    """Compute the distance to a consensus.

    Parameters
    ----------
    network
        Its poses.
    agreed
        (F, K, 2) the consensus, px.

    Returns
    -------
    FloatArray
        (F, K) px; NaN where there is no consensus, infinite where the network found nothing.
    """
    apart = np.linalg.norm(network.xy - agreed, axis=-1)
    return np.where(np.isfinite(agreed).all(axis=-1), np.nan_to_num(apart, nan=np.inf), np.nan)


def spread(apart: FloatArray, limits: Limits) -> dict[str, Any]:
    """Summarise distances.

    Parameters
    ----------
    apart
        px, of any shape; NaN is left out.
    limits
        What counts as an outlier.

    Returns
    -------
    dict[str, Any]
        n, median, P90 and P99 (px), and the share of outliers; n alone where there are none.
    """
    known = apart[~np.isnan(apart)]
    if not len(known):
        return {"n": 0}
    # Of values that were measured, so that one keypoint that is missing does not make a quantile infinite.
    median, p90, p99 = np.percentile(known, [50, 90, 99], method="lower")
    return {
        "n": len(known),
        "median_px": float(median),
        "p90_px": float(p90),
        "p99_px": float(p99),
        "outliers": float((known > limits.outlier_px).mean()),
    }


def by_keypoint(apart: FloatArray, keypoints: Sequence[str], limits: Limits) -> dict[str, Any]:
    """Summarise distances in all, and of each keypoint.

    Parameters
    ----------
    apart
        (F, K) px.
    keypoints
        K names.
    limits
        What counts as an outlier.

    Returns
    -------
    dict[str, Any]
        What `spread` returns, by name and for `all`.
    """
    rows = {"all": spread(apart, limits)}
    return rows | {name: spread(column, limits) for name, column in zip(keypoints, apart.T, strict=True)}


def leave_one_out(
    ours: NetworkPoses, others: Sequence[NetworkPoses], keypoints: Sequence[str], limits: Limits
) -> dict[str, dict[str, Any]]:
    """Compare each network, and ours, with the consensus of the other networks, on the same keypoints.

    Parameters
    ----------
    ours
        Our poses.
    others
        Those of the other networks.
    keypoints
        K names.
    limits
        What counts as near and as far.

    Returns
    -------
    dict[str, dict[str, Any]]
        By network, `theirs` and `ours`, each what `by_keypoint` returns.
    """
    rows = {}
    for i, network in enumerate(others):
        agreed = consensus([o for j, o in enumerate(others) if j != i], limits.agree_px)
        rows[network.name] = {
            "theirs": by_keypoint(consensus_distances(network, agreed), keypoints, limits),
            "ours": by_keypoint(consensus_distances(ours, agreed), keypoints, limits),
        }
    return rows


def by_likelihood(likelihood: FloatArray, apart: FloatArray, limits: Limits) -> list[dict[str, Any]]:
    """Summarise distances in each bin of likelihood; bins without a keypoint are left out.

    Parameters
    ----------
    likelihood, apart
        Of one shape; distances in px.
    limits
        What counts as an outlier.

    Returns
    -------
    list[dict[str, Any]]
        Edges, and what `spread` returns, of each bin.
    """
    place = np.clip(np.digitize(likelihood, BINS) - 1, 0, len(BINS) - 2)
    rows = []
    for i, (low, high) in enumerate(pairwise(BINS)):
        figures = spread(apart[place == i], limits)
        if figures["n"]:
            rows.append({"from": low, "to": high} | figures)
    return rows


def pooled_by_likelihood(networks: Sequence[NetworkPoses], limits: Limits) -> list[dict[str, Any]]:
    """Summarise several networks together by likelihood, each against the consensus of the others.

    Parameters
    ----------
    networks
        Their poses.
    limits
        What counts as near and as far.

    Returns
    -------
    list[dict[str, Any]]
        What `by_likelihood` returns.
    """
    apart = [
        consensus_distances(network, consensus([o for o in networks if o is not network], limits.agree_px))
        for network in networks
    ]
    return by_likelihood(np.stack([n.likelihood for n in networks]), np.stack(apart), limits)


def outlier_frames(apart: FloatArray, limits: Limits) -> dict[str, Any]:
    """Count the frames in which at least one keypoint is an outlier.

    Parameters
    ----------
    apart
        (F, K) px; NaN where there is no consensus.
    limits
        What counts as an outlier.

    Returns
    -------
    dict[str, Any]
        `judged`, the frames in which there is a consensus on any keypoint, and `outliers` among them.
    """
    judged = ~np.isnan(apart).all(axis=1)
    beyond = np.asarray(np.nan_to_num(apart, nan=0.0, posinf=np.inf) > limits.outlier_px).any(axis=1)
    return {"judged": int(judged.sum()), "outliers": int(beyond.sum())}
