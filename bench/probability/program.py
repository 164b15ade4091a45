"""Rules by probability against rules by threshold, on simulated animals whose truth is known.

    python -m bench.probability --model runs/demo/training/package --out bench/results/DATE-probability

Both kinds see the same prediction of the same filter at the time of effect. A rule by threshold asks how
far the predicted mean is inside the condition, and that margin is swept; a rule by probability asks how
probable the condition is, from the predicted covariance, and the probability is swept. Both sweeps take the
same steps: thresholds at which the rule is on for a tenth to four times as long as the condition is true.
What is true is the same for both: the condition itself at the animal's true place. Scores are those of
`rt-pose replay --hindsight`; each kind then gets the one threshold for all animals that misses least at an
allowed rate of false alarms, and the animals are paired.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.probability.chain import (
    Poses,
    network_poses,
    predictions,
    resampled_poses,
    with_noise,
    without_seed,
)
from bench.probability.page import page, text
from bench.probability.score import Curve, ScoredPoses, compare_at, sweep
from bench.program import guarded, say
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.options import SimulatedOptions
from rt_pose.audit.hindsight import episodes
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import EngineConfig, OutputConfig, RunConfig
from rt_pose.decisions.decide import make_rules
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.package import TrackingSpec, read_package
from rt_pose.session.describe import machine, versions
from rt_pose.types import Track

TOLERANCE_MS = 50.0
DELAYS_MS = (2.0, 100.0)
ALARMS_PER_MINUTE = [0.5, 1.0, 2.0, 5.0]


@dataclass(frozen=True)
class Case:
    """A condition, and what one step of its margin is: px of depth, px/s of speed."""

    name: str
    when: str
    depth: tuple[str, float] | None = None
    """Keypoint inside the zone, px a step."""
    speed: tuple[str, float, float] | None = None
    """Keypoint faster than (px/s), px/s a step."""


CENTRE = (160.0, 128.0, 60.0)
CASES = (
    Case("zone, nose", "inside(nose, centre)", depth=("nose", 4.0)),
    Case("zone, paw", "inside(paw_left, centre)", depth=("paw_left", 4.0)),
    Case("speed, nose", "speed(nose) > 110", speed=("nose", 110.0, 15.0)),
    Case(
        "zone and speed, nose",
        "inside(nose, centre) and speed(nose) > 60",
        depth=("nose", 4.0),
        speed=("nose", 60.0, 15.0),
    ),
)


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "package trained on the simulated animal"]
    seeds: Annotated[int, "animals"] = 10
    network_seconds: Annotated[float, "of rendered frames an animal"] = 40.0
    resampled_seconds: Annotated[float, "of resampled errors an animal"] = 120.0
    out: Annotated[Path | None, "path of the .json and .html, without the ending"] = None


def main() -> int:
    """Run the command line; print a table and, last, one JSON line.

    Returns
    -------
    int
        Exit status.
    """
    return guarded(Options, _main)


def _main(options: Options) -> int:
    result = run(options.model, options.seeds, options.network_seconds, options.resampled_seconds)
    print(text(result))
    if options.out is not None:
        options.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        options.out.with_suffix(".html").write_text(page(result), encoding="utf-8")
    print(json.dumps({key: result[key] for key in ("seeds", "verdicts", "took_s")}))
    return 0


def run(model: str, seeds: int, network_s: float, resampled_s: float) -> dict[str, Any]:
    """Compare on both chains, with ordinary and with noisy film.

    Parameters
    ----------
    model
        Folder of a package trained on the simulated animal.
    seeds
        Number of animals.
    network_s, resampled_s
        Length of each animal's movement in the two chains, s.

    Returns
    -------
    dict[str, Any]
        The result, for JSON.
    """
    clock = HostClock()
    began_ns = clock.now_ns()
    package = read_package(model)
    choice = choose_engine(package, EngineConfig(threads=1))
    tracking = package.manifest.tracking
    parts: list[dict[str, Any]] = []
    for light, options in (
        ("ordinary film", SimulatedOptions()),
        ("noisy film", with_noise(SimulatedOptions())),
    ):
        library = [network_poses(choice.estimator, s, options, network_s) for s in range(1, seeds + 1)]
        long = [resampled_poses(without_seed(library, p.seed), p.seed, options, resampled_s) for p in library]
        for chain, animals in (("network", library), ("resampled", long)):
            errors = _errors(animals)
            say(f"{light}, {chain}: median error {errors['median_px']} px")
            parts.append(
                {"film": light, "chain": chain, "pose_error": errors, "cases": compare(animals, tracking)}
            )
    verdicts: dict[str, int] = {}
    for row in (c for part in parts for case in part["cases"] for c in case["compared"]):
        verdicts[row["verdict"]] = verdicts.get(row["verdict"], 0) + 1
    return {
        "seeds": seeds,
        "seconds": {"network": network_s, "resampled": resampled_s},
        "tolerance_ms": TOLERANCE_MS,
        "calibrated": tracking.calibrated,
        "parts": parts,
        "verdicts": verdicts,
        "machine": machine(),
        "versions": versions(),
        "took_s": round((clock.now_ns() - began_ns) / NS_PER_S, 1),
    }


def compare(animals: list[Poses], tracking: TrackingSpec) -> list[dict[str, Any]]:
    """Compare both kinds of rule for every condition at every delay.

    Parameters
    ----------
    animals
        Poses of each.
    tracking
        Parameters of the filter.

    Returns
    -------
    list[dict[str, Any]]
        Both curves, and the paired comparison at each rate of false alarms.
    """
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        scored = list(pool.map(score_poses, animals, [tracking] * len(animals)))
    found = []
    for case in CASES:
        for delay_ms in DELAYS_MS:
            here = [j[case.name, delay_ms] for j in scored]
            curves = (
                sweep("threshold", here, lambda j: j.margin, TOLERANCE_MS),
                sweep("probability", here, lambda j: j.probability, TOLERANCE_MS),
            )
            found.append(_plain(case, delay_ms, here, curves))
    return found


def score_poses(
    poses: Poses, tracking: TrackingSpec, delays_ms: tuple[float, ...] = DELAYS_MS
) -> dict[tuple[str, float], ScoredPoses]:
    """Judge every condition at every delay on one animal.

    Parameters
    ----------
    poses
        Its poses.
    tracking
        Parameters of the filter.
    delays_ms
        Delays of outputs, ms.

    Returns
    -------
    dict[tuple[str, float], ScoredPoses]
        Truth, margin and probability by condition and delay.
    """
    rules = make_rules(case_config(), KEYPOINTS, {"stimulus": 0.0})
    frames = len(poses.truth.t_ns)
    made = {}
    for case, rule in zip(CASES, rules, strict=True):
        holds = np.array([rule.condition.holds(track, 0) for track in poses.truth.tracks()])
        true = episodes(poses.truth.t_ns, holds, 0, round(TOLERANCE_MS * NS_PER_MS))
        for delay_ms in delays_ms:
            made[case.name, delay_ms] = ScoredPoses(
                poses.truth.t_ns, true, np.zeros(frames, bool), np.empty(frames), np.empty(frames), delay_ms
            )
    for i, ahead in enumerate(predictions(poses, tracking, delays_ms)):
        for delay_ms, track in ahead.items():
            for case, rule in zip(CASES, rules, strict=True):
                scored = made[case.name, delay_ms]
                scored.lost[i] = track.lost[0, list(rule.condition.keypoints)].any()
                scored.margin[i] = margin(case, track)
                scored.probability[i] = rule.condition.probability(track, 0)
    return made


def margin(case: Case, track: Track) -> float:
    """Compute how far the mean is inside a condition.

    Parameters
    ----------
    case
        The condition.
    track
        The predicted track.

    Returns
    -------
    float
        In steps; of two parts the smaller.
    """
    parts = []
    if case.depth is not None:
        keypoint, step = case.depth
        x, y = track.xy[0, KEYPOINTS.index(keypoint)]
        parts.append((CENTRE[2] - np.hypot(x - CENTRE[0], y - CENTRE[1])) / step)
    if case.speed is not None:
        keypoint, limit, step = case.speed
        parts.append((np.hypot(*track.velocity[0, KEYPOINTS.index(keypoint)]) - limit) / step)
    return float(min(parts))


def _plain(
    case: Case, delay_ms: float, here: list[ScoredPoses], curves: tuple[Curve, Curve]
) -> dict[str, Any]:
    compared = [compare_at(*curves, limit) for limit in ALARMS_PER_MINUTE]
    return {
        "name": case.name,
        "when": case.when,
        "delay_ms": delay_ms,
        "onsets": sum(len(j.episodes) for j in here),
        "lost_share": round(float(np.mean([j.lost.mean() for j in here])), 4),
        "curves": {curve.kind: curve.plain() for curve in curves},
        "compared": [row for row in compared if row is not None],
    }


def case_config() -> RunConfig:
    """Make the conditions into rules, so that they are judged by the rules' own code.

    Returns
    -------
    RunConfig
        A run with a rule for each of `CASES`.
    """
    do = ActionConfig("stimulus", pulse="5 ms")
    return RunConfig(
        outputs={"stimulus": OutputConfig("simulated")},
        zones={"centre": ZoneConfig(list(CENTRE))},
        rules=[RuleConfig(f"rule{i}", case.when, do, probability=0.5) for i, case in enumerate(CASES)],
    )


def _errors(animals: list[Poses]) -> dict[str, float]:
    """Errors of visible keypoints, px."""
    apart = np.concatenate([np.linalg.norm(p.xy - p.truth.xy[:, 0], axis=-1)[p.visible] for p in animals])
    median, p90, p99 = np.nanpercentile(apart, [50, 90, 99])
    return {"median_px": round(median, 3), "p90_px": round(p90, 3), "p99_px": round(p99, 3), "n": apart.size}
