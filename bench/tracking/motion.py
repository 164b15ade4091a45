"""Synthetic motion for `bench.tracking`: prediction, occlusion, coverage, time."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.clock import HostClock
from rt_pose.offline.innovations import Recorded, fit_parameters
from rt_pose.package import Subspace, TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.kalman import transition
from rt_pose.types import FloatArray, FrameStamps, Pose

HORIZON_S = 0.05
RATES = (30, 100, 200)
SECONDS, SETTLE_S = 60.0, 2.0
FROZEN = {"q_px2_s3": 9e3, "tau_s": 4.0, "floor_px2": 1.0}
"""Parameters of the filter, the same for all rows and rates."""
CURVE = (1e3, 3e3, 1e4, 3e4, 6e4, 1e5, 3e5, 1e6, 3e6)
CHI2 = {"50 %": 1.386, "90 %": 4.605, "99 %": 9.210}
PATHS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "at rest": lambda t: 0.0 * t,
    "500 px/s": lambda t: 500.0 * t,
    "100 px/s": lambda t: 100.0 * t,
    "1 Hz, 100 px sinusoid": lambda t: 100.0 * np.sin(2 * np.pi * t),
}
PUBLISHED = {  # DLC-Live's filter as measured earlier on its unmodified class; px at 30, 100, 200 a second
    "at rest": (2.3, 10.9, 36.7),
    "500 px/s": (3.3, 14.6, 41.5),
    "100 px/s": (2.5, 11.2, 35.6),
    "1 Hz, 100 px sinusoid": (5.9, 14.2, 39.2),
}


def spec(keypoints: int = 1, **changes: float) -> TrackingSpec:
    """Make the frozen parameters; observations have their noise in the floor.

    Parameters
    ----------
    keypoints
        K.
    **changes
        Other values of `FROZEN`.

    Returns
    -------
    TrackingSpec
        The parameters.
    """
    p = FROZEN | changes
    return TrackingSpec(
        [p["q_px2_s3"]] * keypoints, [p["tau_s"]] * keypoints, [0.0] * keypoints, [p["floor_px2"]] * keypoints
    )


def pose(xy: FloatArray, t_ns: int, i: int) -> Pose:
    """Make one individual's pose, of unit covariance and confidence.

    Parameters
    ----------
    xy
        (K, 2) px.
    t_ns
        Scene time, ns.
    i
        Index of the frame.

    Returns
    -------
    Pose
        N = 1.
    """
    stamps = FrameStamps(i, t_ns, t_ns, t_ns)
    return Pose("bench", stamps, xy[None], np.tile(np.eye(2), (1, len(xy), 1, 1)), np.ones((1, len(xy))))


def prediction_table(dlc: Any | None) -> dict[str, Any]:
    """Measure predictions `HORIZON_S` ahead.

    Parameters
    ----------
    dlc
        What `load_dlc` returned; None leaves DeepLabCut-Live out.

    Returns
    -------
    dict[str, Any]
        RMSE along the movement, px, by path and rate.
    """
    rows: dict[str, Any] = {}
    for name, path in PATHS.items():
        row: dict[str, Any] = {}
        for i, rate in enumerate(RATES):
            t, seen, truth = _seen(path, rate)
            cell = {
                "ours": _rmse(_ours(t, seen, spec()), truth, rate),
                "no filter": _rmse(seen, truth, rate),
                "dlc_live_reference": PUBLISHED[name][i],
            }
            if dlc is not None:
                cell["dlc_live"] = _rmse(_dlc(dlc, t, seen, rate), truth, rate)
            row[str(rate)] = cell
        rows[name] = row
    return rows


def curve_at_30() -> list[dict[str, float]]:
    """Measure what q trades at 30 frames a second: rest against the sinusoid and the straight line.

    Returns
    -------
    list[dict[str, float]]
        RMSE, px, by path, for each q.
    """
    points = []
    for q in CURVE:
        point = {"q_px2_s3": q}
        for name, path in PATHS.items():
            t, seen, truth = _seen(path, 30)
            point[name] = _rmse(_ours(t, seen, spec(q_px2_s3=q)), truth, 30)
        points.append(point)
    return points


def occlusion(rate: int = 100, hidden_s: float = 1.0, trials: int = 400) -> dict[str, Any]:
    """Measure size and coverage of the 99 % region while keypoints that move as the model says are hidden.

    Parameters
    ----------
    rate
        Frames/s.
    hidden_s
        How long they are hidden, s.
    trials
        Number of keypoints.

    Returns
    -------
    dict[str, Any]
        Standard deviation (px) and share inside, by time since the last sight.
    """
    random, dt_ns = np.random.default_rng(3), round(1e9 / rate)
    truth = _model_motion(trials, rate, round(rate * (2.0 + hidden_s)), random)  # (F, trials, 2)
    tracker, first = CausalFilter(spec(trials), 1, trials), 2 * rate
    sizes, inside = [], []
    for i, at in enumerate(truth):
        z = at + random.normal(0, 1, at.shape)
        track = tracker.step(pose(z if i < first else np.full_like(z, np.nan), i * dt_ns, i))
        sizes.append(float(np.sqrt(track.cov[0, :, 0, 0]).mean()))
        inside.append(covered(track.xy[0] - at, track.cov[0, :, :2, :2])["99 %"])
    at_frames = {f"{k} ms": first - 1 + round(k / 1000 * rate) for k in (0, 100, 250, 500, 1000)}
    return {
        "trials": trials,
        "sd_px": {name: sizes[i] for name, i in at_frames.items()},
        "inside_99": {name: inside[i] for name, i in at_frames.items()},
        "inside_99_mean_while_hidden": float(np.mean(inside[first:])),
        "lost_after_1s": bool(track.lost.all()),
        "grows": bool((np.diff(sizes[first:]) > 0).all()),
    }


def coverage(frames: int = 4000) -> dict[str, Any]:
    """Measure the shares of the truth within the regions, filtered and 50 ms ahead, with fitted parameters.

    The parameters are fitted on another half. The white noise is the model's own; the biased one adds a slow
    error that innovations cannot see.

    Parameters
    ----------
    frames
        Frames of each half, at 100 frames/s.

    Returns
    -------
    dict[str, Any]
        Shares by noise.
    """
    rate, keypoints = 100, 8
    rows = {}
    for name, slow_px in (
        ("white noise", 0.0),
        ("slow error of 2 px, not told", 2.0),
        ("the same, told", 2.0),
    ):
        random = np.random.default_rng(11)
        truth = _model_motion(keypoints, rate, 2 * frames, random)
        z = truth + random.normal(0, 1.5, truth.shape) + slow_px * _slow(truth.shape, rate, random)
        half = Recorded(1 / rate, z[:frames], _unit(z[:frames]), np.ones(z[:frames].shape[:2]))
        fit = fit_parameters([half], gate_chi2=10.6, restart_frames=8, min_confidence=0.1)
        fitted = fit.spec(gate_chi2=10.6)
        if name.endswith(", told"):
            fitted.bias_px2 = [(slow_px**2 * np.eye(2)).tolist()] * keypoints
        rows[name] = _scored(fitted, z[frames:], truth[frames:], rate)
    return rows


def _scored(fitted: TrackingSpec, z: FloatArray, truth: FloatArray, rate: int) -> dict[str, Any]:
    tracker, ahead = CausalFilter(fitted, 1, z.shape[1]), round(HORIZON_S * rate)
    errors, covs, later, later_covs, nis = [], [], [], [], []
    for i in range(len(z) - ahead):
        t = round(i * 1e9 / rate)
        prior = tracker.predict("bench", i, t)
        if i > rate:
            r = np.asarray(fitted.gain)[:, None, None] * np.eye(2) + np.asarray(fitted.floor_px2)[
                :, None, None
            ] * np.eye(2)
            bias = np.asarray(fitted.bias_px2) if fitted.bias_px2 else 0.0
            nis.append(_d2(z[i] - prior.xy[0], prior.cov[0, :, :2, :2] - bias + r))
        track = tracker.step(pose(z[i], t, i))
        if i > rate:
            soon = tracker.predict("bench", i, t + round(ahead * 1e9 / rate))
            errors.append(track.xy[0] - truth[i])
            covs.append(track.cov[0, :, :2, :2])
            later.append(soon.xy[0] - truth[i + ahead])
            later_covs.append(soon.cov[0, :, :2, :2])
    return {
        "n": len(errors) * z.shape[1],
        "filtered": covered(np.concatenate(errors), np.concatenate(covs)),
        "50 ms ahead": covered(np.concatenate(later), np.concatenate(later_covs)),
        "innovation_d2_mean (2 is consistent)": float(np.mean(nis)),
        "innovations_within_99": float((np.concatenate(nis) < CHI2["99 %"]).mean()),
    }


def times(keypoints: int, prior: bool, frames: int = 3000) -> dict[str, float]:
    """Time a step and a prediction.

    Parameters
    ----------
    keypoints
        K.
    prior
        Whether there is a pose prior, and in every frame one keypoint that breaks the pose.
    frames
        Number of frames.

    Returns
    -------
    dict[str, float]
        P50 and P99, us, and n.
    """
    random, clock = np.random.default_rng(5), HostClock()
    tracking = spec(keypoints)
    shape = random.normal(200, 60, (keypoints, 2))
    if prior:
        rows = np.linalg.qr(random.normal(0, 1, (2 * keypoints, 8)))[0].T
        tracking.subspaces = [
            Subspace("pose", list(range(keypoints)), shape.ravel().tolist(), rows.tolist(), [2.0] * keypoints)
        ]
    tracker = CausalFilter(tracking, 1, keypoints)
    steps, ahead = [], []
    for i in range(frames):
        z = shape + random.normal(0, 1, shape.shape)
        if prior:
            z[i % keypoints] += 60.0
        seen = pose(z, i * 10_000_000, i)
        before = clock.now_ns()
        tracker.step(seen)
        between = clock.now_ns()
        tracker.predict("bench", i, i * 10_000_000 + 20_000_000 + 997 * i)
        steps.append(between - before)
        ahead.append(clock.now_ns() - between)
    step, soon = np.percentile(steps, [50, 99]) / 1e3, np.percentile(ahead, [50, 99]) / 1e3
    return {
        "n": frames,
        "step_p50": step[0],
        "step_p99": step[1],
        "predict_p50": soon[0],
        "predict_p99": soon[1],
    }


def load_dlc(folder: Path) -> Any:
    """Load DeepLabCut-Live's own module from an unpacked wheel, without the rest of its package.

    Parameters
    ----------
    folder
        The unpacked wheel.

    Returns
    -------
    Any
        The module with its filter.
    """
    package = types.ModuleType("dlclive")
    package.__path__ = [str(folder / "dlclive")]
    sys.modules["dlclive"] = package
    return importlib.import_module("dlclive.processor.kalmanfilter")


def _dlc(module: Any, t: FloatArray, seen: FloatArray, rate: int) -> FloatArray:
    """Its prediction HORIZON_S ahead; the clock that it reads inside is ours."""
    now = [0.0]
    module.time = types.SimpleNamespace(time=lambda: now[0])
    predictor = module.KalmanFilterPredictor(adapt=False, forward=HORIZON_S, fps=rate)
    out = np.empty_like(seen)
    for i, x in enumerate(seen):
        now[0] = float(t[i])
        out[i] = predictor.process(np.array([[x, 100.0, 1.0]]))[0, 0]
    return out


def _seen(path: Callable[[FloatArray], FloatArray], rate: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times, noisy x (1 px), and the true x HORIZON_S later."""
    t = np.arange(round(SECONDS * rate)) / rate
    noise = np.random.default_rng(1).normal(0, 1, len(t))
    return t, path(t) + noise, path(t + HORIZON_S)


def _ours(t: FloatArray, seen: FloatArray, tracking: TrackingSpec) -> FloatArray:
    tracker, out = CausalFilter(tracking, 1, 1), np.empty_like(seen)
    for i, x in enumerate(seen):
        t_ns = round(t[i] * 1e9)
        tracker.step(pose(np.array([[x, 100.0]]), t_ns, i))
        out[i] = tracker.predict("bench", i, t_ns + round(HORIZON_S * 1e9)).xy[0, 0, 0]
    return out


def _rmse(found: FloatArray, truth: FloatArray, rate: int) -> float:
    settled = slice(round(SETTLE_S * rate), None)
    return float(np.sqrt(np.mean((found - truth)[settled] ** 2)))


def _model_motion(keypoints: int, rate: int, frames: int, random: np.random.Generator) -> FloatArray:
    """(F, K, 2) px of the frozen model's own movement."""
    step = transition(1 / rate, np.array([FROZEN["q_px2_s3"]]), np.array([FROZEN["tau_s"]]))
    root = np.linalg.cholesky(np.array([[step.q_xx[0], step.q_xv[0]], [step.q_xv[0], step.q_vv[0]]]))
    x, v = np.full((keypoints, 2), 300.0), random.normal(0, np.sqrt(0.5 * FROZEN["q_px2_s3"]), (keypoints, 2))
    out = np.empty((frames, keypoints, 2))
    for i in range(frames):
        noise = np.einsum("ij,jkl->ikl", root, random.normal(0, 1, (2, keypoints, 2)))
        x, v = x + step.b[0] * v + noise[0], step.a[0] * v + noise[1]
        out[i] = x
    return out


def _slow(shape: tuple[int, ...], rate: int, random: np.random.Generator) -> FloatArray:
    """An error of unit variance whose correlation decays with a time constant of three seconds."""
    a = np.exp(-1 / (3.0 * rate))
    out = np.empty(shape)
    out[0] = random.normal(0, 1, shape[1:])
    for i in range(1, len(out)):
        out[i] = a * out[i - 1] + np.sqrt(1 - a * a) * random.normal(0, 1, shape[1:])
    return out


def _unit(z: FloatArray) -> FloatArray:
    return np.tile(np.eye(2), (*z.shape[:2], 1, 1))


def _d2(e: FloatArray, cov: FloatArray) -> FloatArray:
    return np.einsum("ki,ki->k", e, np.linalg.solve(cov, e[..., None])[..., 0])


def covered(e: FloatArray, cov: FloatArray) -> dict[str, float]:
    """Compute the shares of errors within the regions of their covariances.

    Parameters
    ----------
    e
        (n, 2) px.
    cov
        (n, 2, 2) px^2.

    Returns
    -------
    dict[str, float]
        By nominal share.
    """
    d2 = _d2(e, cov)
    return {name: float((d2 < limit).mean()) for name, limit in CHI2.items()}
