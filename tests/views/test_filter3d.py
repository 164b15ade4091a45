"""The filter in space: filterpy's extended Kalman filter, views that miss or err, and where tracks begin."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from filterpy.kalman import ExtendedKalmanFilter
from support.ornstein import discretised
from support.views_motion import moving, seen

from bench.calibration import make_rig
from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import CausalFilter3D, TrackingSpec3D

MS = 1_000_000
Q, TAU = 4e4, 0.2
FRAMES, K = 60, 3
R = np.array([[2.0, 0.3], [0.3, 1.0]])
Scene = tuple[list[CalibratedCamera], FloatArray, FloatArray]


def spec(keypoints: int = K, **changes: float) -> TrackingSpec3D:
    each = np.ones(keypoints)
    return TrackingSpec3D(Q * each, TAU * each, each, **changes)  # type: ignore[arg-type]


def cov(keypoints: int = K) -> FloatArray:
    return np.tile(R, (keypoints, 1, 1))


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Four cameras, places (F, K, 3) at 100 frames a second, and what is seen of them (V, F, K, 2)."""
    random = np.random.default_rng(8)
    cameras = make_rig(random, 4)
    places = moving(random, FRAMES, K, 0.01, Q, TAU)
    return cameras, places, seen(cameras, places, 1.2, random)


def run(
    tracker: CausalFilter3D, xy: FloatArray, views: tuple[int, ...] = (0, 1, 2, 3), apart_ms: int = 1
) -> None:
    """All frames, 10 ms apart; each camera somewhat after the one before."""
    for f in range(xy.shape[1]):
        for v in views:
            assert tracker.observe(v, (10 * f + apart_ms * v) * MS, xy[v, f], cov(xy.shape[2]))


class Oracle:
    """filterpy's filter of one keypoint through one camera after the other."""

    def __init__(self, state: FloatArray, cov: FloatArray, cameras: list[CalibratedCamera]) -> None:
        self.filter = ExtendedKalmanFilter(dim_x=6, dim_z=2)
        self.filter.x, self.filter.P = state, cov
        self.cameras = cameras

    def step(self, dt_s: float, view: int, z: FloatArray) -> None:
        step, noise = discretised(dt_s, Q, TAU)
        self.filter.F, self.filter.Q = np.kron(step, np.eye(3)), np.kron(noise, np.eye(3))
        self.filter.predict()
        camera = self.cameras[view]

        def slope(x: FloatArray) -> FloatArray:
            by_local = camera.project_with_derivative(x[:3])[1]
            return np.hstack([by_local @ camera.rotation_matrix, np.zeros((2, 3))])

        self.filter.update(z, slope, lambda x: camera.project(x[:3]), R=R)


def test_means_and_covariances_equal_filterpy(scene: Scene) -> None:
    cameras, _, xy = scene
    tracker = CausalFilter3D(cameras, spec(gate_chi2=1e12))
    run(tracker, xy[:, :10])
    state = tracker.predict(93 * MS)
    oracles = [
        Oracle(np.concatenate([state.xyz[k], state.velocity[k]]), state.cov[k], cameras) for k in range(K)
    ]
    random, t_ms = np.random.default_rng(0), 93
    for f in range(10, 30):
        for v in range(4):
            dt_ms = int(random.integers(1, 4))
            t_ms += dt_ms
            z = xy[v, f].copy()
            z[random.random(K) < 0.3] = np.nan
            tracker.observe(v, t_ms * MS, z, cov())
            now = tracker.predict(t_ms * MS)
            for k, oracle in enumerate(oracles):
                if np.isfinite(z[k]).all():
                    oracle.step(dt_ms / 1000, v, z[k])
                else:
                    step, noise = discretised(dt_ms / 1000, Q, TAU)
                    oracle.filter.F, oracle.filter.Q = np.kron(step, np.eye(3)), np.kron(noise, np.eye(3))
                    oracle.filter.predict()
                np.testing.assert_allclose(now.xyz[k], oracle.filter.x[:3], rtol=1e-6, atol=1e-6)
                np.testing.assert_allclose(now.velocity[k], oracle.filter.x[3:], rtol=1e-6, atol=1e-4)
                np.testing.assert_allclose(now.cov[k], oracle.filter.P, rtol=1e-6, atol=1e-6)
    ahead, dt_s = tracker.predict((t_ms + 50) * MS), 0.05
    step, noise = discretised(dt_s, Q, TAU)
    expected = np.kron(step, np.eye(3)) @ oracles[0].filter.x
    np.testing.assert_allclose(
        np.concatenate([ahead.xyz[0], ahead.velocity[0]]), expected, rtol=1e-6, atol=1e-4
    )
    assert tracker.predict(t_ms * MS).xyz == pytest.approx(now.xyz), "looking ahead changes nothing"


def test_a_missing_view_only_widens_the_covariance(scene: Scene) -> None:
    cameras, places, _ = scene
    exact = np.stack([camera.project(places) for camera in cameras])
    states = []
    for views in ((0, 1, 2, 3), (0, 1, 2), (0, 1)):
        tracker = CausalFilter3D(cameras, spec())
        run(tracker, exact, views)
        states.append(tracker.predict(10 * FRAMES * MS))
    for fuller, fewer in pairwise(states):
        wider = np.linalg.eigvalsh(fewer.cov - fuller.cov)
        assert (wider[:, -1] > 0).all()
        assert (wider[:, 0] > -1e-2 * wider[:, -1]).all(), "in no direction is less known of more"
        assert np.linalg.norm(fewer.xyz - places[-1], axis=1).max() < 8.0, "mm"


def test_the_truth_lies_in_the_region_as_often_as_it_says(scene: Scene) -> None:
    cameras = scene[0]
    random = np.random.default_rng(2)
    places = moving(random, 30, 120, 0.01, Q, TAU)
    noise = np.einsum("ij,vfkj->vfki", np.linalg.cholesky(R), random.normal(size=(4, 30, 120, 2)))
    tracker = CausalFilter3D(cameras, spec(120))
    run(tracker, np.stack([camera.project(places) for camera in cameras]) + noise, apart_ms=0)
    found = tracker.predict(290 * MS)
    off = found.xyz - places[-1]
    d2 = np.einsum("ki,ki->k", off, np.linalg.solve(found.cov[:, :3, :3], off[..., None])[..., 0])
    assert 0.8 < (d2 < 6.251).mean() < 0.97, "90 % of chi-square with 3 degrees of freedom"


def test_a_view_that_errs_is_gated(scene: Scene) -> None:
    cameras, places, xy = scene
    wrong = xy.copy()
    wrong[2, 10:] += 80.0
    errors = {}
    for gate in (9.21, 1e12):
        tracker = CausalFilter3D(cameras, spec(gate_chi2=gate))
        run(tracker, wrong)
        errors[gate] = np.linalg.norm(tracker.predict(0).xyz - places[-1], axis=1).max()
        tracker.observe(2, 10 * FRAMES * MS, wrong[2, -1], cov())
        assert (tracker.factor > 1.0).all() == (gate < 1e12)
        assert tracker.restarts == 0
    assert errors[9.21] < 0.4 * errors[1e12]


def test_covariances_stay_positive() -> None:
    """Near and far cameras, huge and tiny noises, gaps of all lengths, outliers."""
    random = np.random.default_rng(5)
    cameras = make_rig(random, 4)
    places = random.uniform(-60, 60, (400, 5, 3))
    xy = np.stack([camera.project(places) for camera in cameras])
    tracker = CausalFilter3D(cameras, spec(5, lost_ms=1e6))
    t_ns = 0
    for f in range(400):
        t_ns += int(10 ** random.uniform(3, 9.5))
        for v in range(4):
            scale = 10 ** random.uniform(-4, 4, 5)
            tracker.observe(v, t_ns, xy[v, f] + random.normal(0, 5, (5, 2)), R * scale[:, None, None])
        state = tracker.predict(t_ns)
        known = ~state.lost
        roots = np.linalg.eigvalsh(state.cov[known])
        assert np.isfinite(state.xyz[known]).all()
        assert (roots[:, 0] > -1e-12 * roots[:, -1]).all()
        assert (state.cov == state.cov.transpose(0, 2, 1))[known].all()


def test_a_track_starts_where_two_views_agree_and_again_where_they_have_moved(scene: Scene) -> None:
    cameras, places, xy = scene
    tracker = CausalFilter3D(cameras, spec(lost_ms=200.0))
    assert tracker.predict(0).lost.all()
    tracker.observe(0, 0, xy[0, 0], cov())
    assert tracker.predict(0).lost.all(), "one view places nothing"
    tracker.observe(1, 10 * MS, xy[1, 0] + 150.0, cov())
    assert tracker.predict(10 * MS).lost.all(), "they do not agree"
    tracker.observe(2, 80 * MS, xy[2, 0], cov())
    assert tracker.predict(80 * MS).lost.all(), "the first is too old"
    tracker.observe(3, 81 * MS, xy[3, 0], cov())
    state = tracker.predict(81 * MS)
    assert not state.lost.any()
    assert np.linalg.norm(state.xyz - places[0], axis=1).max() < 15.0
    away = np.stack([camera.project(places[0] + [60.0, -40.0, 30.0]) for camera in cameras])
    for i in range(12):
        tracker.observe(i % 4, (82 + i) * MS, away[i % 4], cov())
    assert tracker.restarts == K
    assert np.linalg.norm(tracker.predict(0).xyz - places[0] - [60.0, -40.0, 30.0], axis=1).max() < 5.0
    nothing = np.full((K, 2), np.nan)
    tracker.observe(0, 250 * MS, nothing, cov())
    state = tracker.predict(250 * MS)
    assert not state.lost.any()
    assert state.seen_ms_ago == pytest.approx(157.0)
    tracker.observe(0, 300 * MS, nothing, cov())
    state = tracker.predict(300 * MS)
    assert state.lost.all()
    assert np.isnan(state.xyz).all()


def test_what_is_late_or_of_another_shape(scene: Scene) -> None:
    cameras, _, xy = scene
    tracker = CausalFilter3D(cameras, spec())
    run(tracker, xy[:, :5])
    before = tracker.predict(0).xyz
    assert not tracker.observe(0, 42 * MS, xy[0, 4], cov())
    assert tracker.late == 1
    np.testing.assert_array_equal(tracker.predict(0).xyz, before)
    for wrong in (
        lambda: tracker.observe(4, 90 * MS, xy[0, 4], cov()),
        lambda: tracker.observe(0, 90 * MS, xy[0, 4, :2], cov()),
        lambda: tracker.observe_all(np.array([0]), np.array([0]), xy[0, :1], cov()[None]),
        lambda: CausalFilter3D(cameras[:1], spec()),
        lambda: CausalFilter3D(cameras, TrackingSpec3D(np.ones(3), np.ones(2), np.ones(3))),
    ):
        with pytest.raises(UserError):
            wrong()


def test_many_at_once_are_as_one_by_one(scene: Scene) -> None:
    cameras, _, xy = scene
    one, many = CausalFilter3D(cameras, spec()), CausalFilter3D(cameras, spec())
    run(one, xy)
    view = np.tile(np.arange(4), FRAMES)
    t_ns = (10 * np.repeat(np.arange(FRAMES), 4) + view) * MS
    z = xy.transpose(1, 0, 2, 3).reshape(-1, K, 2)
    factor, density = many.observe_all(view, t_ns, z, np.tile(cov(), (len(view), 1, 1, 1)))
    np.testing.assert_array_equal(one.predict(0).cov, many.predict(0).cov)
    np.testing.assert_array_equal(one.factor, factor[-1])
    assert (density < 0).all()
    assert (density[20:].mean(axis=0) > -6).all(), "px; expected somewhere on the image it would be -14"
