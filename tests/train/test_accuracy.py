"""Errors are distances, and a confidence is held against how often it was right."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.errors import UserError
from train.accuracy import distances, figures, reliability


def test_an_error_is_the_distance_not_a_share_of_it() -> None:
    apart = distances(np.array([[3.0, 4.0], [np.nan, 0.0]]), np.zeros((2, 2)))
    np.testing.assert_array_equal(apart, [5.0, np.inf])
    assert figures(np.array([5.0, 5.0, np.nan]))["mean_px"] == 5.0, (
        "a root mean square per axis would say 3.5"
    )


def _answers(count: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and distances that are under 5 px as often as the confidence says."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(0, 1, count)
    return confidence, np.where(random.uniform(0, 1, count) < confidence, 1.0, 20.0)


def test_an_honest_confidence_has_no_bias() -> None:
    curve = reliability(*_answers(), within_px=5.0)
    assert curve.count.sum() == 20_000
    assert curve.error < 0.02
    assert abs(curve.bias) < 0.02


def test_a_confidence_near_one_whatever_happens_is_found_out() -> None:
    honest, apart = _answers()
    confident = 0.9 + 0.1 * honest
    curve = reliability(confident, apart, within_px=5.0)
    assert curve.bias == pytest.approx(0.45, abs=0.02)


def test_unlabeled_keypoints_have_no_share() -> None:
    confidence = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    apart = np.array([1.0, 9.0, 1.0, 9.0, np.nan])
    curve = reliability(confidence, apart, within_px=5.0, bins=4)
    assert curve.count.tolist() == [1, 1, 1, 1]
    with pytest.raises(UserError, match="no keypoint is labeled"):
        reliability(confidence, np.full(5, np.nan), within_px=5.0)


def test_a_keypoint_that_was_not_found_is_wrong() -> None:
    assert reliability(np.array([0.9]), np.array([np.inf]), within_px=5.0).right.tolist() == [0.0]
