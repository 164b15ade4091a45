"""What a package makes of videos, where there are no labels: smoothness, plausible poses, jitter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.console import track
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import Estimator, concatenated
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.prediction_files import FIELDS, write_predictions
from rt_pose.package import Package, check_frame_size
from rt_pose.types import FloatArray
from rt_pose.video import VideoInfo, probe, read_frames
from train.evaluation.config import EvaluateConfig
from train.evaluation.jitter import noise_jitter, precision_jitter
from train.evaluation.labeled import evenly, select, spread
from train.evaluation.metric_files import write_metric
from train.evaluation.spaces import Space

TEMPORAL = "temporal_norm"


@dataclass
class Filmed:
    """Predictions of a video and its metrics. T frames."""

    job: VideoJob
    info: VideoInfo
    found: Keypoints[FloatArray]
    metrics: dict[str, FloatArray]
    """(T, K) px each, by name."""
    sure: NDArray[np.bool_]
    """(T, K) keypoints of enough confidence to count as seen."""
    some: NDArray[np.intp]
    """Numbers of the frames that were kept, for jitter."""
    images: list[NDArray[np.uint8]]
    """Those frames."""


def check_videos(package: Package, jobs: list[VideoJob]) -> list[VideoInfo]:
    """What the videos hold; UserError where one cannot be used, before any is read."""
    infos = [probe(job.video) for job in jobs]
    for info in infos:
        check_frame_size(package, info.width, info.height, info.path.name)
    return infos


def watch(
    package: Package,
    network: Estimator,
    job: VideoJob,
    info: VideoInfo,
    spaces: dict[str, Space],
    config: EvaluateConfig,
) -> Filmed:
    """Run the network on a video's first frames."""
    total = min(info.frames, config.frames)
    some = evenly(total, config.jitter_frames)
    wanted, images, found = set(some.tolist()), [], []
    frames = read_frames(info.path, package.manifest.input.channels)
    past = network.begin()
    for _, frame in zip(range(total), track(frames, info.path.name, total), strict=False):
        found.append(network.estimate(frame.image, past=past.before(frame.index, frame.t_ns)))
        if frame.index in wanted:
            images.append(frame.image)
    keypoints = concatenated(found)
    sure = keypoints.confidence >= package.manifest.tracking.min_confidence
    metrics = {TEMPORAL: temporal_norm(keypoints.xy)}
    metrics |= {name: space.errors(keypoints.xy) for name, space in spaces.items()}
    return Filmed(job, info, keypoints, metrics, sure, some[: len(images)], images)


def temporal_norm(xy: FloatArray) -> FloatArray:
    """(T, K) px from the frame before; NaN in the first."""
    steps = np.full(xy.shape[:2], np.nan)
    steps[1:] = np.linalg.norm(np.diff(xy, axis=0), axis=-1)
    return steps


def figures_of(filmed: Filmed, package: Package, network: Estimator) -> dict[str, Any]:
    """Spread of each metric, of all keypoints and of those that are sure (a step: in both of its frames)."""
    figures: dict[str, Any] = {
        "frames": len(filmed.found.xy),
        "rate_hz": filmed.info.rate_hz,
        "seen_share": float(filmed.sure.mean()),
    }
    for name, values in filmed.metrics.items():
        sure = filmed.sure
        if name == TEMPORAL:
            sure = sure & np.roll(sure, 1, axis=0)
        figures[name] = {"all": spread(values), "sure": spread(np.where(sure, values, np.nan))}
    stands = select(filmed.found, filmed.some)
    figures["jitter"] = {
        "noise": noise_jitter(network, filmed.images, stands),
        **precision_jitter(package, filmed.images, stands),
    }
    return figures


def write_files(filmed: Filmed, keypoints: list[str]) -> None:
    """Lightning Pose's VIDEO.csv and VIDEO_METRIC.csv."""
    table: Path = filmed.job.out
    frames = [str(i) for i in range(len(filmed.found.xy))]
    values = np.concatenate([filmed.found.xy, filmed.found.confidence[..., None]], axis=-1)
    write_predictions(table, keypoints, frames, FIELDS, values)
    for name, metric in filmed.metrics.items():
        write_metric(table.with_name(f"{table.stem}_{name}.csv"), frames, keypoints, metric)
