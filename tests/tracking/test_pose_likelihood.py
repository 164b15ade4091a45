"""The likelihood of a whole pose, against the density written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from rt_pose.tracking.pose_likelihood import OWN, SHIFTED, TURNED, fit, log_ratio, measure
from rt_pose.types import FloatArray

K = 5
LOG_AREA = float(np.log(320 * 256))


def prediction(random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """State (4, M) and covariance (4, 4, M) of two individuals."""
    mean = np.concatenate([random.normal(100, 20, (2, 2 * K)), random.normal(0, 50, (2, 2 * K))])
    root = random.normal(0, 3, (2 * K, 4, 4))
    return mean, np.ascontiguousarray((root @ root.transpose(0, 2, 1) + np.eye(4)).transpose(1, 2, 0))


def written_out(mean: FloatArray, cov: FloatArray, r: FloatArray, at: list[int]) -> FloatArray:
    """(2 n, 2 n) covariance of the pose of the second individual's keypoints `at`."""
    middle = np.mean([mean[:2, K + k] for k in at], axis=0)
    parts = [cov[:2, :2, K + k] for k in at]
    shared = np.mean(parts, axis=0)
    size2 = np.mean([np.sum((mean[:2, K + k] - middle) ** 2) for k in at])
    columns = np.zeros((2 * len(at), 3))
    total = np.zeros((2 * len(at), 2 * len(at)))
    for i, k in enumerate(at):
        x, y = mean[:2, K + k] - middle
        columns[2 * i : 2 * i + 2] = [[1, 0, -y], [0, 1, x]]
        noise = np.array([[r[0, k], r[1, k]], [r[1, k], r[2, k]]])
        total[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = OWN * parts[i] + noise
    common = np.zeros((3, 3))
    common[:2, :2], common[2, 2] = SHIFTED * shared, TURNED * np.trace(shared) / size2
    return total + columns @ common @ columns.T


def test_the_density_is_that_of_a_body_that_shifts_and_turns() -> None:
    random = np.random.default_rng(0)
    for at in ([0, 1, 2, 3, 4], [1, 3], [0, 2, 4]):
        mean, cov = prediction(random)
        r = np.array([[2.0] * K, [0.3] * K, [1.5] * K])
        z = np.ascontiguousarray(mean[:2, K:].T + random.normal(0, 3, (K, 2)))
        inlier = np.isin(np.arange(K), at)
        found, dropped = fit(mean, cov, 1.0, K, z, r, inlier, False)
        assert dropped == 0
        apart = (z - mean[:2, K:].T)[at].ravel()
        expected = multivariate_normal.logpdf(apart, np.zeros(2 * len(at)), written_out(mean, cov, r, at))
        assert found == pytest.approx(expected, rel=1e-9)


def test_an_outlier_has_a_price_and_most_must_fit() -> None:
    random = np.random.default_rng(1)
    mean, cov = prediction(random)
    known, seen, r = (
        np.ones(2 * K, dtype=bool),
        np.ones(K, dtype=bool),
        np.array([[1.0] * K, [0.0] * K, [1.0] * K]),
    )
    inlier = np.zeros(K, dtype=bool)
    z = np.ascontiguousarray(mean[:2, K:].T)

    def ratio() -> float:
        return float(log_ratio(mean, cov, known, K, z, r, seen, LOG_AREA, 8.0, inlier))

    whole = ratio()
    assert inlier.all()
    z[3] += 200.0
    with_outlier = ratio()
    assert inlier.tolist() == [True, True, True, False, True]
    assert 0.0 < with_outlier < whole
    z[:3] += 200.0
    assert ratio() == -np.inf
    seen[:] = False
    assert ratio() == -np.inf


def test_measurements_that_say_nothing_do_not_count() -> None:
    xy, s = np.zeros((2, 3, 2)), np.tile(np.eye(2), (2, 3, 1, 1))
    xy[0] = [[0, 0], [10, 0], [np.nan, 1]]
    s[1, 0] = -np.eye(2)
    s[1, 1, 0, 0] = np.inf
    confidence = np.array([[0.9, 0.9, 0.9], [0.9, 0.9, 0.1]])
    r, seen, spread = np.zeros((2, 3, 3)), np.zeros((2, 3), dtype=bool), np.zeros(2)
    measure(xy, s, confidence, 0.15, np.array([2.0] * 3), np.array([0.5] * 3), r, seen, spread)
    assert seen.tolist() == [[True, True, False], [False, False, False]]
    np.testing.assert_allclose(r[0, :, 0], [2.5, 0.0, 2.5])
    np.testing.assert_allclose(spread, np.log(2 * np.pi * np.e * np.array([12.5, 1.0])))
