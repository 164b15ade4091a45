"""The rows of the accuracy table: every figure with its interval, and against the supervised row.

A network is paired with the supervised one of the same labels, fold and seed; an ensemble or a distilled
network, which is of many seeds, with each supervised one of its labels and fold. Rows that have other folds
than the supervised row are compared on the folds that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.accuracy.amplitude_slope import amplitude_slope
from bench.accuracy.cells import ENSEMBLE, LEARNERS, ROWS
from bench.accuracy.reference_set import Mask, Network, ReferenceSet
from bench.accuracy.statistics import Counts, Interval, Sample, draws, mean, nested_draws, quantile
from rt_pose.package import GOLDEN_CONFIDENCE
from rt_pose.types import FloatArray

SUPERVISED = "supervised"
BLOCK_FRAMES = 25
"""Frames of the video that are drawn together: a tenth of a second at 250 a second."""
TOLERANCE = 0.10
"""Largest relative difference of the step amplitude from the reference's."""
LEAST_STEP = 2 / 3
"""Least share of the step amplitude of networks without temporal losses. They swap legs, which makes
steps look long, so that a row need not come within a tenth of them; a pose that stands still is far below."""
Statistic = Callable[[Sample, Counts], FloatArray]
Chosen = Callable[[Network, ReferenceSet], tuple[FloatArray, Mask]]
"""A network's distances (F, K) px, and which of them count."""


@dataclass(frozen=True)
class Metric:
    """A figure of the table."""

    key: str
    title: str
    chosen: Chosen
    statistic: Statistic
    headline: bool = False
    """Whether semi-supervised training should beat supervised training on it."""


def _both(of: Mask) -> Mask:
    """(T, K) in this frame and in the one before."""
    found = of & np.roll(of, 1, axis=0)
    found[0] = False
    return found


def _temporal_seen(n: Network, references: ReferenceSet) -> tuple[FloatArray, Mask]:
    return n.temporal, _both(references.seen) & references.present


def _temporal_confident(n: Network, _on: ReferenceSet) -> tuple[FloatArray, Mask]:
    return n.temporal, _both(n.measured.confidence >= GOLDEN_CONFIDENCE)


def _temporal_all(n: Network, _on: ReferenceSet) -> tuple[FloatArray, Mask]:
    return n.temporal, np.ones_like(n.temporal, bool)


def _pose(n: Network, references: ReferenceSet) -> tuple[FloatArray, Mask]:
    return n.pose, references.seen & references.present


def _mirror(n: Network, references: ReferenceSet) -> tuple[FloatArray, Mask]:
    """Where all views of the part are seen: one that is not lies anywhere, and takes the others along."""
    seen = np.zeros_like(references.seen)
    for group in references.mirror.keypoints if references.mirror else ():
        seen[:, group] = (references.seen & references.present)[:, group].all(axis=1, keepdims=True)
    return n.mirror, seen


def _noise(n: Network, references: ReferenceSet) -> tuple[FloatArray, Mask]:
    return n.noise, (references.seen & references.present)[n.measured.some]


def _bf16(n: Network, references: ReferenceSet) -> tuple[FloatArray, Mask]:
    return n.bf16, (references.seen & references.present)[n.measured.some]


MEDIAN, P90, P95, P99, P999 = (quantile(q) for q in (0.5, 0.9, 0.95, 0.99, 0.999))
PIXEL: dict[str, tuple[str, Statistic]] = {
    "error_median": ("pixel error, median", MEDIAN),
    "error_mean": ("pixel error, mean", mean),
    "error_p90": ("pixel error, P90", P90),
}
VIDEO = (
    Metric("temporal_median", "temporal norm, median", _temporal_seen, MEDIAN),
    Metric("temporal_p99", "temporal norm, P99", _temporal_seen, P99),
    Metric("temporal_p99_9", "temporal norm, P99.9", _temporal_seen, P999, True),
    Metric("temporal_p99_9_sure", "temporal norm, P99.9, pairs sure by itself", _temporal_confident, P999),
    Metric("temporal_p99_9_all", "temporal norm, P99.9, all pairs", _temporal_all, P999),
    Metric("pose_median", "pose-PCA error, median", _pose, MEDIAN, True),
    Metric("pose_mean", "pose-PCA error, mean", _pose, mean, True),
    Metric("pose_p99", "pose-PCA error, P99", _pose, P99),
    Metric("mirror_median", "mirror-consistency error, median", _mirror, MEDIAN, True),
    Metric("mirror_mean", "mirror-consistency error, mean", _mirror, mean, True),
    Metric("mirror_p99", "mirror-consistency error, P99", _mirror, P99),
    Metric("jitter_median", "jitter, one grey level, median", _noise, MEDIAN, True),
    Metric("jitter_p95", "jitter, one grey level, P95", _noise, P95, True),
    Metric("bf16_median", "moved by bf16, median", _bf16, MEDIAN),
    Metric("bf16_p95", "moved by bf16, P95", _bf16, P95),
)
TITLES = {key: title for key, (title, _) in PIXEL.items()} | {m.key: m.title for m in VIDEO}
HEADLINES = [m.key for m in VIDEO if m.headline]


def table_rows(networks: Sequence[Network], references: ReferenceSet) -> list[dict[str, Any]]:
    """Make a record for each row and number of labels that has networks.

    Parameters
    ----------
    networks
        All that were measured.
    references
        What they are measured with.

    Returns
    -------
    list[dict[str, Any]]
        In the order of the rows.
    """
    found = []
    for row in ROWS:
        for labels in sorted({n.cell.labels for n in networks if n.cell.row == row}):
            own = [n for n in networks if n.cell.row == row and n.cell.labels == labels]
            base = [n for n in networks if n.cell.row == SUPERVISED and n.cell.labels == labels]
            found.append(_row(row, labels, own, base, references))
    return found


def pairs_of(own: Sequence[Network], base: Sequence[Network]) -> list[tuple[Network, Network]]:
    """Pair each network with the supervised ones to which it is compared.

    Parameters
    ----------
    own
        Networks of one row.
    base
        Supervised networks.

    Returns
    -------
    list[tuple[Network, Network]]
        The pairs.
    """
    many = {ENSEMBLE, *LEARNERS}
    return [
        (n, b)
        for n in own
        for b in base
        if n.cell.fold == b.cell.fold and (n.cell.seed == b.cell.seed or n.cell.row in many)
    ]


def _row(
    row: str, labels: int, own: list[Network], base: list[Network], references: ReferenceSet
) -> dict[str, Any]:
    pairs = pairs_of(own, base)
    taken = list({n.cell: n for n, _ in pairs}.values()) or own
    found = {
        "row": row,
        "labels": labels,
        "networks": len(taken),
        "folds": sorted({n.cell.fold for n in taken}),
        "seeds": sorted({n.cell.seed for n in taken}),
        "held_out_frames": len({name for n in taken for name in n.measured.held_names}),
        "figures": figures(taken, references),
        "steps": steps(taken),
        "reach": amplitude_slope(taken, references.steppers),
        "against_supervised": None,
    }
    if row != SUPERVISED and pairs:
        found["against_supervised"] = paired_differences(
            [n for n, _ in pairs], [b for _, b in pairs], references
        )
    return found


def figures(networks: Sequence[Network], references: ReferenceSet) -> dict[str, dict[str, Any]]:
    """Compute every figure of networks taken together.

    Parameters
    ----------
    networks
        The networks.
    references
        What they are measured with.

    Returns
    -------
    dict[str, dict[str, Any]]
        By figure: value, low and high (px), and n (keypoints).
    """
    found = {}
    sample, counts = held_out_sample(networks), _frame_draws(networks)
    for key, (_, statistic) in PIXEL.items():
        found[key] = asdict(Interval.of(statistic(sample, counts))) | {"n": len(sample.values)}
    for metric in VIDEO:
        sample = video_sample(networks, metric, references)
        if len(sample.values):
            drawn = metric.statistic(sample, _video_draws(networks, references))
            found[metric.key] = asdict(Interval.of(drawn)) | {"n": len(sample.values)}
    return found


def paired_differences(
    own: Sequence[Network], base: Sequence[Network], references: ReferenceSet
) -> dict[str, dict[str, Any]]:
    """Compute paired differences own - base; negative is better.

    Parameters
    ----------
    own, base
        The networks of each pair.
    references
        What they are measured with.

    Returns
    -------
    dict[str, dict[str, Any]]
        By figure: value, low and high (px), the relative difference, and how often each side won; `won` and
        `lost` count held-out frames for pixel errors, pairs of networks for the video's figures.
    """
    found = {}
    one, other, counts = held_out_sample(own), held_out_sample(base), _frame_draws(own)
    by_frame = _means(one, counts.shape[1]) - _means(other, counts.shape[1])
    for key, (_, statistic) in PIXEL.items():
        found[key] = _difference(statistic(one, counts), statistic(other, counts), by_frame)
    counts = _video_draws(own, references)
    for metric in VIDEO:
        one, other = video_sample(own, metric, references), video_sample(base, metric, references)
        if len(one.values) and len(other.values):
            single = np.array(
                [
                    _single(n, metric, references) - _single(b, metric, references)
                    for n, b in zip(own, base, strict=True)
                ]
            )
            found[metric.key] = _difference(
                metric.statistic(one, counts), metric.statistic(other, counts), single
            )
    return found


def _difference(own: FloatArray, base: FloatArray, single: FloatArray) -> dict[str, Any]:
    return asdict(Interval.of(own - base)) | {
        "relative": float((own[0] - base[0]) / base[0]) if base[0] else 0.0,
        "won": int((single < 0).sum()),
        "lost": int((single > 0).sum()),
    }


def held_out_sample(networks: Sequence[Network]) -> Sample:
    """Collect errors on held-out frames; the frame is the cluster, whichever network saw it.

    Parameters
    ----------
    networks
        The networks.

    Returns
    -------
    Sample
        px.
    """
    places = _frames(networks)
    values, cluster = [], []
    for n in networks:
        errors = n.measured.errors
        own = np.array([places[name] for name in n.measured.held_names])
        values.append(errors.ravel())
        cluster.append(np.repeat(own, errors.shape[1]))
    return Sample.of(np.concatenate(values), np.concatenate(cluster))


def video_sample(networks: Sequence[Network], metric: Metric, references: ReferenceSet) -> Sample:
    """Collect a metric's distances on the video; network and block of frames are the cluster.

    Parameters
    ----------
    networks
        The networks.
    metric
        The metric.
    references
        What they are measured with.

    Returns
    -------
    Sample
        px.
    """
    values, cluster = [], []
    for i, n in enumerate(networks):
        distances, counts = metric.chosen(n, references)
        frames = n.measured.some if len(distances) != len(references.seen) else np.arange(len(distances))
        block = i * _blocks(references) + frames // BLOCK_FRAMES
        values.append(np.where(counts, distances, np.nan).ravel())
        cluster.append(np.repeat(block, distances.shape[1]))
    return Sample.of(np.concatenate(values), np.concatenate(cluster))


def _single(network: Network, metric: Metric, references: ReferenceSet) -> float:
    sample = video_sample([network], metric, references)
    return float(metric.statistic(sample, np.ones((1, _blocks(references)), np.int64))[0])


def steps(networks: Sequence[Network]) -> dict[str, dict[str, Any]]:
    """Compute step amplitude and speed as ratios to each reference's.

    Parameters
    ----------
    networks
        The networks, taken together.

    Returns
    -------
    dict[str, dict[str, Any]]
        By reference: the mean, the least and the most amplitude of the keypoints, and the ratio of P95 of the
        speed; `within`: the mean is within `TOLERANCE` of the reference.
    """
    found = {}
    for name in networks[0].steps:
        ratio = np.mean([n.steps[name] for n in networks], axis=0)
        speed = np.mean([n.speeds[name] for n in networks], axis=0)
        if np.isfinite(ratio).any():
            amplitude = float(np.nanmean(ratio))
            found[name] = {
                "amplitude": amplitude,
                "least": float(np.nanmin(ratio)),
                "most": float(np.nanmax(ratio)),
                "speed": float(np.nanmean(speed)),
                "within": abs(amplitude - 1) <= TOLERANCE,
            }
    return found


def steps_shortfall(found: dict[str, dict[str, Any]]) -> list[str]:
    """Say why a row's smoothness is no merit.

    The first reference is the ensemble's. Were it alone, networks that all learned to stand still would find
    one another stepping as far as they should.

    Parameters
    ----------
    found
        What `steps` returned.

    Returns
    -------
    list[str]
        The references of which its steps fall short; empty where there are none.
    """
    short = []
    for i, (name, own) in enumerate(found.items()):
        if not own["within"] if i == 0 else own["amplitude"] < LEAST_STEP:
            short.append(f"{own['amplitude']:.2f} of those of the {name}")
    return short


def _frames(networks: Sequence[Network]) -> dict[str, int]:
    names = sorted({name for n in networks for name in n.measured.held_names})
    return {name: i for i, name in enumerate(names)}


def _frame_draws(networks: Sequence[Network]) -> Counts:
    return draws(len(_frames(networks)))


def _video_draws(networks: Sequence[Network], references: ReferenceSet) -> Counts:
    return nested_draws(len(networks), _blocks(references))


def _blocks(references: ReferenceSet) -> int:
    return -(-len(references.seen) // BLOCK_FRAMES)


def _means(sample: Sample, clusters: int) -> FloatArray:
    n = np.bincount(sample.cluster, minlength=clusters)
    found: FloatArray = np.bincount(sample.cluster, sample.values, clusters) / np.maximum(n, 1)
    return found
