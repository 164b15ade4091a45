"""A line between two clocks."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.clock import NS_PER_S
from rt_pose.offline.clock_fit import fit_clock, robust_line

HOST_NS = 8_000_000 * NS_PER_S + np.arange(36_000, dtype=np.int64) * (NS_PER_S // 10)
"""An hour, a moment every 100 ms, on a host that has been up for three months."""


def other(drift_ppm: float, offset_s: float) -> np.ndarray:
    return offset_s + (HOST_NS - HOST_NS[0]) / NS_PER_S * (1 + drift_ppm * 1e-6)


def test_offset_and_drift_are_found() -> None:
    rng = np.random.default_rng(0)
    fit = fit_clock(HOST_NS, other(50.0, 12.5) + rng.normal(0, 1e-4, len(HOST_NS)))
    assert fit.drift_ppm == pytest.approx(50.0, abs=0.01)
    at = HOST_NS[[0, 18_000, -1]]
    assert np.abs(fit.to_other_s(at) - other(50.0, 12.5)[[0, 18_000, -1]]).max() < 5e-6
    assert np.percentile(np.abs(fit.residuals_s), 50) == pytest.approx(0.6745e-4, rel=0.03)


def test_outliers_do_not_pull_it() -> None:
    rng = np.random.default_rng(1)
    times = other(-30.0, 0.0) + rng.normal(0, 1e-4, len(HOST_NS))
    late = rng.random(len(HOST_NS)) < 0.2
    times[late] += rng.uniform(0.002, 0.02, late.sum())
    fit = fit_clock(HOST_NS, times)
    assert fit.drift_ppm == pytest.approx(-30.0, abs=0.02)
    assert np.abs(fit.to_other_s(HOST_NS) - other(-30.0, 0.0)).max() < 2e-5


def test_the_bound_holds_within_and_grows_outside() -> None:
    rng = np.random.default_rng(2)
    few = slice(0, 42)
    fit = fit_clock(HOST_NS[few], other(20.0, 0.0)[few] + rng.normal(0, 2e-4, 42))
    error = np.abs(fit.to_other_s(HOST_NS) - other(20.0, 0.0))
    assert (error <= fit.error_s(HOST_NS)).all()
    assert fit.error_s(HOST_NS[-1:])[0] > 10 * fit.error_s(HOST_NS[:1])[0]


def test_exact_points_give_an_exact_line() -> None:
    x = np.arange(10.0)
    offset, slope = robust_line(x, 3.0 + 2.0 * x)
    assert (offset, slope) == (pytest.approx(3.0), pytest.approx(2.0))


def test_moments_at_one_time_have_no_slope() -> None:
    fit = fit_clock(np.full(10, 5, np.int64), np.full(10, 2.0))
    assert fit.rate_error == np.inf
