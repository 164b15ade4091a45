"""The figures of an evaluation, on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.inference.decode import Keypoints
from rt_pose.package import TrackingSpec
from rt_pose.tracking.observation_noise import error_covariance
from train.evaluation.agreement import (
    confidence_figures,
    covariance_reliability,
    pixel_errors,
)
from train.evaluation.jitter import add_noise
from train.evaluation.labeled import evenly_spaced, spread
from train.evaluation.spaces import fit_pose, fit_views
from train.evaluation.video_metrics import temporal_norm

RANDOM = np.random.default_rng(11)


def test_pixel_errors_leave_unlabeled_out_and_count_the_missing_as_wrong() -> None:
    apart = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan], [np.inf, np.nan]])
    found = pixel_errors(apart, ["a", "b"], [2.0])
    assert (found["n"], found["median_px"], found["pck"]) == (4, 2.5, {"2": 0.5})
    assert found["per_keypoint"]["b"] == {"n": 0}


def test_a_boastful_confidence_is_reported_with_its_bias() -> None:
    claimed = RANDOM.uniform(0, 1, (4000, 5))
    apart = np.where(RANDOM.uniform(0, 1, claimed.shape) < claimed, 1.0, 50.0)
    assert confidence_figures(claimed, apart, 10.0)["error"] < 0.02
    boastful = confidence_figures(np.full_like(claimed, 0.98), apart, 10.0)
    assert boastful["bias"] == pytest.approx(0.48, abs=0.02)
    assert sum(boastful["n"]) == claimed.size


def test_a_covariance_that_is_right_holds_what_it_should() -> None:
    true = np.array([[4.0, 1.5], [1.5, 2.0]])
    labels = np.zeros((5000, 1, 2))
    xy = RANDOM.multivariate_normal([0, 0], true, (5000, 1))
    cov = np.broadcast_to(true, (5000, 1, 2, 2))
    found = Keypoints(xy, cov, np.ones((5000, 1)))
    honest = covariance_reliability(found, labels, cov, 0.15)
    assert honest["held"]["0.9"] == pytest.approx(0.9, abs=0.02)
    assert honest["factor"] == pytest.approx(1.0, abs=0.06)
    assert covariance_reliability(found, labels, cov / 4, 0.15)["factor"] == pytest.approx(4, abs=0.25)
    assert covariance_reliability(found, labels, cov, 1.1) == {"n": 0}


def test_the_filters_noise_has_gain_floor_and_bias() -> None:
    tracking = TrackingSpec([1.0], [1.0], gain=[2.0], floor_px2=[3.0], bias_px2=[[[1.0, 0.5], [0.5, 1.0]]])
    noise = error_covariance(np.broadcast_to(np.eye(2), (2, 1, 2, 2)), tracking)
    np.testing.assert_allclose(noise[1, 0], [[6.0, 0.5], [0.5, 6.0]])


def test_temporal_norm_is_the_distance_from_the_frame_before() -> None:
    xy = np.array([[[0.0, 0.0]], [[3.0, 4.0]], [[3.0, np.nan]]])
    np.testing.assert_allclose(temporal_norm(xy), [[np.nan], [5.0], [np.nan]])


def test_poses_of_the_labeled_kind_have_no_error_and_a_displaced_keypoint_has_its_own() -> None:
    modes = np.linalg.qr(RANDOM.normal(size=(16, 2)))[0].T
    labels = (100 + RANDOM.normal(size=(60, 2)) @ (30 * modes)).reshape(60, 8, 2)
    labels[3, 2] = np.nan
    space = fit_pose(labels)
    assert space is not None
    assert (len(space.components), space.poses) == (2, 59)
    poses = labels[10:12].copy()
    assert space.errors(poses).max() < 1e-9
    poses[0, 5] += [20.0, 0.0]
    errors = space.errors(poses)
    assert errors[0].argmax() == 5
    assert 10 < errors[0, 5] <= 20
    assert fit_pose(np.full((60, 8, 2), np.nan)) is None


def test_views_share_one_space_over_all_body_parts() -> None:
    """Two affine cameras: four numbers of three dimensions; a part may be absent, the others count."""
    cameras = RANDOM.normal(size=(4, 3))
    points = RANDOM.normal(size=(40, 3, 3)) * 20
    seen = points @ cameras.T + 50
    xy = np.stack([seen[:, i, 2 * v : 2 * v + 2] for v in (0, 1) for i in range(3)], axis=1)  # (40, 6, 2)
    views = [[0, 3], [1, 4], [2, 5]]
    xy[:, 2] = np.nan
    space = fit_views(xy, views)
    assert space is not None
    assert space.poses == 80
    errors = space.errors(xy)
    assert np.nanmax(errors) < 1e-9
    assert np.isnan(errors[:, [2, 5]]).all()
    assert fit_views(xy, []) is None


def test_noise_is_of_one_grey_level_and_stays_in_range() -> None:
    image = np.full((200, 200, 1), 100, np.uint8)
    noise = add_noise(image, np.random.default_rng(0)).astype(float) - 100
    assert noise.std() == pytest.approx(np.sqrt(1 + 1 / 12), abs=0.02)  # and that of rounding
    assert add_noise(np.full((9, 9, 1), 255, np.uint8), np.random.default_rng(0)).max() == 255


def test_spread_and_even_frames() -> None:
    assert evenly_spaced(5, 100).tolist() == [0, 1, 2, 3, 4]
    assert evenly_spaced(101, 3).tolist() == [0, 50, 100]
    assert spread(np.array([np.nan])) == {"n": 0}
    assert spread(np.array([[1.0, np.nan], [3.0, 2.0]]))["median_px"] == 2.0
