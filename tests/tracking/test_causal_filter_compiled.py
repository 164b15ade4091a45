"""The compiled arithmetic of one pose against the algebra that the smoother uses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.tracking import causal_filter_compiled as track_compiled
from rt_pose.tracking import kalman

M = 6
GATE = 9.21


def spd(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """(n, n, M) covariances."""
    half = random.normal(size=(M, n, n))
    return np.ascontiguousarray((half @ half.transpose(0, 2, 1) + 0.1 * np.eye(n)).transpose(1, 2, 0))


def triple(s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([s[0, 0], s[0, 1], s[1, 1]])


@pytest.mark.parametrize("dt_s", [1e-4, 0.004, 0.01, 0.1, 2.0])
def test_advance_equals_propagate(dt_s: float) -> None:
    random = np.random.default_rng(0)
    q, tau = random.uniform(1e3, 1e6, M), random.uniform(0.01, 5.0, M)
    mean, cov = random.normal(size=(4, M)), spd(random, 4)
    expected = mean.copy(), cov.copy()
    kalman.propagate(*expected, kalman.transition(dt_s, q, tau))
    track_compiled.advance(mean, cov, dt_s, q, tau)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-12)
    np.testing.assert_allclose(cov, expected[1], rtol=1e-9, atol=1e-12)


def test_inflation_equals_kalmans() -> None:
    random = np.random.default_rng(1)
    e, p, r = random.normal(0, 4, (2, M)), triple(spd(random, 2)), triple(spd(random, 2))
    expected = kalman.inflation(e, p, r, GATE)
    found = [track_compiled.inflation(e[:, m], p[:, m], r[:, m], GATE) for m in range(M)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (expected > 1).any()
    assert (expected == 1).any()


def test_correct_equals_kalmans_and_leaves_symmetric_covariances() -> None:
    random = np.random.default_rng(2)
    mean, cov = random.normal(size=(4, M)), spd(random, 4)
    e, r = random.normal(size=(2, M)), triple(spd(random, 2))
    p, factor = triple(cov), random.uniform(1, 3, M)
    used = np.array([True, False, True, True, False, True])
    expected = mean.copy(), cov.copy()
    kalman.correct(*expected, e, p + factor * r, used)
    track_compiled.correct(mean, cov, e, p, r, factor, used)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-9)
    np.testing.assert_allclose(cov, expected[1], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(cov, cov.transpose(1, 0, 2))


def test_measurements_that_fit_each_others_tracks_are_swapped_and_only_within_an_animal() -> None:
    places = np.array([[10.0, 10.0], [90.0, 90.0], [50.0, 10.0]] * 2)
    mean = np.vstack([places.T, np.zeros((2, M))])
    xy = places[[1, 0, 2, 3, 4, 5]]
    xy[5] = places[2] + 300.0  # beyond its gate, and nobody's
    one = np.array([[1.0], [0.0], [1.0]]) * np.ones(M)
    update = np.ones(M, dtype=bool)
    factor = np.array([9.0, 9.0, 1.0, 1.0, 1.0, 9.0])
    swapped, used, outside_gate, inside_gate = (np.zeros(M, dtype=bool) for _ in range(4))
    arguments = (xy, mean, one, one, factor, update)
    n = track_compiled.associate(*arguments, 3, GATE, swapped, used, outside_gate, inside_gate)
    assert n == 2
    assert swapped.tolist() == [True, True, False, False, False, False]
    assert used.tolist() == [False, False, True, True, True, True]
    assert outside_gate.tolist() == [True, True, False, False, False, True]
    assert inside_gate.tolist() == [False, False, True, True, True, False]
    assert track_compiled.associate(*arguments, 1, GATE, swapped, used, outside_gate, inside_gate) == 0
