"""The drift detector where the change is known: silent before it, alarm soon after it, over when it is."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from rt_pose.clock import NS_PER_S
from rt_pose.offline.drift_fit import filter_recorded, fit_drift
from rt_pose.offline.innovations import Recorded
from rt_pose.package import DriftLimits, DriftSpec, TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.drift import MOST_EPISODES, DriftMonitor, FrameStatistics
from rt_pose.tracking.drift_compiled import LEAST_PX2
from rt_pose.tracking.drift_statistics import format_statistics
from rt_pose.tracking.individuals import IndividualTracker
from rt_pose.types import FloatArray, FrameStamps, Pose

RATE_HZ, KEYPOINTS = 20.0, 6
TRACKING = TrackingSpec([2e5] * KEYPOINTS, [0.2] * KEYPOINTS, [1.0] * KEYPOINTS, [0.25] * KEYPOINTS)


def walking(seed: int, seconds: float) -> Recorded:
    """An animal that swings its six keypoints in bouts, seen with noise and a varying confidence."""
    random = np.random.default_rng(seed)
    frames = round(seconds * RATE_HZ)
    slow = np.convolve(random.normal(0, 1, frames + 99), np.ones(100) / 10, "valid")  # bouts of some seconds
    phase = 2 * np.pi * np.cumsum(1.5 + 0.3 * slow) / RATE_HZ
    base = np.linspace(40, 240, KEYPOINTS)[:, None] + [0.0, 20.0]
    swing = (
        np.stack([np.sin(phase), np.cos(phase)], axis=1)[:, None, :] * np.linspace(5, 15, KEYPOINTS)[:, None]
    )
    xy = base + swing + random.normal(0, 0.5, (frames, KEYPOINTS, 2))
    odds = 2.0 + 0.5 * slow[:, None] + random.normal(0, 0.5, (frames, KEYPOINTS))
    cov = np.tile(0.01 * np.eye(2), (frames, KEYPOINTS, 1, 1))
    return Recorded(1 / RATE_HZ, xy, cov, 1 / (1 + np.exp(-odds)))


@pytest.fixture(scope="module")
def spec() -> DriftSpec:
    found = fit_drift([walking(seed, 100.0) for seed in (0, 1)], TRACKING)
    assert found is not None
    return found


def through(spec: DriftSpec, *parts: Recorded) -> DriftMonitor:
    """The detector after recordings that follow one another."""
    monitor = DriftMonitor(spec)
    joined = Recorded(
        parts[0].dt_s,
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("xy", "cov", "confidence")),
    )
    for pose, track, causal_filter in filter_recorded(joined, TRACKING):
        monitor.step(pose, track, causal_filter)
    return monitor


def test_another_day_of_the_same_gives_no_alarm(spec: DriftSpec) -> None:
    assert spec.block_s == 1.0
    assert list(spec.limits) == ["pose", "confidence", "innovation"]
    found = through(spec, walking(2, 240.0)).summary()
    assert (found["alarms"], found["episodes"], found["compared_s"]) == (0, [], 239.0)


@pytest.mark.parametrize("changed", ["pose", "confidence", "innovation"])
def test_a_change_is_told_soon_and_so_is_its_end(spec: DriftSpec, changed: str) -> None:
    odd = walking(4, 20.0)
    if changed == "pose":
        odd.xy += [12.0, -8.0]  # the camera was pushed
    elif changed == "confidence":
        odd.confidence *= 0.4  # the light is dim
    else:
        odd.xy += np.random.default_rng(5).normal(0, 6.0, odd.xy.shape)  # the network is unsteady
    found = through(spec, walking(3, 30.0), odd, walking(6, 40.0))
    assert found.alarms == 1
    (episode,) = found.episodes
    assert changed in episode.statistics
    assert 30.0 < episode.start_s < 45.0
    assert episode.end_s is not None
    assert 50.0 < episode.end_s < 85.0
    assert found.stats()["alarm"] == []
    assert through(spec, walking(3, 30.0), odd, walking(6, 40.0)).summary() == found.summary()


def test_the_distance_is_that_from_the_space_of_the_calibration(spec: DriftSpec) -> None:
    assert spec.space is not None
    recorded, offset = walking(7, 1.0), (30, 50)
    moved = Recorded(recorded.dt_s, recorded.xy + offset, recorded.cov, recorded.confidence)
    off = recorded.xy.reshape(len(recorded.xy), -1) - np.array(spec.space.mean_px)
    rows = np.array(spec.space.components)
    rest = ((off - off @ rows.T @ rows) ** 2).sum(axis=1) / KEYPOINTS
    statistics = FrameStatistics(spec.space, offset)
    found = [statistics.of(*one)[0] for one in filter_recorded(moved, TRACKING)]
    np.testing.assert_allclose(found, 0.5 * np.log(LEAST_PX2 + rest), rtol=1e-9)


def test_what_was_hardly_seen_has_no_value_and_alarms_by_its_confidence(spec: DriftSpec) -> None:
    dark = walking(8, 12.0)
    dark.confidence[:] = 0.01
    dark.xy[:] = np.nan
    statistics = FrameStatistics(spec.space)
    *_, last = (statistics.of(*one).copy() for one in filter_recorded(dark, TRACKING))
    assert np.isnan(last).tolist() == [True, False, True]
    assert through(spec, walking(9, 10.0), dark).stats()["alarm"] == ["confidence"]


ODDS = DriftSpec({"confidence": DriftLimits(0.0, 1.0, 1.0, 3.0)}, 1.0, 20.0, 60.0)


def one_keypoint(monitor: DriftMonitor, log_odds: FloatArray, start_s: float = 0.0, epoch: int = 0) -> None:
    """Ten frames a second of one keypoint at rest, unsure with these odds."""
    causal_filter = CausalFilter(TrackingSpec([1.0], [1.0], [1.0], [1.0]), 1, 1)
    for i, odds in enumerate(log_odds):
        t_ns = round((start_s + i / 10) * NS_PER_S)
        unsure = 1 / (1 + np.exp(-odds))
        pose = Pose("top", FrameStamps(i, t_ns, t_ns, t_ns, epoch=epoch), np.zeros((1, 1, 2)),
                    np.ones((1, 1, 2, 2)) * np.eye(2), np.array([[1 - unsure]]))  # fmt: skip
        monitor.step(pose, causal_filter.step(pose), causal_filter)


def test_the_sum_grows_by_what_exceeds_the_allowance_times_the_block() -> None:
    monitor = DriftMonitor(ODDS)
    one_keypoint(monitor, np.full(11, 2.5))
    assert monitor.stats() == {"alarm": [], "level": {"confidence": 0.5}, "alarms": 0}
    one_keypoint(monitor, np.full(11, 2.5), start_s=1.1)  # 1.5 in each second
    assert monitor.stats()["level"] == {"confidence": 1.0}
    one_keypoint(monitor, np.full(10, 2.5), start_s=2.2)
    assert monitor.stats() == {"alarm": ["confidence"], "level": {"confidence": 1.5}, "alarms": 1}
    one_keypoint(monitor, np.full(101, 2.5), start_s=3.2)
    assert monitor.stats()["level"] == {"confidence": 1.5}, "it is bounded, to fall again in time"
    one_keypoint(monitor, np.zeros(71), start_s=13.3)
    assert monitor.stats()["alarm"] == []
    assert monitor.episodes[0].start_s == pytest.approx(3.0, abs=1.1)
    assert monitor.episodes[0].end_s == pytest.approx(19.0)


def test_times_that_begin_anew_do_not_end_the_comparison() -> None:
    monitor = DriftMonitor(ODDS)
    one_keypoint(monitor, np.full(35, 6.0), start_s=100.0)
    assert monitor.summary()["compared_s"] == 3.0
    one_keypoint(monitor, np.full(35, 6.0), start_s=2.0, epoch=1)
    one_keypoint(monitor, np.full(35, 6.0), start_s=1.0, epoch=1)
    found = monitor.summary()
    assert (found["compared_s"], found["alarms"]) == (9.0, 1)
    assert found["episodes"][0]["start_s"] == pytest.approx(1.0)
    stamps = FrameStamps(0, 0, 0, 0, epoch=1)
    causal_filter = CausalFilter(TrackingSpec([1.0], [1.0], [1.0], [1.0]), 1, 1)
    late = Pose("top", stamps, np.zeros((1, 1, 2)), np.ones((1, 1, 2, 2)) * np.eye(2), np.ones((1, 1)))
    causal_filter.step(late)
    track = causal_filter.step(replace(late, stamps=msgspec.structs.replace(stamps, t_scene_ns=-5)))
    monitor.step(late, track, causal_filter)
    assert monitor.summary() == found, "a pose that the filter ignored is none"


def test_alarms_beyond_the_kept_ones_are_counted() -> None:
    monitor = DriftMonitor(
        replace(ODDS, block_s=0.1, limits={"confidence": DriftLimits(0.0, 1.0, 1.0, 0.01)})
    )
    one_keypoint(monitor, np.tile([3.0, -6.0], MOST_EPISODES + 5))
    assert monitor.alarms == MOST_EPISODES + 5
    assert len(monitor.episodes) == MOST_EPISODES
    assert monitor.episodes[-1].end_s is not None


def test_statistics_are_named_in_a_sentence() -> None:
    assert format_statistics(["pose"]) == "pose-PCA error"
    assert format_statistics(["pose", "confidence", "later"]) == "pose-PCA error, confidence and later"
    assert format_statistics([]) == ""


def of_two(confidence: tuple[float, float], seconds: int = 6) -> DriftMonitor:
    """Two animals at rest, seen in turning order with these confidences."""
    random = np.random.default_rng(0)
    tracker = IndividualTracker(replace(TRACKING, min_confidence=0.05), 2, KEYPOINTS, (640, 480))
    body = np.linspace(40, 140, KEYPOINTS)[:, None] + [0.0, 20.0]
    places, sure = np.stack([body, body + np.array([300.0, 200.0])]), np.array(confidence)[:, None]
    monitor = DriftMonitor(ODDS)
    for i in range(round(seconds * RATE_HZ)):
        t_ns = round(i / RATE_HZ * NS_PER_S)
        order = [i % 2, 1 - i % 2]
        xy = (places + random.normal(0, 0.3, places.shape))[order]
        cov = np.tile(np.eye(2), (2, KEYPOINTS, 1, 1))
        pose = Pose("top", FrameStamps(i, t_ns, t_ns, t_ns), xy, cov, (sure * np.ones(KEYPOINTS))[order])
        monitor.step(pose, tracker.step(pose), tracker)
    assert tracker.newest.alive.all()
    return monitor


def test_of_several_animals_the_mean_over_all_of_them_is_compared() -> None:
    assert of_two((0.9, 0.1)).summary()["alarms"] == 0, "one that is seen badly is not drift"
    found = of_two((0.1, 0.1)).summary()
    assert (found["alarms"], found["alarm"], found["compared_s"]) == (1, ["confidence"], 5.0)
    assert found["level"]["confidence"] == pytest.approx(min(1.5, 5 * (np.log(9) - 1) / 3), abs=0.01)
