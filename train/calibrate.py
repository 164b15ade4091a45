"""`rt-pose train calibrate`: the filter's parameters from recordings, into the model package.

Movement and noise (q, tau, gain, floor) come from the innovations of unlabeled recordings through the
package's own chain; the pose prior from frames of them in which the network was confident; the bias, which
innovations cannot show, from labeled frames that the network was not trained on. What is usual in these
recordings goes into the package too: a run tells when its poses are no longer like them.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.console import progress, track
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import Estimator
from rt_pose.offline.animal_rows import AnimalRows
from rt_pose.offline.coverage import Coverage, coverage_text, held_shares, mahalanobis2
from rt_pose.offline.drift_fit import fit_drift
from rt_pose.offline.innovations import Recorded, fit_parameters
from rt_pose.offline.pattern_search import MOST_ROUNDS
from rt_pose.offline.pose_space import pose_space, view_space
from rt_pose.package import (
    DriftSpec,
    Manifest,
    Package,
    Subspace,
    TrackingSpec,
    read_package,
    write_manifest,
)
from rt_pose.tracking.drift_statistics import STATISTICS
from rt_pose.tracking.observation_noise import error_covariance
from rt_pose.types import FloatArray
from rt_pose.video import VideoInfo, probe, read_frames
from train.animals import aligned
from train.calibrate_config import CalibrateConfig
from train.data.labels import Channels, LabeledFrames, read_labels
from train.evaluation.labeled import VALIDATION, sets_of
from train.evaluation.spaces import resolve_views

_LOG = logging.getLogger(__name__)

GATE_CHI2 = 10.6
"""99.5 % of chi-square with 2 degrees of freedom."""
CONFIDENT = 0.9
"""Confidence above which a keypoint may teach the pose prior."""
MIN_OBSERVATIONS = 50
"""Frames in which a keypoint must be seen for its parameters to be fitted."""
PARTS = 5
"""Into which labeled frames are divided to see how honest the covariance is."""
POOLED_LABELS = 8
"""All keypoints' errors together count as this many labels in each keypoint's bias."""
CHI2_95, TRUNCATED_95 = 5.99, 1.187
"""Errors beyond the 95 % radius are left out; what remains of a Gaussian's variance is multiplied by this."""
REALLY_OFF = 2.0
"""Spreads beyond the allowance, as an example of a drift."""
LONG_ENOUGH_S = 120.0
"""Shorter recordings calibrate the drift detector to a single thing that the animal did."""


def calibrate(config: CalibrateConfig) -> Package:
    """Fit the filter to recordings and write it into the package, whose other files stay as they are.

    Parameters
    ----------
    config
        Package, recordings, and labels or another package for the bias.

    Returns
    -------
    Package
        The package with its new manifest.

    Raises
    ------
    UserError
        Before anything is written, where a file cannot be read or nothing was seen in it.
    """
    package = read_package(config.model)
    keypoints = package.manifest.keypoints
    views = resolve_views(config.views, keypoints)
    infos = [probe(path) for path in config.video]
    if not infos:
        raise UserError("train calibrate: no recording was given; add `--video FILE`")
    bias = _bias_of(config.bias_from, package) if config.bias_from else None
    if bias is not None and config.labels:
        raise UserError("train calibrate: bias_from takes the place of labels; give one of them")
    labels = _labels(Path(config.labels), package.manifest) if config.labels else None
    choice = choose_engine(package, config.engine, package.manifest.individuals)
    _LOG.info(f"engine: {choice}")
    recordings = _predict_recordings(choice.estimator, infos, package.manifest, config.frames)
    old = package.manifest.tracking
    spec = dataclasses.replace(old, gate_chi2=GATE_CHI2, calibrated=True, bias_px2=[], subspaces=[])
    spec, seen = _with_parameters(spec, recordings, keypoints)
    spec.subspaces = _prior(recordings, keypoints, views)
    drift = _drift(recordings, spec, sum(min(info.frames, config.frames) / info.rate_hz for info in infos))
    notes: dict[str, Any] = {
        "recordings": [info.path.name for info in infos],
        "frames": int(sum(min(info.frames, config.frames) for info in infos)),
        "engine": str(choice.engine.precision),
        "sights": dict(zip(keypoints, seen, strict=True)),
        "subspaces": [space.name for space in spec.subspaces],
    }
    if labels is not None:
        notes |= _add_bias_of_labels(spec, choice.estimator, labels)
    if bias is not None:
        spec.bias_px2, notes["labels"] = bias
        _LOG.info(f"bias from {notes['labels']}")
    manifest = dataclasses.replace(
        package.manifest,
        tracking=spec,
        training=package.manifest.training | {"calibration": notes},
        drift=drift,
    )
    _LOG.info(f"covariances: {coverage_text(manifest)}")
    return write_manifest(package.path, manifest)


def _predict_recordings(
    estimator: Estimator, infos: Sequence[VideoInfo], manifest: Manifest, most: int
) -> list[Recorded]:
    return [own for info in infos for own in _predict_recording(estimator, info, manifest, most)]


def _predict_recording(
    estimator: Estimator, info: VideoInfo, manifest: Manifest, most: int
) -> list[Recorded]:
    """The network's keypoints on the first `most` frames of a recording; of several animals those of each.

    Where animals cross they may be exchanged: to the fit these are outliers.
    """
    total = min(info.frames, most)
    frames = read_frames(info.path, 1 if manifest.input.channels == 1 else 3)
    context = estimator.new_context()
    keep = AnimalRows(manifest.individuals, len(manifest.keypoints))
    seen: list[Keypoints[FloatArray]] = []  # (N, K) a frame
    for _, frame in zip(range(total), track(frames, info.path.name, total), strict=False):
        found = estimator.estimate(
            frame.image, context=context.advance_to(frame.index, frame.t_ns, frame.epoch)
        )
        seen.append(keep(Keypoints(*(part[0] for part in found))) if manifest.individuals > 1 else found)
    xy, cov, confidence = (np.array(part).swapaxes(0, 1) for part in zip(*seen, strict=True))
    animals = [n for n, own in enumerate(xy) if np.isfinite(own).any()] or [0]
    return [
        Recorded(
            1.0 / info.rate_hz,
            np.ascontiguousarray(xy[n]),
            np.ascontiguousarray(cov[n]),
            np.nan_to_num(confidence[n]),
        )
        for n in animals
    ]


def _with_parameters(
    spec: TrackingSpec, recordings: Sequence[Recorded], keypoints: list[str]
) -> tuple[TrackingSpec, list[int]]:
    """The spec with fitted movement and noise, and in how many frames each keypoint was seen.

    A keypoint that was hardly seen takes the median of the others.
    """
    seen = np.concatenate([r.seen(spec.min_confidence) for r in recordings]).sum(axis=0)
    enough = seen >= MIN_OBSERVATIONS
    if not enough.any():
        raise UserError(
            f"train calibrate: no keypoint was seen in {MIN_OBSERVATIONS} frames (confidence >= "
            f"{spec.min_confidence}); give recordings that look like the training frames"
        )
    with progress("fitting", MOST_ROUNDS) as report_progress:
        fitted = fit_parameters(
            recordings,
            gate_chi2=spec.gate_chi2,
            restart_frames=spec.restart_frames,
            min_confidence=spec.min_confidence,
            report_progress=report_progress,
        )
    for name, few in zip(keypoints, ~enough, strict=True):
        if few:
            _LOG.info(f"{name}: seen too seldom to be fitted; it takes the median of the others")

    def listed(values: FloatArray) -> list[float]:
        return [float(v) for v in np.where(enough, values, np.median(values[enough]))]

    spec = dataclasses.replace(
        spec,
        q_px2_s3=listed(fitted.q_px2_s3),
        tau_s=listed(fitted.tau_s),
        gain=listed(fitted.gain),
        floor_px2=listed(fitted.floor_px2),
    )
    return spec, [int(n) for n in seen]


def _prior(recordings: Sequence[Recorded], keypoints: list[str], views: list[list[int]]) -> list[Subspace]:
    """The spaces of the views, and of whole poses where they have one."""
    poses = np.concatenate(
        [np.where((r.confidence >= CONFIDENT)[..., None], r.xy, np.nan) for r in recordings]
    )
    spaces = []
    for view in views:
        name = "=".join(keypoints[k] for k in view)
        space = view_space(name, poses, view)
        if space is None:
            _LOG.info(
                f"{name}: too few frames in which all of them are sure (confidence >= {CONFIDENT}); no prior"
            )
        else:
            spaces.append(space)
    often = [k for k in range(len(keypoints)) if np.isfinite(poses[:, k, 0]).mean() > 0.5]
    whole = pose_space(poses, often) if len(often) > 1 else None
    if whole is None:
        _LOG.info("whole poses: no space holds them well; no prior from them")
    else:
        _LOG.info(f"whole poses of {len(often)} keypoints keep to {len(whole.components)} dimensions")
        spaces.append(whole)
    return spaces


def _drift(recordings: Sequence[Recorded], spec: TrackingSpec, seconds: float) -> DriftSpec | None:
    """Fit the drift detector to so many seconds of recordings, and say what it will tell."""
    found = fit_drift(recordings, spec)
    if found is None:
        _LOG.info("drift: the recordings are too short to say what is usual; a run will not tell it")
        return None
    # Animals of one recording are recordings of their own to the fit, and not to the reader.
    found = dataclasses.replace(found, calibration_s=seconds)
    for name, limits in found.limits.items():
        seconds = limits.threshold / REALLY_OFF
        _LOG.info(
            f"drift: {STATISTICS[name]} may rise by {limits.allowance:.1f} spreads; "
            f"{REALLY_OFF:g} more are told after {max(seconds, found.block_s):.0f} s"
        )
    for name in [name for name in STATISTICS if name not in found.limits]:
        _LOG.info(f"drift: {STATISTICS[name]}: too few frames; not compared")
    if found.calibration_s < LONG_ENOUGH_S:
        _LOG.info(
            f"drift: {found.calibration_s:.0f} s of recordings know little of what the animal does; give "
            f"{LONG_ENOUGH_S:.0f} s or more, of several days (`--frames` says how much of each)"
        )
    return found


@dataclass
class _Labels:
    """Labeled frames for the bias, and a phrase that says which."""

    frames: LabeledFrames
    name: str
    how: str


def _labels(path: Path, manifest: Manifest) -> _Labels:
    channels: Channels = "gray" if manifest.input.channels == 1 else "rgb"
    whole = path.is_dir()  # a DeepLabCut project has no single file for all of its labels
    folder = (path if whole else path.parent).resolve()
    file = "" if whole else path.name
    several = manifest.individuals > 1
    frames = read_labels(folder, file, channels, manifest.keypoints, several=several)
    frames = frames.as_several() if several else frames
    sets = sets_of(frames, folder, manifest)
    kept_back = np.flatnonzero(sets.of(VALIDATION))
    if not len(kept_back):
        raise UserError(
            f"labels {path}: the network was trained on every one of these frames, so its errors on them say "
            "nothing; give labels of other frames, or the package of an earlier training that kept some "
            "back (`--bias_from FOLDER`)"
        )
    how = f"{len(kept_back)} of {len(frames)} frames; split {sets.how}"
    return _Labels(frames.subset(kept_back), file or folder.name, how)


def _bias_of(folder: str, package: Package) -> tuple[list[list[list[float]]], str]:
    """Return another package's bias and its origin; UserError where it has none, or other keypoints."""
    other = read_package(folder)
    calibration = other.manifest.training.get("calibration", {})
    if not other.manifest.tracking.bias_px2 or "labels" not in calibration:
        raise UserError(
            f"bias_from {folder}: its bias was never calibrated; run "
            f"`rt-pose train calibrate --model {folder} --labels FOLDER --video FILE` first"
        )
    if other.manifest.keypoints != package.manifest.keypoints:
        raise UserError(
            f"bias_from {folder}: its keypoints are {', '.join(other.manifest.keypoints)}; expected those of "
            f"{package.path}: {', '.join(package.manifest.keypoints)}"
        )
    return other.manifest.tracking.bias_px2, f"{calibration['labels']}, by package {other.sha256[:12]}"


def _add_bias_of_labels(spec: TrackingSpec, estimator: Estimator, labels: _Labels) -> dict[str, Any]:
    """Give the spec the bias that the labels show; what the package notes of it."""
    spec.bias_px2, origin, coverage = _bias(estimator, labels, spec)
    sizes = [np.sqrt(np.trace(np.asarray(b)) / 2) for b in spec.bias_px2]
    _LOG.info(f"bias from {origin}: {np.median(sizes):.2f} px along an axis (median of keypoints)")
    return {"labels": origin, "coverage": dataclasses.asdict(coverage)}


def _bias(
    estimator: Estimator, labels: _Labels, spec: TrackingSpec
) -> tuple[list[list[list[float]]], str, Coverage]:
    """Return the bias covariance of each keypoint (K, 2, 2), its origin, and how many labels it holds."""
    found = estimator.estimate_all(track(labels.frames.images, labels.name, len(labels.frames)))
    if labels.frames.several:
        found = aligned(found, labels.frames.xy)
    used = found.confidence >= spec.min_confidence
    e = np.where(used[..., None], found.xy - labels.frames.xy, np.nan)
    noise = error_covariance(found.cov, dataclasses.replace(spec, bias_px2=[]))
    keypoints = len(labels.frames.keypoints)  # several animals of a frame are as many rows
    e, noise = e.reshape(-1, keypoints, 2), noise.reshape(-1, keypoints, 2, 2)
    n = int(np.isfinite(e).all(axis=-1).sum())
    if not n:
        raise UserError(
            f"labels {labels.name}: the network was confident of no labeled keypoint; no bias from it"
        )
    return (
        bias_covariances(e, noise),
        f"{n} labels of {labels.name}, {labels.how}",
        crossed_coverage(e, noise, labels.how),
    )


def crossed_coverage(e: FloatArray, noise: FloatArray, how: str) -> Coverage:
    """Count the labels within the ellipses of a covariance whose bias other frames have taught.

    Frames are divided into `PARTS` of neighbours. The bias that each part is tried with comes from the rest.

    Parameters
    ----------
    e
        Errors (F, K, 2), px; NaN where unlabeled.
    noise
        The filter's noise covariance (F, K, 2, 2), px^2.
    how
        Which labels they are.

    Returns
    -------
    Coverage
        With n = 0 where all labels stand in one frame.
    """
    known = np.asarray(np.isfinite(e).all(axis=-1))
    parts = np.array_split(np.arange(len(e)), min(PARTS, len(e)))
    distance2 = [np.empty(0)]
    for part in parts:
        rest = np.setdiff1d(np.arange(len(e)), part)
        if known[rest].any() and known[part].any():
            cov = noise[part] + np.asarray(bias_covariances(e[rest], noise[rest]))
            distance2.append(mahalanobis2(e[part][known[part]], cov[known[part]]))
    all_parts = np.concatenate(distance2)
    if not len(all_parts):
        return Coverage(0)
    how = f"{how}; in {len(parts)} parts, the bias of each from the others"
    return Coverage(len(all_parts), held_shares(all_parts), how)


def bias_covariances(e: FloatArray, noise: FloatArray) -> list[list[list[float]]]:
    """Return the covariance of the bias of each keypoint.

    It is the covariance of errors less the white noise that the filter knows of, each keypoint's drawn
    towards that of all together.

    Parameters
    ----------
    e
        Errors (F, K, 2), px; NaN where unlabeled.
    noise
        The filter's noise covariance (F, K, 2, 2), px^2.

    Returns
    -------
    list
        Covariances (K, 2, 2), px^2, positive semidefinite.
    """
    known = np.asarray(np.isfinite(e).all(axis=-1))
    pooled = _core(e[known])
    biases = []
    for k in range(e.shape[1]):
        own = e[known[:, k], k]
        n = len(own)
        second = (n * (_core(own) if n else 0.0) + POOLED_LABELS * pooled) / (n + POOLED_LABELS)
        white = noise[known[:, k], k].mean(axis=0) if n else noise[known].mean(axis=0)
        values, vectors = np.linalg.eigh(second - white)
        biases.append(((vectors * np.maximum(values, 0.0)) @ vectors.T).tolist())
    return biases


def _core(e: FloatArray) -> FloatArray:
    """Second moment (2, 2) of errors (n, 2) as if they were Gaussian: the furthest twentieth left out."""
    distance2 = (e * e).sum(axis=1)
    kept = e[distance2 <= np.quantile(distance2, 0.95)]
    factor = TRUNCATED_95 if len(kept) < len(e) else 1.0
    return factor * (kept.T @ kept) / len(kept)
