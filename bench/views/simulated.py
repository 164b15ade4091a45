"""Keypoints that move in space before made-up cameras: whether regions hold the truth, and predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import chi2, t

from bench.calibration import make_rig, observe, view_poses
from bench.program import say
from rt_pose.clock import HostClock
from rt_pose.offline.filter_views import smooth_recording
from rt_pose.offline.fit_views import fit_views
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.tracking.kalman import transition
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import CausalFilter3D, TrackingSpec3D
from rt_pose.views.placed import PlacedKeypoints, place_keypoints

FPS, KEYPOINTS = 100, 6
HORIZON_FRAMES, HORIZON_MS = 5, 50
NOISE_PX = 2.0
MODEL_Q, MODEL_TAU_S = 1e5, 0.15
"""Of what moves as the filter's model says: mm^2/s^3 and s; speeds of 87 mm/s in x, y and z."""
RETURN = 0.002
"""Share of the way to the middle that it is drawn back in a frame, so that cameras go on seeing it."""
SETTLE_FRAMES = 50
LEVELS = {"50 %": 0.5, "90 %": 0.9, "99 %": 0.99}
CONSTANT_TAU_S = 1e3
"""A velocity that lasts so long is constant."""
FIT_SECONDS, FIT_SEED = 5.0, 1000
Motion = Callable[[np.random.Generator, int], FloatArray]


def model_motion(random: np.random.Generator, frames: int) -> FloatArray:
    """Move as the filter's model says.

    Parameters
    ----------
    random
        The generator.
    frames
        F.

    Returns
    -------
    FloatArray
        (F, K, 3) mm.
    """
    step = transition(1 / FPS, np.array(MODEL_Q), np.array(MODEL_TAU_S))
    root = np.linalg.cholesky(np.array([[step.q_xx, step.q_xv], [step.q_xv, step.q_vv]]))
    x = random.uniform(-30, 30, (KEYPOINTS, 3))
    v = random.normal(0, np.sqrt(0.5 * MODEL_Q * MODEL_TAU_S), (KEYPOINTS, 3))
    places = np.empty((frames, KEYPOINTS, 3))
    for f in range(frames):
        places[f] = x
        noise = np.tensordot(root, random.normal(0, 1, (2, KEYPOINTS, 3)), 1)
        x, v = x + step.b * v + noise[0] - RETURN * x, step.a * v + noise[1]
    return places


def walk(random: np.random.Generator, frames: int) -> FloatArray:
    """Move as an animal that walks in curves, its paws to and fro.

    Parameters
    ----------
    random
        The generator.
    frames
        F.

    Returns
    -------
    FloatArray
        (F, K, 3) mm.
    """
    s = np.arange(frames) / FPS
    phase = random.uniform(0, 2 * np.pi, 6)
    x = 80 * np.sin(2 * np.pi * 0.17 * s + phase[0]) + 25 * np.sin(2 * np.pi * 0.53 * s + phase[1])
    y = 80 * np.sin(2 * np.pi * 0.13 * s + phase[2]) + 25 * np.sin(2 * np.pi * 0.47 * s + phase[3])
    heading = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))
    cos, sin, zero = np.cos(heading), np.sin(heading), np.zeros(frames)
    turn = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1], axis=-1).reshape(-1, 3, 3)
    body = random.uniform(-0.5, 0.5, (KEYPOINTS, 3)) * (70, 30, 20)
    gait = 3.0 * s[:, None] + random.uniform(0, 1, KEYPOINTS)
    paws = np.arange(KEYPOINTS) < KEYPOINTS // 2
    forth = np.where(paws, 9 * np.sin(2 * np.pi * gait), 0.0)
    lifted = np.where(paws, 4 * np.maximum(np.cos(2 * np.pi * gait), 0.0) ** 2, 0.0)
    local = body + np.stack([forth, np.zeros_like(forth), lifted], axis=-1)
    middle = np.stack([x, y, 10 + 3 * np.sin(2 * np.pi * 1.1 * s + phase[4])], axis=-1)
    placed: FloatArray = np.einsum("fij,fkj->fki", turn, local) + middle[:, None]
    return placed


MOTIONS: dict[str, Motion] = {"as the model says": model_motion, "walking": walk}


def measure_simulated(seeds: int, seconds: float) -> list[dict[str, Any]]:
    """Measure coverage and predictions; parameters are fitted to other recordings of the same kind.

    Parameters
    ----------
    seeds
        Recordings, each with a rig of its own.
    seconds
        Of each.

    Returns
    -------
    list[dict[str, Any]]
        A row for each motion and number of views.
    """
    rows = []
    for name, motion in MOTIONS.items():
        for views in (4, 3, 2):
            say(f"{name}, {views} views: {seeds} recordings of {seconds:g} s")
            cameras, _, xy = _recording(motion, views, FIT_SEED, FIT_SECONDS)
            ordered, placed = _ordered(cameras, xy)
            spec = fit_views(cameras, ordered, placed.xyz)
            constant = fit_views(cameras, ordered, placed.xyz, tau_s=(CONSTANT_TAU_S, CONSTANT_TAU_S))
            scores = [_score(motion, views, seed, seconds, spec, constant) for seed in range(seeds)]
            figures = {key: mean_with_half([score[key] for score in scores]) for key in scores[0]}
            rows.append({"motion": name, "views": views, "recordings": seeds, **figures})
    return rows


def _recording(
    motion: Motion, views: int, seed: int, seconds: float
) -> tuple[list[CalibratedCamera], FloatArray, FloatArray]:
    """Cameras, places and what is seen of them; the first cameras of a rig of four."""
    random = np.random.default_rng(seed)
    cameras = make_rig(random, 4)
    truth = motion(random, round(seconds * FPS))
    return cameras[:views], truth, observe(cameras, truth, NOISE_PX, random, 0.0)[:views]


def _ordered(cameras: Sequence[CalibratedCamera], xy: FloatArray) -> tuple[ViewSequence, PlacedKeypoints]:
    poses = view_poses(cameras, xy)
    return ViewSequence.of(poses, NOISE_PX, FPS), place_keypoints(cameras, poses, NOISE_PX)


def _score(
    motion: Motion, views: int, seed: int, seconds: float, spec: TrackingSpec3D, constant: TrackingSpec3D
) -> dict[str, float]:
    """Shares of the truth in regions, and errors of predictions, of one recording."""
    cameras, truth, xy = _recording(motion, views, seed, seconds)
    ordered, placed = _ordered(cameras, xy)
    now, ahead = _run(cameras, ordered, spec)
    smooth = smooth_recording(cameras, ordered, spec, placed).placed
    _, straight = _run(cameras, ordered, constant)
    step = np.diff(placed.xyz, axis=0, prepend=placed.xyz[:1])
    line = placed.xyz + HORIZON_FRAMES * step
    last = slice(SETTLE_FRAMES, len(truth) - HORIZON_FRAMES)
    later = truth[HORIZON_FRAMES:][last]
    score = {
        **coverage("filtered", now[0][last] - truth[last], now[1][last]),
        **coverage("smoothed", smooth.xyz[last] - truth[last], smooth.cov[last]),
        **coverage("50 ms ahead", ahead[0][last] - later, ahead[1][last]),
        "triangulated, mm": median_distance(placed.xyz[last] - truth[last]),
        "filtered, mm": median_distance(now[0][last] - truth[last]),
        "smoothed, mm": median_distance(smooth.xyz[last] - truth[last]),
    }
    predictions = {
        "ours": ahead[0],
        "constant velocity, filtered": straight[0],
        "constant velocity, two places": line,
    }
    for name, found in predictions.items():
        score[f"{name}, mm"] = median_distance(found[last] - later)
    score["the newest place, mm"] = median_distance(placed.xyz[last] - later)
    return score


def _run(
    cameras: Sequence[CalibratedCamera], ordered: ViewSequence, spec: TrackingSpec3D
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Places and covariances after each frame, and HORIZON_MS later."""
    tracker = CausalFilter3D(cameras, spec)
    found: list[list[FloatArray]] = [[], [], [], []]
    for e, (view, frame, t_ns) in enumerate(zip(ordered.view, ordered.frame, ordered.t_ns, strict=True)):
        tracker.observe(int(view), int(t_ns), ordered.xy[view, frame], ordered.cov[view, frame])
        if e + 1 == len(ordered.view) or ordered.frame[e + 1] != frame:
            now, soon = tracker.predict(int(t_ns)), tracker.predict(int(t_ns) + HORIZON_MS * 1_000_000)
            for own, value in zip(found, (now.xyz, now.cov, soon.xyz, soon.cov), strict=True):
                own.append(value)
    xyz, cov, later, later_cov = (np.stack(values) for values in found)
    return (xyz, cov[..., :3, :3]), (later, later_cov[..., :3, :3])


def coverage(name: str, off: FloatArray, cov: FloatArray) -> dict[str, float]:
    """Compute how often the truth lies within regions of stated probability.

    Parameters
    ----------
    name
        Of what is estimated, for the keys.
    off
        (..., 3) estimate less truth; NaN where there is none.
    cov
        (..., 3, 3) stated.

    Returns
    -------
    dict[str, float]
        Share of those of `LEVELS`, by `NAME, LEVEL`.
    """
    known = np.isfinite(off).all(axis=-1)
    e = off[known]
    d2 = np.einsum("ni,ni->n", e, np.linalg.solve(cov[known], e[..., None])[..., 0])
    return {f"{name}, {level}": float((d2 < chi2.ppf(share, 3)).mean()) for level, share in LEVELS.items()}


def median_distance(off: FloatArray) -> float:
    """Compute the median length of errors.

    Parameters
    ----------
    off
        (..., 3); NaN where there is none.

    Returns
    -------
    float
        In their unit.
    """
    return float(np.nanmedian(np.linalg.norm(off, axis=-1)))


def mean_with_half(values: Sequence[float]) -> dict[str, float]:
    """Compute the mean over recordings, and half of its 95 % interval.

    Parameters
    ----------
    values
        One a recording.

    Returns
    -------
    dict[str, float]
        `mean` and `half`; NaN of a single recording.
    """
    n = len(values)
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n) if n > 1 else float("nan")
    return {"mean": float(np.mean(values)), "half": float(half)}


def measure_time(keypoints: int = 17, views: int = 4, frames: int = 2000) -> dict[str, float]:
    """Time the filter.

    Parameters
    ----------
    keypoints
        K.
    views
        V.
    frames
        How many.

    Returns
    -------
    dict[str, float]
        P50 and P99 of a frame, all its views and one prediction, us; and their number.
    """
    random, clock = np.random.default_rng(9), HostClock()
    cameras = make_rig(random, 4)[:views]
    places = random.uniform(-40, 40, (keypoints, 3)) + np.zeros((frames, 1, 1))
    xy = observe(cameras, places, NOISE_PX, random, 0.0)
    each = np.ones(keypoints)
    tracker = CausalFilter3D(cameras, TrackingSpec3D(MODEL_Q * each, MODEL_TAU_S * each, each))
    cov = np.tile(NOISE_PX**2 * np.eye(2), (keypoints, 1, 1))
    took = []
    for f in range(frames):
        before = clock.now_ns()
        for v in range(views):
            tracker.observe(v, f * 10_000_000, xy[v, f], cov)
        tracker.predict(f * 10_000_000 + HORIZON_MS * 1_000_000)
        took.append(clock.now_ns() - before)
    p50, p99 = np.percentile(took[SETTLE_FRAMES:], [50, 99]) / 1e3
    return {"keypoints": keypoints, "views": views, "n": frames - SETTLE_FRAMES, "p50_us": p50, "p99_us": p99}
