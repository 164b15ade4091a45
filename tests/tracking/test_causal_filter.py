"""The causal filter against filterpy, and what a filter must survive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ornstein import discretised

from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FloatArray, FrameStamps, Pose

K = 3
MS = 1_000_000


def spec(**changes: object) -> TrackingSpec:
    values: dict[str, object] = {
        "q_px2_s3": [2e5, 5e4, 1e6],
        "tau_s": [0.1, 0.5, 0.05],
        "gain": [1.0, 2.0, 0.5],
        "floor_px2": [1.0, 0.25, 4.0],
        "gate_chi2": 1e12,
    }
    return TrackingSpec(**(values | changes))  # type: ignore[arg-type]


def pose(
    xy: FloatArray, t_ms: float, *, index: int = 0, epoch: int = 0, confidence: FloatArray | None = None
) -> Pose:
    cov = np.tile(np.array([[2.0, 0.5], [0.5, 1.0]]), (1, len(xy), 1, 1))
    t_ns = round(t_ms * MS)
    stamps = FrameStamps(index=index, t_exposure_ns=t_ns, t_arrival_ns=t_ns, t_scene_ns=t_ns, epoch=epoch)
    seen = np.ones(len(xy)) if confidence is None else confidence
    return Pose("cam", stamps, xy[None].astype(float), cov, seen[None])


class Oracle:
    """filterpy's filter for one keypoint, [x, y, vx, vy]."""

    def __init__(self, tracking: TrackingSpec, k: int, z: FloatArray, R: FloatArray) -> None:
        self.q, self.tau = tracking.q_px2_s3[k], tracking.tau_s[k]
        self.filter = KalmanFilter(dim_x=4, dim_z=2)
        self.filter.H = np.eye(2, 4)
        self.filter.x = np.array([*z, 0.0, 0.0])
        speed2 = self.q * self.tau / 2
        self.filter.P = np.diag([0.0, 0.0, speed2, speed2])
        self.filter.P[:2, :2] = R

    def step(self, dt_s: float, z: FloatArray | None, R: FloatArray) -> None:
        F, Q = discretised(dt_s, self.q, self.tau)
        self.filter.predict(F=np.kron(F, np.eye(2)), Q=np.kron(Q, np.eye(2)))
        if z is not None:
            self.filter.update(z, R=R)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 2**K - 1), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=25,
    )
)
def test_means_and_covariances_equal_filterpy(steps: list[tuple[int, int, int]]) -> None:
    """Random dt, random keypoints missing: equal to filterpy to 1e-6, relative."""
    tracking = spec(restart_ms=1e9, lost_ms=1e9)
    tracker = CausalFilter(tracking, 1, K)
    first = np.array([[10.0, 20.0], [100.0, 50.0], [200.0, 220.0]])
    start = pose(first, 0)
    tracker.step(start)
    noise = [tracking.gain[k] * start.cov[0, k] + tracking.floor_px2[k] * np.eye(2) for k in range(K)]
    oracles = [Oracle(tracking, k, first[k], noise[k]) for k in range(K)]
    t_ms = 0
    for i, (dt_ms, seen, seed) in enumerate(steps, 1):
        t_ms += dt_ms
        z = first + np.random.default_rng(seed).normal(0, 30, (K, 2))
        visible = np.array([bool(seen >> k & 1) for k in range(K)])
        z[~visible] = np.nan
        track = tracker.step(pose(z, t_ms, index=i))
        for k, oracle in enumerate(oracles):
            oracle.step(dt_ms / 1000, z[k] if visible[k] else None, noise[k])
            got = np.concatenate([track.xy[0, k], track.velocity[0, k]])
            np.testing.assert_allclose(got, oracle.filter.x, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(track.cov[0, k], oracle.filter.P, rtol=1e-6, atol=1e-6)


def test_prediction_equals_filterpy_and_changes_nothing() -> None:
    tracking = spec()
    tracker = CausalFilter(tracking, 1, K)
    rng = np.random.default_rng(1)
    for i in range(10):
        tracker.step(pose(rng.normal(100, 5, (K, 2)), 10 * i, index=i))
    now = tracker.predict("cam", 9, 90 * MS)
    ahead = tracker.predict("cam", 9, 140 * MS)
    for k in range(K):
        F, Q = discretised(0.05, tracking.q_px2_s3[k], tracking.tau_s[k])
        F, Q = np.kron(F, np.eye(2)), np.kron(Q, np.eye(2))
        state = np.concatenate([now.xy[0, k], now.velocity[0, k]])
        np.testing.assert_allclose(ahead.xy[0, k], (F @ state)[:2], rtol=1e-9)
        np.testing.assert_allclose(ahead.cov[0, k], F @ now.cov[0, k] @ F.T + Q, rtol=1e-6)
    again = tracker.predict("cam", 9, 90 * MS)
    np.testing.assert_array_equal(again.xy, now.xy)


def test_an_outlier_moves_the_track_less_than_without_the_gate() -> None:
    still = np.full((K, 2), 100.0)
    moved = {}
    for gate in (9.21, 1e12):
        tracker = CausalFilter(spec(gate_chi2=gate), 1, K)
        for i in range(50):
            tracker.step(pose(still, 10 * i, index=i))
        moved[gate] = np.abs(tracker.step(pose(still + 80.0, 500, index=50)).xy - 100.0).max()
    assert moved[9.21] < 0.4 * moved[1e12]


def test_a_gated_track_restarts_at_the_measurement() -> None:
    tracker = CausalFilter(spec(gate_chi2=9.21, restart_frames=4, q_px2_s3=[10.0] * K), 1, K)
    still, there = np.full((K, 2), 100.0), np.full((K, 2), 300.0)
    for i in range(50):
        tracker.step(pose(still, 10 * i, index=i))
    for i in range(50, 53):
        track = tracker.step(pose(there, 10 * i, index=i))
        assert np.abs(track.xy - there).max() > 1.0
    track = tracker.step(pose(there, 530, index=53))
    np.testing.assert_array_equal(track.xy[0], there)
    assert tracker.restarts == K


def test_unseen_keypoints_grow_uncertain_then_lost_then_restart() -> None:
    tracker = CausalFilter(spec(lost_ms=50, restart_ms=100), 1, K)
    tracker.step(pose(np.full((K, 2), 100.0), 0))
    hidden = np.full((K, 2), np.nan)
    sizes, lost = [], []
    for i in range(1, 12):
        track = tracker.step(pose(hidden, 10 * i, index=i))
        sizes.append(track.cov[0, 0, 0, 0])
        lost.append(bool(track.lost[0, 0]))
    assert np.all(np.diff(sizes) > 0)
    assert lost == [10 * i > 50 for i in range(1, 12)]
    assert track.seen_ms_ago[0, 0] == pytest.approx(110)
    track = tracker.step(pose(np.full((K, 2), 240.0), 120, index=12))
    np.testing.assert_array_equal(track.xy[0], np.full((K, 2), 240.0))
    assert not track.lost.any()


def test_low_confidence_counts_as_not_seen() -> None:
    tracker = CausalFilter(spec(min_confidence=0.2), 1, K)
    track = tracker.step(pose(np.full((K, 2), 50.0), 0, confidence=np.array([0.9, 0.1, 0.2])))
    assert track.lost[0].tolist() == [False, True, False]
    assert np.isnan(track.xy[0, 1]).all()
    assert np.isnan(track.seen_ms_ago[0, 1])


@pytest.mark.parametrize("t_ms", [20.0, 10.0, -5.0])
def test_a_repeated_or_earlier_stamp_changes_nothing(t_ms: float) -> None:
    tracker = CausalFilter(spec(), 1, K)
    tracker.step(pose(np.full((K, 2), 100.0), 0))
    before = tracker.step(pose(np.full((K, 2), 101.0), 20, index=1))
    after = tracker.step(pose(np.full((K, 2), 300.0), t_ms, index=2))
    np.testing.assert_array_equal(after.xy, before.xy)
    np.testing.assert_array_equal(after.cov, before.cov)
    assert tracker.ignored == 1


def test_a_new_epoch_starts_tracks_anew() -> None:
    tracker = CausalFilter(spec(), 1, K)
    tracker.step(pose(np.full((K, 2), 100.0), 1000))
    track = tracker.step(pose(np.full((K, 2), 250.0), 0, epoch=1))
    np.testing.assert_array_equal(track.xy[0], np.full((K, 2), 250.0))
    np.testing.assert_array_equal(track.velocity[0], np.zeros((K, 2)))


def test_before_anything_was_seen_all_is_nan_and_lost() -> None:
    tracker = CausalFilter(spec(), 2, K)
    ahead = tracker.predict("cam", 0, 5 * MS)
    assert ahead.xy.shape == (2, K, 2)
    assert np.isnan(ahead.xy).all()
    assert ahead.lost.all()


def test_looking_ahead_loses_no_keypoint() -> None:
    tracker = CausalFilter(spec(lost_ms=50), 1, K)
    tracker.step(pose(np.full((K, 2), 100.0), 0))
    ahead = tracker.predict("cam", 0, 400 * MS)
    assert not ahead.lost.any()
    np.testing.assert_array_equal(ahead.seen_ms_ago, 0.0)


def test_a_measurement_beyond_the_gate_is_no_sight() -> None:
    tracker = CausalFilter(spec(gate_chi2=9.21, restart_frames=6, lost_ms=25, q_px2_s3=[10.0] * K), 1, K)
    for i in range(50):
        tracker.step(pose(np.full((K, 2), 100.0), 10 * i, index=i))
    lost = [
        bool(tracker.step(pose(np.full((K, 2), 300.0), 10 * i, index=i)).lost.all()) for i in range(50, 56)
    ]
    assert lost == [False, False, True, True, True, False], "the sixth restarts the track"


def test_a_stamp_from_the_far_future_does_not_silence_the_filter() -> None:
    tracker = CausalFilter(spec(restart_frames=4), 1, K)
    tracker.step(pose(np.full((K, 2), 100.0), 0))
    tracker.step(pose(np.full((K, 2), 100.0), 1e9, index=1))
    assert tracker.gaps == 1
    for i in range(4):
        track = tracker.step(pose(np.full((K, 2), 110.0), 10 * i, index=2 + i))
    assert (tracker.ignored, tracker.clock_steps) == (3, 1)
    np.testing.assert_array_equal(track.xy[0], np.full((K, 2), 110.0))
    assert track.t_valid_ns == 30 * MS


def test_repeated_stamps_are_no_clock_step() -> None:
    tracker = CausalFilter(spec(restart_frames=4), 1, K)
    for i in range(20):
        tracker.step(pose(np.full((K, 2), 100.0), 50, index=i))
    assert (tracker.ignored, tracker.clock_steps) == (19, 0)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -5.0])
def test_a_covariance_that_is_none_counts_as_not_seen(broken: float) -> None:
    tracker = CausalFilter(spec(), 1, K)
    bad = pose(np.full((K, 2), 100.0), 0)
    bad.cov[0, 1, 0, 0] = broken
    assert tracker.step(bad).lost[0].tolist() == [False, True, False]


def test_the_bias_is_published_and_not_believed() -> None:
    bias = [[[4.0, 1.0], [1.0, 2.0]]] * K
    plain, biased = CausalFilter(spec(), 1, K), CausalFilter(spec(bias_px2=bias), 1, K)
    rng = np.random.default_rng(5)
    for i in range(5):
        seen = pose(rng.normal(100, 5, (K, 2)), 10 * i, index=i)
        a, b = plain.step(seen), biased.step(seen)
        np.testing.assert_array_equal(a.xy, b.xy)
        np.testing.assert_allclose(b.cov[..., :2, :2] - a.cov[..., :2, :2], [bias], rtol=1e-9)
    a, b = plain.predict("cam", 4, 80 * MS), biased.predict("cam", 4, 80 * MS)
    np.testing.assert_allclose(b.cov[..., :2, :2] - a.cov[..., :2, :2], [bias], rtol=1e-9)


def test_what_is_not_of_its_keypoints_is_refused_before_compiled_code_sees_it() -> None:
    """Arrays of other lengths would be read and written past their ends."""
    tracker = CausalFilter(spec(), 1, K)
    good = pose(np.zeros((K, 2)), 0)
    wide = np.zeros((1, K, 3))
    for bad in (
        pose(np.zeros((K + 1, 2)), 0),
        replace(good, xy=wide),
        replace(good, cov=good.cov[:, :-1]),
        replace(good, confidence=good.confidence[:, :-1]),
    ):
        with pytest.raises(UserError, match="the filter is of 1 x 3 keypoints"):
            tracker.step(bad)
    assert tracker.step(good).xy.shape == (1, K, 2)
    for changes in ({"tau_s": [0.1]}, {"bias_px2": [[[1.0, 0.0], [0.0, 1.0]]]}):
        with pytest.raises(UserError, match="the filter has 3 keypoints, its"):
            CausalFilter(spec(**changes), 1, K)


def test_numbers_whose_squares_overflow_are_no_measurement() -> None:
    """Once they made the track NaN, and kept it so: each frame after them counted as a sight of it."""
    xy = np.array([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]])
    for far in (2e9, 1e155, 1e200, -1e308):
        made = CausalFilter(spec(gate_chi2=9.21), 1, K)
        for i in range(12):
            seen = pose(xy + (far if 5 <= i < 7 else 0.0), 10.0 * i, index=i)
            if i == 8:
                seen.cov[0, 0] = [[1e200, 0.0], [0.0, 1.0]]
                seen.xy[0, 0, 1] += 1000.0
            track = made.step(seen)
            assert np.isfinite(track.xy).all()
            assert np.isfinite(track.cov).all()
        assert np.abs(track.xy[0] - xy).max() < 1.0
        assert not track.lost.any()
