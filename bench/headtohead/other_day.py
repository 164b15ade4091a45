"""Paws on another day: how far a network's lie from where five others agree.

There are no labels of that day. The reference is the median of five networks of another program, where at
least four of them lie within `AGREE_PX` of it; what is left out is stated. It has the eight paw points: four
seen from the side (`_top`) and four in the mirror from below (`_bot`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy.compare import BLOCK_FRAMES
from bench.accuracy.statistics import Counts, Interval, Sample, mean, nested_draws, quantile
from bench.headtohead.answers import OtherDay
from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.types import FloatArray

REFERENCE = "eks-ensembles/mirror-mouse"
AGREE_PX, AGREEING = 10.0, 4
FAR_PX = 20.0
"""A paw further than this from the reference is wrong."""
CONFIDENT = 0.9
SIDE = "_top"
Statistic = Callable[[Sample, Counts], FloatArray]


@dataclass
class DayReference:
    """Where the five networks agree. F frames, P paws."""

    paws: list[str]
    xy: FloatArray
    """(F, P, 2) px; NaN where they do not agree."""

    @property
    def left_out(self) -> float:
        """Share of the points on which they do not agree."""
        return float(np.isnan(self.xy).any(axis=-1).mean())


@dataclass(frozen=True)
class DayMetric:
    """A figure of the other day."""

    key: str
    title: str
    values: Callable[[FloatArray, FloatArray, DayReference], FloatArray]
    """Of distances (F, P) px, confidence (F, P) and the reference: (F, P), NaN where a point does not
    count."""
    statistic: Statistic
    share: bool = False
    """Whether it is a share, not px."""


def read_reference(folder: Path, frames: int) -> DayReference:
    """Read the five networks' answers to the day's first frames.

    Parameters
    ----------
    folder
        Folder of their tables.
    frames
        F.

    Returns
    -------
    DayReference
        Where they agree.

    Raises
    ------
    UserError
        Where there are no tables, or they differ in their keypoints.
    """
    tables = [read_predictions(file) for file in sorted(folder.glob("*.csv"))]
    if len(tables) < AGREEING or len({tuple(table.keypoints) for table in tables}) > 1:
        raise UserError(f"{folder}: expected tables of {AGREEING} networks or more, of the same keypoints")
    return agreed(np.stack([table.xy[:frames] for table in tables]), tables[0].keypoints)


def agreed(xy: FloatArray, paws: list[str]) -> DayReference:
    """Take the median of networks where enough of them lie near it.

    Parameters
    ----------
    xy
        (N, F, P, 2) px.
    paws
        P names.

    Returns
    -------
    DayReference
        The reference.
    """
    median = np.median(xy, axis=0)
    near = np.linalg.norm(xy - median, axis=-1) <= AGREE_PX
    return DayReference(paws, np.where((near.sum(axis=0) >= AGREEING)[..., None], median, np.nan))


def _known(apart: FloatArray, _confidence: FloatArray, _reference: DayReference) -> FloatArray:
    return apart


def _far(apart: FloatArray, _confidence: FloatArray, _reference: DayReference) -> FloatArray:
    return np.where(np.isnan(apart), np.nan, apart > FAR_PX)


def _far_side(apart: FloatArray, confidence: FloatArray, reference: DayReference) -> FloatArray:
    side = np.array([paw.endswith(SIDE) for paw in reference.paws])
    return np.where(side, _far(apart, confidence, reference), np.nan)


def _far_confident(apart: FloatArray, confidence: FloatArray, reference: DayReference) -> FloatArray:
    return np.where(confidence >= CONFIDENT, _far(apart, confidence, reference), np.nan)


DAY_METRICS = (
    DayMetric("p50", "paws, P50, px", _known, quantile(0.5)),
    DayMetric("p99", "paws, P99, px", _known, quantile(0.99)),
    DayMetric("far", f"over {FAR_PX:g} px", _far, mean, True),
    DayMetric("far_side", f"over {FAR_PX:g} px, side view", _far_side, mean, True),
    DayMetric("far_confident", f"over {FAR_PX:g} px at {CONFIDENT} and above", _far_confident, mean, True),
)
OTHER_PAW = "other_paw"
OTHER_PAW_TITLE = f"over {FAR_PX:g} px and on another paw"


@dataclass
class DayNetwork:
    """A network's answers on the paws."""

    xy: FloatArray
    """(F, P, 2) px."""
    confidence: FloatArray
    """(F, P)."""


def on_paws(answers: OtherDay, keypoints: Sequence[str], reference: DayReference) -> DayNetwork:
    """Take a network's answers on the reference's paws.

    Parameters
    ----------
    answers
        Of all keypoints.
    keypoints
        Their names.
    reference
        The reference.

    Returns
    -------
    DayNetwork
        In the reference's order.

    Raises
    ------
    UserError
        Where the network has no such paw, or saw other frames.
    """
    missing = [paw for paw in reference.paws if paw not in keypoints]
    if missing or len(answers.xy) != len(reference.xy):
        raise UserError(
            f"other day: {len(answers.xy)} frames, expected {len(reference.xy)}; "
            f"keypoints that are missing: {', '.join(missing) or 'none'}"
        )
    columns = [list(keypoints).index(paw) for paw in reference.paws]
    return DayNetwork(answers.xy[:, columns], answers.confidence[:, columns])


def distances_of(network: DayNetwork, reference: DayReference) -> FloatArray:
    """Compute distances from the reference.

    Parameters
    ----------
    network
        A network's answers.
    reference
        The reference.

    Returns
    -------
    FloatArray
        (F, P) px; NaN where the five do not agree; infinite where the network gives no position.
    """
    apart = np.linalg.norm(network.xy - reference.xy, axis=-1)
    missing = np.isnan(apart) & ~np.isnan(reference.xy).any(axis=-1)
    return np.where(missing, np.inf, apart)


def on_another_paw(network: DayNetwork, reference: DayReference) -> FloatArray:
    """Tell which points are wrong and lie on another paw of the same view.

    Parameters
    ----------
    network
        A network's answers.
    reference
        The reference.

    Returns
    -------
    FloatArray
        (F, P) 1 or 0; NaN where the five do not agree.
    """
    apart = distances_of(network, reference)
    gaps = np.linalg.norm(network.xy[:, :, None] - reference.xy[:, None], axis=-1)  # (F, paw, other)
    side = np.array([paw.endswith(SIDE) for paw in reference.paws])
    others = (side[:, None] == side[None]) & ~np.eye(len(side), dtype=bool)
    taken = (np.where(others, gaps, np.inf) <= AGREE_PX).any(axis=-1)
    return np.where(np.isnan(apart), np.nan, (apart > FAR_PX) & taken)


def day_figures(networks: Sequence[DayNetwork], reference: DayReference) -> dict[str, dict[str, Any]]:
    """Compute every figure of networks taken together.

    Parameters
    ----------
    networks
        The networks.
    reference
        The reference.

    Returns
    -------
    dict[str, dict[str, Any]]
        By figure: value, low, high and n (points).
    """
    counts = _counts(networks, reference)
    found = {}
    for key, statistic, sample in _samples(networks, reference):
        found[key] = asdict(Interval.of(statistic(sample, counts))) | {"n": len(sample.values)}
    return found


def day_differences(
    own: Sequence[DayNetwork], base: Sequence[DayNetwork], reference: DayReference
) -> dict[str, dict[str, Any]]:
    """Compute paired differences own - base; negative is better.

    Parameters
    ----------
    own, base
        The networks of each pair.
    reference
        The reference.

    Returns
    -------
    dict[str, dict[str, Any]]
        By figure: value, low and high.
    """
    counts = _counts(own, reference)
    pairs = zip(_samples(own, reference), _samples(base, reference), strict=True)
    return {
        key: asdict(Interval.of(statistic(one, counts) - statistic(other, counts)))
        for (key, statistic, one), (_, _, other) in pairs
    }


def _samples(networks: Sequence[DayNetwork], reference: DayReference) -> list[tuple[str, Statistic, Sample]]:
    apart = [distances_of(network, reference) for network in networks]
    found = []
    for metric in DAY_METRICS:
        values = [
            metric.values(distances, network.confidence, reference)
            for distances, network in zip(apart, networks, strict=True)
        ]
        found.append((metric.key, metric.statistic, _sample(values)))
    found.append((OTHER_PAW, mean, _sample([on_another_paw(network, reference) for network in networks])))
    return found


def _sample(values: Sequence[FloatArray]) -> Sample:
    """Network and block of frames are the cluster."""
    frames, points = values[0].shape
    block = np.repeat(np.arange(frames) // BLOCK_FRAMES, points)
    blocks = -(-frames // BLOCK_FRAMES)
    cluster = np.concatenate([i * blocks + block for i in range(len(values))])
    return Sample.of(np.concatenate([own.ravel() for own in values]), cluster)


def _counts(networks: Sequence[DayNetwork], reference: DayReference) -> Counts:
    return nested_draws(len(networks), -(-len(reference.xy) // BLOCK_FRAMES))
