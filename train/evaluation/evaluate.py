"""`rt-pose train evaluate`: how good a package is, on labels and on videos, as figures, CSVs and one page."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rt_pose.config.build import build
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.offline.coverage import COVERED, coverage_of, coverage_text
from rt_pose.offline.find_videos import VideoJob, find_videos
from rt_pose.package import Package, read_package
from rt_pose.video import VideoInfo
from train.data.labels import Channels, LabeledFrames, read_labels
from train.data.near_copies import near_copies_note
from train.evaluation import labeled, video_metrics
from train.evaluation.config import EvaluateConfig
from train.evaluation.page import page
from train.evaluation.pictures import Picture, worst_labeled, worst_steps
from train.evaluation.spaces import Space, fit_pose, fit_views, resolve_views

_LOG = logging.getLogger(__name__)

POSE, VIEWS = "pca_singleview_error", "pca_multiview_error"
"""Names of the metrics, which are Lightning Pose's."""
VIDEO_FOLDER = "video_preds"


@dataclass
class _Job:
    """The inputs of an evaluation, before the network runs."""

    package: Package
    data: Path
    frames: LabeledFrames
    sets: labeled.Sets
    views: list[list[int]]
    jobs: list[VideoJob]
    infos: list[VideoInfo]


def evaluate(config: EvaluateConfig) -> Path:
    """Evaluate a package, and write OUT/evaluation.html, evaluation.json, predictions*.csv and video_preds/.

    Parameters
    ----------
    config
        Package, labels, videos and settings.

    Returns
    -------
    Path
        OUT/evaluation.html.

    Raises
    ------
    UserError
        Before the network runs, where package, labels, views or a video cannot be used.
    """
    job, out = _prepare(config), Path(config.out)
    keypoints = job.frames.keypoints
    engine = build(EngineConfig, {"precision": config.engine}, "evaluate")
    detections = max(job.package.manifest.individuals, job.frames.individuals)
    choice = choose_engine(job.package, engine, detections)
    for line in job.frames.notes:
        _LOG.info(line)
    _LOG.info(f"engine: {choice}")
    _LOG.info(f"{len(job.frames)} labeled frames, split {job.sets.how}")
    train, validation = (job.frames.xy[job.sets.of(side)] for side in (labeled.TRAIN, labeled.VALIDATION))
    for line in near_copies_note(train, validation):
        _LOG.info(line)
    spaces = _spaces(job)
    seen = labeled.predict_labeled(job.frames, job.sets, choice.estimator, spaces)
    labeled.write_files(seen, out)
    figures: dict[str, Any] = {
        "model": _model(job.package),
        "engine": str(choice),
        "data": {"folder": job.data.name, "labels": config.labels, "split": job.sets.how},
        "spaces": {name: {"poses": s.poses, "components": len(s.components)} for name, s in spaces.items()},
        "settings": {
            key: value for key, value in asdict(config).items() if key not in ("model", "data", "out")
        },
        "labels": labeled.figures_of(seen, job.package, choice.estimator, config),
        "videos": {},
    }
    figures["coverage"] = _coverage(figures["labels"])
    pictures = {"labels": worst_labeled(seen, config.worst)}
    curves = {}
    for video, info in zip(job.jobs, job.infos, strict=True):
        film = video_metrics.predict_video(job.package, choice.estimator, video, info, spaces, config)
        video_metrics.write_files(film, keypoints)
        figures["videos"][video.name] = video_metrics.figures_of(film, job.package, choice.estimator)
        pictures[video.name] = worst_steps(film, keypoints, job.package.manifest.input.channels, config.worst)
        curves[video.name] = film.metrics
    return _write(out, figures, pictures, curves)


def _model(package: Package) -> dict[str, Any]:
    coverage = coverage_of(package.manifest)
    return {
        "sha256": package.sha256,
        "keypoints": package.manifest.keypoints,
        "calibrated": package.manifest.tracking.calibrated,
        "coverage": None if coverage is None else asdict(coverage),
        "covariance": coverage_text(package.manifest),
    }


def _coverage(labels: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Of the labels that were kept back, how many lie within the ellipses of the filter's covariance."""
    found = labels.get(labeled.VALIDATION, {}).get("covariance", {}).get("filter", {"n": 0})
    if not found["n"]:
        return None
    return {"n": found["n"], "held": {f"{level:g}": found["held"][f"{level:g}"] for level in COVERED}}


def _prepare(config: EvaluateConfig) -> _Job:
    _check(config)
    package, data = read_package(config.model), Path(config.data).expanduser()
    channels: Channels = "gray" if package.manifest.input.channels == 1 else "rgb"
    several = package.manifest.individuals > 1
    _check_several(package, config)
    frames = read_labels(data, config.labels, channels, package.manifest.keypoints, several=several)
    frames = frames.as_several() if several else frames
    jobs = find_videos(config.videos, Path(config.out) / VIDEO_FOLDER) if config.videos else []
    return _Job(
        package,
        data,
        frames,
        labeled.sets_of(frames, data.resolve(), package.manifest),
        resolve_views(config.views, frames.keypoints),
        jobs,
        video_metrics.check_videos(package, jobs),
    )


def _check_several(package: Package, config: EvaluateConfig) -> None:
    """Refuse what is measured of one animal alone."""
    if package.manifest.individuals == 1:
        return
    for key in ("videos", "views"):
        if getattr(config, key):
            raise UserError(
                f"train evaluate: {key}: not measured for a package of several animals, whose keypoints "
                "of one frame do not say which animal they were in the last; evaluate it on labels alone"
            )


def _check(config: EvaluateConfig) -> None:
    problems = [
        f"{name}: expected at least 1, got {getattr(config, name)}"
        for name in ("frames", "jitter_frames", "worst")
        if getattr(config, name) < 1
    ]
    if not config.within_px or not all(0 < limit < math.inf for limit in config.within_px):
        problems.append(f"within_px: expected distances of more than 0 px, got {config.within_px}")
    if not 0 < config.sure_px < math.inf:
        problems.append(f"sure_px: expected more than 0 px, got {config.sure_px}")
    if problems:
        raise UserError("train evaluate:\n  " + "\n  ".join(problems))


def _spaces(job: _Job) -> dict[str, Space]:
    """Fit the spaces to the labels that were trained on; to all where nothing says which those are.

    Several animals, which go where they will, have none.
    """
    if job.frames.several:
        return {}
    training = job.sets.of(labeled.TRAIN)
    labels = job.frames.xy[training] if training.any() else job.frames.xy
    fitted = {POSE: fit_pose(labels), VIEWS: fit_views(labels, job.views)}
    spaces = {}
    for name, space in fitted.items():
        if space is not None:
            spaces[name] = space
            n = len({k for group in space.keypoints for k in group})
            _LOG.info(f"{name}: {len(space.components)} components from {space.poses} rows, {n} keypoints")
        elif name == POSE or job.views:
            _LOG.info(f"{name}: too few labels in which all its keypoints are there; not measured")
    return spaces


def _write(
    out: Path,
    figures: dict[str, Any],
    pictures: dict[str, list[Picture]],
    curves: dict[str, dict[str, np.ndarray]],
) -> Path:
    with atomic_writer(out / "evaluation.json") as file:
        # What is not finite becomes null.
        plain = msgspec.json.encode(figures, enc_hook=lambda number: number.item())
        file.write(msgspec.json.format(plain, indent=1).decode() + "\n")
    with atomic_writer(out / "evaluation.html") as file:
        file.write(page(figures, pictures, curves))
    for name, found in figures["labels"].items():
        error = found["pixel_error"]
        if error["n"]:
            _LOG.info(
                f"{name}: pixel error median {error['median_px']:.2f}, mean {error['mean_px']:.2f}, P90 "
                f"{error['p90_px']:.2f} (n {error['n']}); noise moves it by {_jitter(found)}"
            )
        if animals := found.get("animals"):
            _LOG.info(f"{name}: {animals['found']:.1%} of keypoints found, OKS mAP {animals['oks_map']:.3f}")
    if coverage := figures["coverage"]:
        shares = ", ".join(f"{share:.0%} in {float(level):.0%}" for level, share in coverage["held"].items())
        _LOG.info(f"labels kept back: the ellipses of the filter's covariance hold {shares}")
    for name, found in figures["videos"].items():
        steps = found[video_metrics.TEMPORAL]["all"]
        if steps["n"]:
            _LOG.info(
                f"{name}: temporal norm median {steps['median_px']:.2f}, P99.9 {steps['p99_9_px']:.2f} px "
                f"(n {steps['n']}); noise moves it by {_jitter(found)}"
            )
    return out / "evaluation.html"


def _jitter(found: dict[str, Any]) -> str:
    noise = found["jitter"]["noise"]
    return f"{noise['median_px']:.3f} px (P95 {noise['p95_px']:.3f}, n {noise['n']})"
