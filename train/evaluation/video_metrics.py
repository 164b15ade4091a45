"""Predictions of videos, where there are no labels: smoothness, plausible poses, jitter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.console import track
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import Estimator, concatenate
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.prediction_files import FIELDS, write_predictions
from rt_pose.package import Package, check_frame_size
from rt_pose.types import FloatArray
from rt_pose.video import VideoInfo, probe, read_frames
from train.evaluation.config import EvaluateConfig
from train.evaluation.jitter import noise_jitter, precision_jitter
from train.evaluation.labeled import evenly_spaced, select, spread
from train.evaluation.metric_files import write_metric
from train.evaluation.spaces import Space

TEMPORAL = "temporal_norm"


@dataclass
class VideoPrediction:
    """Predictions of a video and its metrics. T frames."""

    job: VideoJob
    info: VideoInfo
    found: Keypoints[FloatArray]
    metrics: dict[str, FloatArray]
    """(T, K) px each, by name."""
    confident: NDArray[np.bool_]
    """(T, K) keypoints of enough confidence to count as seen."""
    some: NDArray[np.intp]
    """Numbers of the frames that were kept, for jitter."""
    images: list[NDArray[np.uint8]]
    """Those frames."""


def check_videos(package: Package, jobs: list[VideoJob]) -> list[VideoInfo]:
    """Probe videos and check that a package can run on them, before any is decoded.

    Parameters
    ----------
    package
        The package to run.
    jobs
        The videos.

    Returns
    -------
    list of VideoInfo
        One for each video, in order.

    Raises
    ------
    UserError
        Where a video cannot be read or has frames of a wrong size.
    """
    infos = [probe(job.video) for job in jobs]
    for info in infos:
        check_frame_size(package, info.width, info.height, info.path.name)
    return infos


def predict_video(
    package: Package,
    network: Estimator,
    job: VideoJob,
    info: VideoInfo,
    spaces: dict[str, Space],
    config: EvaluateConfig,
) -> VideoPrediction:
    """Run the network on a video's first frames and compute its metrics.

    Parameters
    ----------
    package, network
        The package, and the network to run.
    job, info
        The video.
    spaces
        Spaces of plausible poses, by the metric's name.
    config
        Number of frames to predict, and to keep for the jitter.

    Returns
    -------
    VideoPrediction
        Keypoints and metrics of T frames, frame px.
    """
    total = min(info.frames, config.frames)
    some = evenly_spaced(total, config.jitter_frames)
    wanted, images, found = set(some.tolist()), [], []
    frames = read_frames(info.path, package.manifest.input.channels)
    context = network.new_context()
    for frame in track(islice(frames, total), info.path.name, total):
        found.append(network.estimate(frame.image, context=context.advance_to(frame.index, frame.t_ns)))
        if frame.index in wanted:
            images.append(frame.image)
    keypoints = concatenate(found)
    confident = keypoints.confidence >= package.manifest.tracking.min_confidence
    metrics = {TEMPORAL: temporal_norm(keypoints.xy)}
    metrics |= {name: space.errors(keypoints.xy) for name, space in spaces.items()}
    return VideoPrediction(job, info, keypoints, metrics, confident, some[: len(images)], images)


def temporal_norm(xy: FloatArray) -> FloatArray:
    """Return how far each keypoint is from where it was a frame before.

    Parameters
    ----------
    xy
        Positions (T, K, 2), px.

    Returns
    -------
    FloatArray
        Distances (T, K), px; NaN in the first frame.
    """
    steps = np.full(xy.shape[:2], np.nan)
    steps[1:] = np.linalg.norm(np.diff(xy, axis=0), axis=-1)
    return steps


def figures_of(prediction: VideoPrediction, package: Package, network: Estimator) -> dict[str, Any]:
    """Compute the spread of each metric and the jitter.

    Parameters
    ----------
    prediction
        Of the video.
    package, network
        The package, and the network that made the predictions: they run again for the jitter.

    Returns
    -------
    dict
        For each metric the spread of all keypoints and (`confident`) of the confident ones; a step counts as
        confident where both of its frames are.
    """
    figures: dict[str, Any] = {
        "frames": len(prediction.found.xy),
        "rate_hz": prediction.info.rate_hz,
        "seen_share": float(prediction.confident.mean()),
    }
    for name, values in prediction.metrics.items():
        confident = prediction.confident
        if name == TEMPORAL:
            confident = confident & np.roll(confident, 1, axis=0)
        figures[name] = {"all": spread(values), "sure": spread(np.where(confident, values, np.nan))}
    stands = select(prediction.found, prediction.some)
    figures["jitter"] = {
        "noise": noise_jitter(network, prediction.images, stands),
        **precision_jitter(package, prediction.images, stands),
    }
    return figures


def write_files(prediction: VideoPrediction, keypoints: list[str]) -> None:
    """Write VIDEO.csv and VIDEO_METRIC.csv, in Lightning Pose's layout.

    Parameters
    ----------
    prediction
        Of the video; its job names the files.
    keypoints
        Names of the K keypoints.
    """
    table: Path = prediction.job.out
    frames = [str(i) for i in range(len(prediction.found.xy))]
    values = np.concatenate([prediction.found.xy, prediction.found.confidence[..., None]], axis=-1)
    write_predictions(table, keypoints, frames, FIELDS, values)
    for name, metric in prediction.metrics.items():
        write_metric(table.with_name(f"{table.stem}_{name}.csv"), frames, keypoints, metric)
