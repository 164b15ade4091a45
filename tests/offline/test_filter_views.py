"""Recordings of several views: filtered, smoothed (against dense least squares), parameters fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from support.ornstein import discretised
from support.views_motion import moving, seen

from bench.calibration import make_rig, view_poses
from rt_pose.errors import UserError
from rt_pose.offline.filter_views import filter_causal, smooth_recording
from rt_pose.offline.fit_views import LEAST, fit_views
from rt_pose.offline.smooth_views import smooth_views
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.placed import PlacedKeypoints, place_keypoints

Q, TAU, FPS, K = 4e4, 0.2, 50.0, 2
Scene = tuple[list[CalibratedCamera], FloatArray, FloatArray]


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Three cameras, places (F, K, 3), and what is seen of them (V, F, K, 2), with gaps."""
    random = np.random.default_rng(11)
    cameras = make_rig(random, 3)
    places = moving(random, 150, K, 1 / FPS, Q, TAU)
    xy = seen(cameras, places, 2.0, random)
    xy[:, 40:46, 1] = np.nan
    xy[random.random(xy.shape[:3]) < 0.15] = np.nan
    return cameras, places, xy


def spec() -> TrackingSpec3D:
    return TrackingSpec3D(Q * np.ones(K), TAU * np.ones(K), np.ones(K))


def sequence(cameras: list[CalibratedCamera], xy: FloatArray) -> tuple[ViewSequence, PlacedKeypoints]:
    poses = view_poses(cameras, xy)
    return ViewSequence.of(poses, 2.0, FPS), place_keypoints(cameras, poses, 2.0)


def test_smoothing_finds_the_most_probable_movement(scene: Scene) -> None:
    """Means of one least-squares problem over all states, and the inverse of its normal equations."""
    cameras, _, every = scene
    xy = every[:, 36:48, 1:2]
    one = TrackingSpec3D(np.full(1, Q), np.full(1, TAU), np.ones(1), gate_chi2=1e12)
    ordered, placed = sequence(cameras, xy)
    mean, cov, factor = smooth_views(cameras, ordered, one, placed.xyz)
    step, noise = (np.kron(part, np.eye(3)) for part in discretised(1 / FPS, Q, TAU))
    root = np.linalg.inv(np.linalg.cholesky(noise))
    used = np.isfinite(xy[:, :, 0]).all(axis=-1)
    for e, (view, frame) in enumerate(zip(ordered.view, ordered.frame, strict=True)):
        used[view, frame] &= np.isfinite(factor[e, 0])

    def residuals(flat: FloatArray) -> FloatArray:
        states = flat.reshape(-1, 6)
        off = [
            ((camera.project(states[:, :3]) - z)[own] / 2.0).ravel()
            for camera, z, own in zip(cameras, xy[:, :, 0], used, strict=True)
        ]
        moved = (states[1:] - states[:-1] @ step.T) @ root.T
        return np.concatenate([*off, moved.ravel(), states[0, 3:] / np.sqrt(Q * TAU / 2)])

    best = least_squares(residuals, mean[:, 0].ravel(), x_scale="jac", xtol=1e-14, ftol=1e-14)
    np.testing.assert_allclose(mean[:, 0, :3], best.x.reshape(-1, 6)[:, :3], atol=0.01)
    inverse = np.linalg.inv(best.jac.T @ best.jac)
    for f in range(len(mean)):
        part = slice(6 * f, 6 * f + 6)
        scale = np.sqrt(np.diag(inverse[part, part]))
        share = (cov[f, 0] - inverse[part, part]) / np.outer(scale, scale)
        np.testing.assert_allclose(share, 0.0, atol=0.01)


def test_filtered_and_smoothed_places(scene: Scene) -> None:
    cameras, places, xy = scene
    wrong = xy.copy()
    wrong[1, 60:64] += 90.0
    ordered, placed = sequence(cameras, wrong)
    causal = filter_causal(cameras, ordered, spec())
    smooth = smooth_recording(cameras, ordered, spec(), placed)

    def error(found: PlacedKeypoints) -> float:
        off = np.linalg.norm(found.xyz - places, axis=-1)
        return float(np.median(off[5:][np.isfinite(placed.xyz[5:, :, 0])]))

    assert error(smooth.placed) < error(causal.placed) < error(placed)
    assert np.isnan(placed.xyz[41:45, 1]).all(), "nothing was seen"
    assert np.isfinite(causal.placed.xyz[5:]).all()
    assert np.linalg.norm(smooth.placed.xyz - places, axis=-1)[40:46, 1].max() < 10.0
    hidden, visible = smooth.placed.cov[43, 1], smooth.placed.cov[55, 1]
    assert np.trace(hidden) > 1.5 * np.trace(visible)
    assert (causal.placed.cameras[41:45, 1] == 0).all()
    assert np.isnan(causal.placed.error_px[41:45, 1]).all()
    assert causal.placed.left_out >= 4
    assert smooth.placed.left_out >= 4
    assert (np.linalg.norm(smooth.placed.xyz - places, axis=-1)[60:64] < 6.0).all(), "no jump"
    speed = np.diff(places, axis=0) * FPS
    assert np.median(np.abs(smooth.velocity[1:] - speed)) < 0.6 * np.median(np.abs(speed))
    assert (smooth.velocity_var > 0).all()


def test_the_order_in_which_cameras_saw(scene: Scene) -> None:
    cameras, _, xy = scene
    poses = view_poses(cameras, xy[:, :4])
    times = np.array([[0, 100, 200, 300], [3, 103, -1, 303], [-1, 99, 190, 280]])
    ordered = ViewSequence.of(replace(poses, t_ns=times), 1.0, None)
    assert ordered.frame.tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    assert ordered.view.tolist() == [0, 1, 2, 0, 1, 2, 0, 2, 0, 1]
    times[2, 3] = 150
    assert ViewSequence.of(replace(poses, t_ns=times), 1.0, None).late == 1
    for known, fps, expected in (
        (None, None, "give the rate of their frames"),
        (None, 0.0, "expected frames a second, above 0"),
        (times, 10.0, "a session knows when"),
    ):
        with pytest.raises(UserError, match=expected):
            ViewSequence.of(replace(poses, t_ns=known), 1.0, fps)


def test_the_models_own_parameters_are_found_again(scene: Scene) -> None:
    cameras, _, xy = scene
    poses = view_poses(cameras, np.concatenate([xy, np.full((*xy.shape[:2], 1, 2), np.nan)], axis=2))
    ordered = ViewSequence.of(poses, 4.0, FPS)  # the noise is stated twice as large as it is
    placed = place_keypoints(cameras, poses, 4.0)
    rounds: list[int] = []
    found = fit_views(cameras, ordered, placed.xyz, report_progress=rounds.append)
    assert rounds == list(range(1, len(rounds) + 1))
    speed = np.sqrt(0.5 * found.q * found.tau_s)
    assert np.abs(np.log(found.gain[:2] * 4)).max() < 0.5
    assert np.abs(np.log(speed[:2] / np.sqrt(0.5 * Q * TAU))).max() < 0.8
    assert found.gain[2] == pytest.approx(1.0), "never seen"
    assert (found.tau_s >= LEAST[1]).all()
