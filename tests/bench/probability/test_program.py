"""The sweeps of the probability bench say what the loop would decide, and pair animals rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.probability import program as probability
from bench.probability.chain import CAMERA, LATENCY_MS, Poses, live, resampled_poses, without_seed
from bench.probability.score import Curve, Point, ScoredPoses, compare_at, score_at
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.options import SimulatedOptions
from rt_pose.audit.hindsight import Episode
from rt_pose.clock import NS_PER_MS
from rt_pose.decisions.decide import Decider, make_rules
from rt_pose.decisions.rule_state import RuleStates
from rt_pose.package import TrackingSpec
from rt_pose.rules.semantics import FIRST
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FrameStamps, Pose

K = len(KEYPOINTS)
TRACKING = TrackingSpec([4e5] * K, [0.1] * K, [1.0] * K, [0.5] * K)
OPTIONS = SimulatedOptions()
MS = NS_PER_MS


def noisy_poses(seed: int, seconds: float) -> Poses:
    """Poses with 2 px of noise; what cannot be seen is unsure."""
    truth, visible = live(seed, OPTIONS, seconds)
    xy = truth.xy[:, 0] + np.random.default_rng(seed).normal(0, 2, (len(truth.t_ns), K, 2))
    cov = np.tile(4.0 * np.eye(2), (len(xy), K, 1, 1))
    return Poses(seed, truth, visible, xy, cov, np.where(visible, 0.9, 0.02))


@pytest.mark.parametrize("delay_ms", [2.0, 50.0])
def test_a_sweep_says_what_the_loop_would_decide(delay_ms: float) -> None:
    """The real decider at a probability of 0.5 fires where the series of the sweep rises to it.

    Its line is never busy: that is no matter of the series.
    """
    poses = noisy_poses(3, 8.0)
    config = probability.case_config()
    judged = probability.score_poses(poses, TRACKING, (delay_ms,))
    rules = make_rules(config, KEYPOINTS, {"stimulus": delay_ms})
    tracker, decider = CausalFilter(TRACKING, 1, K), Decider(rules, 0, states=RuleStates(1, FIRST))
    fired: dict[str, list[int]] = {rule.name: [] for rule in rules}
    for i, t_ns in enumerate(poses.truth.t_ns.tolist()):
        stamps = FrameStamps(i, t_ns, t_ns + MS, t_ns)
        tracker.step(Pose(CAMERA, stamps, poses.xy[i][None], poses.cov[i][None], poses.confidence[i][None]))
        for event, _ in decider.decide(tracker, CAMERA, stamps, t_ns + round(LATENCY_MS * MS), True):
            if event.outcome == "fired":
                fired[event.rule].append(i)
    assert sum(map(len, fired.values())) > 3
    for n, case in enumerate(probability.CASES):
        here = judged[case.name, delay_ms]
        on = (here.probability >= 0.5) & ~here.lost
        rises = np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))
        assert rises.tolist() == fired[f"rule{n}"]


def test_the_margin_is_zero_where_the_condition_begins() -> None:
    """A mean inside the condition has a margin of at least 0, another one less."""
    poses = noisy_poses(4, 10.0)
    rules = make_rules(probability.case_config(), KEYPOINTS, {"stimulus": 0.0})
    for track in list(poses.truth.tracks())[::7]:
        for case, rule in zip(probability.CASES, rules, strict=True):
            assert (probability.margin(case, track) >= 0.0) == rule.condition.holds(track, 0)


def test_events_against_episodes() -> None:
    t_ns = np.arange(100) * 10 * MS
    values = np.zeros(100)
    values[[20, 21, 50, 80]] = 1.0
    lost = np.zeros(100, bool)
    lost[80] = True
    episode = Episode(210 * MS, 210 * MS, 300 * MS, from_before=False)
    judged = ScoredPoses(t_ns, [episode], lost, values, values, delay_ms=12.0)
    point = score_at(judged, values, 0.5, tolerance_ms=50.0)
    assert (point.onsets, point.misses, point.false_alarms, point.repeats) == (1, 0, 1, 0)
    assert point.delays_ms == [pytest.approx(200 + LATENCY_MS + 12 - 210)]
    assert score_at(judged, values, 2.0, tolerance_ms=50.0).misses == 1


def curve(kind: str, misses: list[list[int]], alarms: list[list[int]]) -> Curve:
    """One row a threshold, one column an animal; 10 onsets and a minute each."""
    points = [
        [Point(10, m, a, 0, [5.0], 1.0) for m, a in zip(row_m, row_a, strict=True)]
        for row_m, row_a in zip(misses, alarms, strict=True)
    ]
    return Curve(kind, [float(i) for i in range(len(points))], points)


def test_each_kind_gets_its_best_threshold_and_animals_are_paired() -> None:
    loose, strict = [0] * 10, [5] * 10
    threshold = curve("threshold", [strict, loose], [[0] * 10, [9] * 10])
    better = curve("probability", [[3] * 9 + [2], loose], [[0] * 10, [9] * 10])
    found: dict[str, Any] | None = compare_at(threshold, better, 1.0)
    assert found is not None
    assert found["threshold"]["miss_share"] == 0.5
    assert found["probability"]["miss_share"] == pytest.approx(0.29)
    assert found["difference"]["miss_share"]["mean"] == pytest.approx(-0.21)
    assert found["verdict"] == "pays"
    back = compare_at(better, threshold, 1.0)
    assert back is not None
    assert back["verdict"] == "costs"
    same = compare_at(threshold, threshold, 1.0)
    assert same is not None
    assert same["verdict"] == "no difference shown"
    assert compare_at(curve("threshold", [loose], [[9] * 10]), better, 1.0) is None


def test_resampled_errors_keep_their_size_and_what_can_be_seen() -> None:
    library = [noisy_poses(seed, 10.0) for seed in (5, 6)]
    made = resampled_poses(without_seed(library, 6), 6, OPTIONS, 30.0)
    error = made.xy - made.truth.xy[:, 0]
    assert np.std(error) == pytest.approx(2.0, rel=0.1)
    both = made.visible.any(axis=0) & library[0].visible.any(axis=0) & ~library[0].visible.all(axis=0)
    np.testing.assert_array_equal(made.confidence[:, both] > 0.5, made.visible[:, both])
    np.testing.assert_array_equal(made.xy, resampled_poses([library[0]], 6, OPTIONS, 30.0).xy)
