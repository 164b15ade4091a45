"""What both programs' tracks of two flies are worth: one evaluator for errors, animals and identities."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.accuracy.statistics import Counts, Interval, Sample, draws, mean, quantile
from bench.headtohead.fly_data import ANIMALS, FlyTruth
from bench.headtohead.steps import call
from bench.headtohead.tracks import NO_IDENTITY, Tracks
from bench.identity.scores import find_crossings
from rt_pose.inference.decode import Keypoints
from rt_pose.types import FloatArray
from train.accuracy import distances
from train.animals import aligned, animal_sizes, mean_average_precision, missed_as_size

WORKER = Path(__file__).with_name("motmetrics_worker.py")
BLOCK_FRAMES = 25
"""Frames that are drawn together: neighbours err together."""
MAP_DRAWS = 200
"""Draws of the interval of OKS mAP, which is computed anew for each."""
SAME = 0.5
"""A found animal may be a labeled one where its keypoints are nearer on average than this, in sizes of it."""
STATISTICS = {"median_px": quantile(0.5), "mean_px": mean, "p90_px": quantile(0.9)}
TITLES = {
    "median_px": "error of what is found, median, px",
    "mean_px": "error of what is found, mean, px",
    "p90_px": "error of what is found, P90, px",
    "mean_with_missed_px": "mean, what is missed counted as the animal's size, px",
    "found": "keypoints found",
    "oks_map": "OKS mAP",
}
MORE_IS_BETTER = ("found", "oks_map")


def surest(tracks: Tracks) -> Keypoints[FloatArray]:
    """Take of each frame so many animals as there are.

    Parameters
    ----------
    tracks
        The tracks.

    Returns
    -------
    Keypoints[FloatArray]
        (F, N, K): those with the largest sum of confidences; covariances NaN.
    """
    order = np.argsort(-tracks.confidence.sum(axis=-1), axis=1, kind="stable")[:, :ANIMALS]
    xy = np.take_along_axis(tracks.xy, order[..., None, None], axis=1)
    confidence = np.take_along_axis(tracks.confidence, order[..., None], axis=1)
    return Keypoints(xy, np.full((*xy.shape, 2), np.nan), confidence)


def pose_figures(tracks: Tracks, truth: FlyTruth) -> dict[str, FloatArray]:
    """Compute each figure of the poses on the frames and on draws of blocks of them.

    Parameters
    ----------
    tracks
        A program's tracks.
    truth
        The labels.

    Returns
    -------
    dict[str, FloatArray]
        By figure (1 + draws,), see `Interval.of`; programs that saw the same frames have the same draws.
    """
    found = surest(tracks)
    rows = aligned(found, truth.xy)
    apart = distances(rows.xy, truth.xy)  # infinite where not found, NaN where unlabeled
    block = _blocks(len(truth.xy))
    counts = draws(int(block[-1]) + 1)
    cluster = np.broadcast_to(block[:, None, None], apart.shape)
    own = Sample.of(np.where(np.isfinite(apart), apart, np.nan), cluster)
    whole = Sample.of(missed_as_size(rows.xy, truth.xy), cluster)
    seen = Sample.of(np.where(np.isnan(apart), np.nan, np.isfinite(apart)), cluster)
    figures = {name: statistic(own, counts) for name, statistic in STATISTICS.items()}
    figures["mean_with_missed_px"] = mean(whole, counts)
    figures["found"] = mean(seen, counts)
    figures["oks_map"] = _map_draws(found, truth.xy, block, counts[: 1 + MAP_DRAWS])
    return figures


def _blocks(frames: int) -> NDArray[np.intp]:
    return np.arange(frames) // BLOCK_FRAMES


def _map_draws(
    found: Keypoints[FloatArray], labels: FloatArray, block: NDArray[np.intp], counts: Counts
) -> FloatArray:
    frames = [Keypoints(*own) for own in zip(*found, strict=True)]
    drawn = []
    for count in counts:
        order = np.repeat(np.arange(len(frames)), count[block])
        drawn.append(mean_average_precision([frames[i] for i in order], labels[order]))
    return np.array(drawn)


def compare_poses(
    own: dict[str, FloatArray], base: dict[str, FloatArray]
) -> dict[str, dict[str, float | bool]]:
    """Compute paired differences own - base.

    Parameters
    ----------
    own, base
        What `pose_figures` returned.

    Returns
    -------
    dict[str, dict[str, float | bool]]
        By figure value, low and high; `better`: the interval says that own is.
    """
    found: dict[str, dict[str, float | bool]] = {}
    for key, drawn in own.items():
        apart = Interval.of(drawn - base[key])
        better = apart.low > 0 if key in MORE_IS_BETTER else apart.high < 0
        found[key] = asdict(apart) | {"better": bool(better)}
    return found


def frames_of_identities(tracks: Tracks, truth: FlyTruth) -> list[dict[str, Any]]:
    """Describe each frame for py-motmetrics.

    Parameters
    ----------
    tracks
        A program's tracks; animals without an identity do not count.
    truth
        The labels; a row is an animal.

    Returns
    -------
    list[dict[str, Any]]
        objects, found and distances, None where two cannot be the same.
    """
    frames = []
    for xy, identity, labels in zip(tracks.xy, tracks.identity, truth.xy, strict=True):
        there = np.flatnonzero(np.isfinite(labels).all(axis=-1).any(axis=-1))
        given = np.flatnonzero(identity != NO_IDENTITY)
        size = animal_sizes(labels[there])[:, None, None]
        apart = np.linalg.norm(xy[None, given] - labels[there, None], axis=-1) / size  # (N, D, K)
        both = np.isfinite(apart)
        total, n = np.where(both, apart, 0.0).sum(axis=-1), both.sum(axis=-1)
        far = np.where(n > 0, total / np.maximum(n, 1), np.inf)
        frames.append(
            {
                "objects": there.tolist(),
                "found": identity[given].tolist(),
                "distances": [[value if value <= SAME else None for value in row] for row in far.tolist()],
            }
        )
    return frames


def identity_figures(tracks: Tracks, truth: FlyTruth, folder: Path, python: Path) -> dict[str, Any]:
    """Count identity switches and the like by py-motmetrics.

    Parameters
    ----------
    tracks
        A program's tracks.
    truth
        The labels.
    folder
        For its files.
    python
        Python of its environment.

    Returns
    -------
    dict[str, Any]
        Its figures, and its version.
    """
    asked, answer = folder / "motmetrics.json", folder / "motmetrics-answer.json"
    asked.write_text(json.dumps(frames_of_identities(tracks, truth)), encoding="utf-8")
    words = [str(python), str(WORKER), str(asked.absolute()), str(answer.absolute())]
    call(words, folder / "motmetrics.log")
    return dict(json.loads(answer.read_bytes()))


def touching(labels: FloatArray) -> NDArray[np.bool_]:
    """Tell which animals touch: a keypoint of one lies in the box around the other's.

    Parameters
    ----------
    labels
        (F, N, K, 2) px.

    Returns
    -------
    NDArray[np.bool_]
        (F, N, N).
    """
    known = np.isfinite(labels).all(axis=-1, keepdims=True)
    low = np.where(known, labels, np.inf).min(axis=2)[:, :, None, None]
    high = np.where(known, labels, -np.inf).max(axis=2)[:, :, None, None]
    inside = ((labels[:, None] >= low) & (labels[:, None] <= high)).all(axis=-1)  # (F, box, animal, K)
    found = inside.any(axis=-1) & ~np.eye(labels.shape[1], dtype=bool)
    both: NDArray[np.bool_] = found | found.transpose(0, 2, 1)
    return both


def crossings(truth: FlyTruth) -> int:
    """Count how often the two come so near that their boxes overlap, and part again.

    Parameters
    ----------
    truth
        The labels.

    Returns
    -------
    int
        The number.
    """
    return len(find_crossings(touching(truth.xy), truth.rate_hz))
