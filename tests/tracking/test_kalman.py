"""The filter's algebra against other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ornstein import discretised

from rt_pose.tracking.kalman import correct, distance2, inflation, propagate, transition
from rt_pose.types import FloatArray


@pytest.mark.parametrize("dt_s", [1e-4, 1 / 250, 1 / 60, 1 / 30, 0.3])
@pytest.mark.parametrize("tau", [0.02, 0.1, 1.0, 100.0])
def test_transition_equals_van_loan(dt_s: float, tau: float) -> None:
    q = 3e4
    step = transition(dt_s, np.array([q]), np.array([tau]))
    F, Q = discretised(dt_s, q, tau)
    assert [step.a[0], step.b[0]] == pytest.approx([F[1, 1], F[0, 1]], rel=1e-6, abs=1e-6)
    assert [step.q_xx[0], step.q_xv[0], step.q_vv[0]] == pytest.approx([Q[0, 0], Q[0, 1], Q[1, 1]], rel=1e-6)


def random_spd(random: np.random.Generator, n: int, count: int) -> FloatArray:
    """(count, n, n)."""
    a = random.normal(0, 2, (count, n, n))
    return a @ a.transpose(0, 2, 1) + 0.1 * np.eye(n)


def triple(m: FloatArray) -> FloatArray:
    """(3, M) of (M, 2, 2)."""
    return np.stack([m[:, 0, 0], m[:, 0, 1], m[:, 1, 1]])


@pytest.mark.parametrize("d", [1, 2, 3])
def test_propagate_equals_the_matrix_product(d: int) -> None:
    random = np.random.default_rng(d)
    q, tau = random.uniform(1e3, 1e5, 4), random.uniform(0.02, 0.5, 4)
    mean, cov = random.normal(0, 10, (4, 2 * d)), random_spd(random, 2 * d, 4)
    moved, grown = np.ascontiguousarray(mean.T), np.ascontiguousarray(cov.transpose(1, 2, 0))
    propagate(moved, grown, transition(0.03, q, tau))
    for k in range(4):
        F, Q = (np.kron(m, np.eye(d)) for m in discretised(0.03, q[k], tau[k]))
        np.testing.assert_allclose(moved[:, k], F @ mean[k], rtol=1e-9)
        np.testing.assert_allclose(grown[:, :, k], F @ cov[k] @ F.T + Q, rtol=1e-6, atol=1e-9)


def test_correct_leaves_what_was_not_seen() -> None:
    random = np.random.default_rng(0)
    mean, cov = random.normal(0, 1, (4, 3)), np.ascontiguousarray(random_spd(random, 4, 3).transpose(1, 2, 0))
    before = mean.copy(), cov.copy()
    e, s = random.normal(0, 1, (2, 3)), triple(random_spd(random, 2, 3))
    correct(mean, cov, e, s, np.array([True, False, True]))
    np.testing.assert_array_equal(mean[:, 1], before[0][:, 1])
    np.testing.assert_array_equal(cov[..., 1], before[1][..., 1])
    assert (mean[:, 0] != before[0][:, 0]).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_inflation_ends_on_the_gate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, r = triple(random_spd(rng, 2, 5)), triple(random_spd(rng, 2, 5))
    e = rng.normal(0, 20, (2, 5))
    factor = inflation(e, p, r, 9.21)
    inside = distance2(e, p + r) <= 9.21
    assert (factor[inside] == 1.0).all()
    d2 = distance2(e, p + factor * r)
    np.testing.assert_allclose(d2[~inside], 9.21, rtol=1e-6)
