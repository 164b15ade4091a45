"""The smoother against filterpy, and what hindsight must do."""

from __future__ import annotations

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter, rts_smoother
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ornstein import planar

from rt_pose.errors import UserError
from rt_pose.offline.rows import UNKNOWN_PX2
from rt_pose.offline.smooth import Smoothed, smooth_observations
from rt_pose.package import TrackingSpec
from rt_pose.types import FloatArray

K = 2
MS = 1_000_000


def spec(**changes: object) -> TrackingSpec:
    values: dict[str, object] = {
        "q_px2_s3": [2e5, 5e4],
        "tau_s": [0.1, 0.5],
        "gain": [1.0, 2.0],
        "floor_px2": [1.0, 0.25],
        "gate_chi2": 1e12,
        "restart_ms": 1e9,
    }
    return TrackingSpec(**(values | changes))  # type: ignore[arg-type]


def covariances(random: np.random.Generator, frames: int) -> FloatArray:
    a = random.normal(0, 1, (frames, K, 2, 2))
    return a @ a.transpose(0, 1, 3, 2) + 0.1 * np.eye(2)


def oracle(
    t_ms: list[int], xy: FloatArray, cov: FloatArray, tracking: TrackingSpec, k: int
) -> tuple[FloatArray, FloatArray]:
    """filterpy's filter and RTS smoother for keypoint k."""
    q, tau = tracking.q_px2_s3[k], tracking.tau_s[k]
    seen = np.isfinite(xy[:, k]).all(axis=1)
    kalman = KalmanFilter(dim_x=4, dim_z=2)
    kalman.H = np.eye(2, 4)
    kalman.x = np.array([*xy[np.argmax(seen), k], 0.0, 0.0])
    kalman.P = np.diag([UNKNOWN_PX2, UNKNOWN_PX2, q * tau / 2, q * tau / 2])
    means, covs, Fs, Qs = [], [], [], []
    for i, now in enumerate(t_ms):
        F, Q = planar((now - t_ms[i - 1]) / 1000, q, tau) if i else (np.eye(4), np.zeros((4, 4)))
        kalman.predict(F=F, Q=Q)
        if seen[i]:
            kalman.update(xy[i, k], R=tracking.gain[k] * cov[i, k] + tracking.floor_px2[k] * np.eye(2))
        means.append(kalman.x.copy())
        covs.append(kalman.P.copy())
        Fs.append(F)
        Qs.append(Q)
    # filterpy's Fs[k] leads out of frame k, ours into it.
    smoothed, P, _, _ = rts_smoother(np.array(means), np.array(covs), [*Fs[1:], Fs[0]], [*Qs[1:], Qs[0]])
    return smoothed, P


def smoothed(t_ms: list[int], xy: FloatArray, cov: FloatArray, tracking: TrackingSpec) -> Smoothed:
    return smooth_observations(np.array(t_ms) * MS, xy, cov, np.ones(xy.shape[:2]), tracking)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2**K - 1)), min_size=2, max_size=20),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_filterpys_rts(steps: list[tuple[int, int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    t_ms = np.cumsum([dt for dt, _ in steps]).tolist()
    xy = 100 + random.normal(0, 30, (len(steps), K, 2))
    for i, (_, seen) in enumerate(steps):
        xy[i, [not seen >> k & 1 for k in range(K)]] = np.nan
    cov = covariances(random, len(steps))
    found = smoothed(t_ms, xy, cov, spec())
    for k in range(K):
        if np.isnan(xy[:, k]).all():
            assert np.isnan(found.xy[:, k]).all()
            continue
        means, covs = oracle(t_ms, xy, cov, spec(), k)
        first = int(np.argmax(np.isfinite(xy[:, k, 0])))
        got = np.concatenate([found.xy[:, k], found.velocity[:, k]], axis=1)
        np.testing.assert_allclose(got[first:], means[first:], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found.cov[first:, k], covs[first:], rtol=1e-6, atol=1e-6)


def test_a_frame_out_of_order_is_left_out() -> None:
    random = np.random.default_rng(3)
    xy, cov = 100 + random.normal(0, 3, (6, K, 2)), covariances(random, 6)
    found = smoothed([0, 10, 5, 10, 20, 30], xy, cov, spec())
    kept = [0, 1, 4, 5]
    again = smoothed([0, 10, 20, 30], xy[kept], cov[kept], spec())
    np.testing.assert_array_equal(found.xy[kept], again.xy)
    assert np.isnan(found.xy[[2, 3]]).all()
    assert np.isnan(found.cov[[2, 3]]).all()


def still_with(at: dict[int, float], frames: int = 60) -> FloatArray:
    """Keypoints at 100 px, with excursions of x by frame."""
    xy = np.full((frames, K, 2), 100.0)
    for i, by in at.items():
        xy[i, :, 0] += by
    return xy


def test_a_single_outlier_is_doubted_and_a_real_jump_is_not() -> None:
    tracking = spec(gate_chi2=9.21, q_px2_s3=[1e4, 1e4], tau_s=[0.1, 0.1])
    t_ms = [10 * i for i in range(60)]
    cov = np.tile(np.eye(2), (60, K, 1, 1))
    outlier = smoothed(t_ms, still_with({30: 80.0}), cov, tracking)
    assert np.abs(outlier.xy[30, :, 0] - 100.0).max() < 8.0
    jump = smoothed(t_ms, still_with(dict.fromkeys(range(30, 60), 80.0)), cov, tracking)
    np.testing.assert_allclose(jump.xy[40:, :, 0], 180.0, atol=4.0)
    np.testing.assert_allclose(jump.xy[:20, :, 0], 100.0, atol=4.0)


def test_the_bias_is_in_the_covariance_and_nowhere_else() -> None:
    random = np.random.default_rng(4)
    xy, cov = 100 + random.normal(0, 3, (9, K, 2)), covariances(random, 9)
    bias = [[[4.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]]]
    t_ms = [10 * i for i in range(9)]
    plain, biased = smoothed(t_ms, xy, cov, spec()), smoothed(t_ms, xy, cov, spec(bias_px2=bias))
    np.testing.assert_array_equal(plain.xy, biased.xy)
    np.testing.assert_allclose(
        biased.cov[:, :, :2, :2] - plain.cov[:, :, :2, :2], np.tile(bias, (9, 1, 1, 1)), rtol=1e-9
    )
    np.testing.assert_array_equal(plain.cov[:, :, 2:], biased.cov[:, :, 2:])


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(UserError, match=r"cov has shape \(3, 2, 2\), expected \(3, 2, 2, 2\)"):
        smooth_observations(np.arange(3), np.zeros((3, K, 2)), np.zeros((3, 2, 2)), np.ones((3, K)), spec())
