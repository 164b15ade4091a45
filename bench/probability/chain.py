"""From a simulated animal to predictions: what the rules of `bench.probability` are judged on.

Two chains. `network`: frames are rendered, and the real preprocessing, network and decoding find keypoints in
them. `resampled`: no pixels; each keypoint's error, covariance and confidence are drawn, in runs of about
`RUN_FRAMES`, from what the network chain showed on other animals for a keypoint as visible as it is now. The
second costs a hundredth and so covers hours; it keeps the size, the direction and the duration of errors, not
their dependence on what the picture shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene
from rt_pose.audit.truth import TruthSeries, moving_truth
from rt_pose.clock import NS_PER_MS
from rt_pose.inference.estimator import Estimator
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FloatArray, FrameStamps, Pose, Track

CAMERA = "top"
LATENCY_MS = 8.0
"""Exposure to judging, the same for every frame."""
RUN_FRAMES = 12


@dataclass
class Poses:
    """One animal's movement, and what the network saw of it. F frames, K keypoints."""

    seed: int
    truth: TruthSeries
    visible: NDArray[np.bool_]
    """(F, K)."""
    xy: FloatArray
    cov: FloatArray
    confidence: FloatArray


def live(seed: int, options: SimulatedOptions, seconds: float) -> tuple[TruthSeries, NDArray[np.bool_]]:
    """Simulate an undisturbed animal.

    Parameters
    ----------
    seed
        Seed of the animal.
    options
        The simulated rig.
    seconds
        Length, s.

    Returns
    -------
    tuple[TruthSeries, NDArray[np.bool_]]
        Where it is in every frame, and which keypoints can be seen (F, K).
    """
    scene = Scene(seed, options)
    calm = Reactions(scene.timing)
    frames = round(seconds * options.rate_hz)
    t_ns = np.array([options.scene_time_ns(i) for i in range(frames)], np.int64)
    xy, visible = zip(*(scene.truth(int(t), calm) for t in t_ns), strict=True)
    truth = moving_truth("the simulation", CAMERA, 0, t_ns, np.arange(frames), np.stack(xy))
    return truth, np.concatenate(visible)


def network_poses(estimator: Estimator, seed: int, options: SimulatedOptions, seconds: float) -> Poses:
    """Find keypoints in rendered frames.

    Parameters
    ----------
    estimator
        Preprocessing, network and decoding.
    seed
        Seed of the animal.
    options
        The simulated rig.
    seconds
        Length, s.

    Returns
    -------
    Poses
        Positions (F, K, 2) px, covariances (F, K, 2, 2) px^2, confidences (F, K).
    """
    truth, visible = live(seed, options, seconds)
    scene = Scene(seed, options)
    renderer = Renderer(seed, CAMERA, options, scene)
    calm = Reactions(scene.timing)
    image = np.empty((options.height, options.width, options.channels), np.uint8)
    frames, k = visible.shape
    context = estimator.new_context()
    poses = Poses(
        seed, truth, visible, np.empty((frames, k, 2)), np.empty((frames, k, 2, 2)), np.empty((frames, k))
    )
    for i, t_ns in enumerate(truth.t_ns.tolist()):
        renderer.draw(scene.postures(t_ns, calm), i, t_ns, image)
        found = estimator.estimate(image, context=context.advance_to(i, t_ns))
        poses.xy[i], poses.cov[i], poses.confidence[i] = found.xy[0], found.cov[0], found.confidence[0]
    return poses


def resampled_poses(library: list[Poses], seed: int, options: SimulatedOptions, seconds: float) -> Poses:
    """Make keypoints with errors drawn from those of other animals.

    Parameters
    ----------
    library
        Poses of the other animals.
    seed
        Seed of the animal and of the draws.
    options
        The simulated rig.
    seconds
        Length, s.

    Returns
    -------
    Poses
        Positions (F, K, 2) px, covariances (F, K, 2, 2) px^2, confidences (F, K).
    """
    truth, visible = live(seed, options, seconds)
    random = np.random.default_rng(seed)
    error = np.concatenate([p.xy - p.truth.xy[:, 0] for p in library])
    cov, confidence = (np.concatenate([getattr(p, name) for p in library]) for name in ("cov", "confidence"))
    seen = np.concatenate([p.visible for p in library])
    rows = np.empty(visible.shape, np.int64)
    for k in range(visible.shape[1]):
        rows[:, k] = _walk(random, visible[:, k], seen[:, k])
    each = np.arange(visible.shape[1])
    return Poses(
        seed, truth, visible, truth.xy[:, 0] + error[rows, each], cov[rows, each], confidence[rows, each]
    )


def predictions(
    poses: Poses, tracking: TrackingSpec, delays_ms: tuple[float, ...]
) -> Iterator[dict[float, Track]]:
    """Predict every frame's track to the time of effect.

    Parameters
    ----------
    poses
        The poses.
    tracking
        Parameters of the filter.
    delays_ms
        Delays of outputs, ms.

    Yields
    ------
    dict[float, Track]
        By the output's delay.
    """
    tracker = CausalFilter(tracking, 1, len(KEYPOINTS))
    for i, t_ns in enumerate(poses.truth.t_ns.tolist()):
        stamps = FrameStamps(i, t_ns, t_ns + NS_PER_MS, t_ns)
        tracker.step(Pose(CAMERA, stamps, poses.xy[i][None], poses.cov[i][None], poses.confidence[i][None]))
        yield {
            delay: tracker.predict(CAMERA, i, t_ns + round((LATENCY_MS + delay) * NS_PER_MS))
            for delay in delays_ms
        }


def without_seed(library: list[Poses], seed: int) -> list[Poses]:
    """Get the other animals.

    Parameters
    ----------
    library
        All animals.
    seed
        Seed of the one to leave out.

    Returns
    -------
    list[Poses]
        All but that one.
    """
    return [poses for poses in library if poses.seed != seed]


def with_noise(options: SimulatedOptions) -> SimulatedOptions:
    """Make the same arena filmed badly: with six times the sensor noise.

    Parameters
    ----------
    options
        The simulated rig.

    Returns
    -------
    SimulatedOptions
        The rig with noise of at most 30 grey levels.
    """
    return replace(options, noise=min(30.0, 6.0 * options.noise))


def _walk(
    random: np.random.Generator, visible: NDArray[np.bool_], seen: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Choose a row of the library for each frame: the next, or now and then another of equal visibility."""
    places = [np.flatnonzero(~seen), np.flatnonzero(seen)]
    if not len(places[0]) or not len(places[1]):
        places = [np.arange(len(seen))] * 2
    jumps = random.random(len(visible)) < 1.0 / RUN_FRAMES
    draws = random.random(len(visible))
    rows = np.empty(len(visible), np.int64)
    at = -1
    for i, is_visible in enumerate(visible.tolist()):
        pool = places[is_visible]
        following = at + 1
        if jumps[i] or at < 0 or following >= len(seen) or seen[following] != is_visible:
            following = int(pool[int(draws[i] * len(pool))])
        rows[i] = at = following
    return rows
