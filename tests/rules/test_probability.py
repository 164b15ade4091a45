"""Probabilities of regions against dense quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rt_pose.rules.bind import bind
from rt_pose.rules.probability import below, between, factor, in_box, in_disc
from rt_pose.rules.zones import Box, Circle, Polygon, Zone
from rt_pose.types import FloatArray, Track

DENSE, LESS_DENSE = 1 << 16, 1 << 13
WITHIN = 0.01
KEYPOINTS = ["nose", "neck", "tail"]
ZONES: dict[str, Zone] = {
    "spot": Circle(2.0, 1.0, 3.0),
    "box": Box(-2.0, -1.0, 4.0, 3.0),
    "tent": Polygon(((-3.0, 4.0), (0.0, -4.0), (5.0, 4.0))),
}


def dense_normal(dimensions: int, points: int = DENSE) -> FloatArray:
    """(n, dimensions): an independent, scrambled Sobol sequence."""
    u = stats.qmc.Sobol(dimensions, seed=1).random(points)
    return stats.norm.ppf(np.clip(u, 1e-12, 1 - 1e-12))


def test_tails_keep_their_digits() -> None:
    for z in (-12.0, -3.0, 0.0, 3.0):
        assert below(1.0, 4.0, 1.0 + 2.0 * z) == pytest.approx(stats.norm.cdf(z), rel=1e-12)
    assert between(0.0, 1.0, 9.0, 10.0) == pytest.approx(stats.norm.sf(9) - stats.norm.sf(10), rel=1e-9)
    assert between(0.0, 1.0, -10.0, -9.0) == between(0.0, 1.0, 9.0, 10.0)


@pytest.mark.parametrize("spread", [1.0, 0.05, 30.0])
def test_a_disc_is_exact(spread: float) -> None:
    rng = np.random.default_rng(3)
    normal = dense_normal(2)
    for _ in range(60):
        mean = rng.normal(0.0, 2.0, 2)
        root = rng.normal(0.0, 1.0, (2, 2)) * [[1.0], [spread]]
        cov = root @ root.T
        radius = float(rng.uniform(0.3, 4.0))
        expected = (np.hypot(*(mean + normal @ root.T).T) <= radius).mean()
        got = in_disc((mean[0], mean[1]), (cov[0, 0], cov[0, 1], cov[1, 1]), radius)
        assert got == pytest.approx(expected, abs=2e-3)


def test_a_round_disc_is_a_chi_square() -> None:
    for away in (0.0, 1.0, 4.0):
        expected = stats.ncx2.cdf(2.5**2, 2, away**2) if away else stats.chi2.cdf(2.5**2, 2)
        assert in_disc((away, 0.0), (1.0, 0.0, 1.0), 2.5) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("correlation", [0.0, 0.3, -0.7, 0.95, 0.99])
def test_a_box_is_exact(correlation: float) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        mean, sd = rng.normal(0.0, 2.0, 2), rng.uniform(0.2, 3.0, 2)
        xy = correlation * sd[0] * sd[1]
        joint = stats.multivariate_normal(mean, [[sd[0] ** 2, xy], [xy, sd[1] ** 2]])
        expected = joint.cdf([4.0, 3.0], lower_limit=[-2.0, -1.0])
        got = in_box((mean[0], mean[1]), (sd[0] ** 2, xy, sd[1] ** 2), (-2.0, -1.0, 4.0, 3.0))
        assert got == pytest.approx(expected, abs=1e-3)


def test_without_variance_it_is_as_the_mean_is() -> None:
    assert in_disc((1.0, 0.0), (0.0, 0.0, 0.0), 2.0) == 1.0
    assert in_disc((3.0, 0.0), (0.0, 0.0, 0.0), 2.0) == 0.0
    assert in_box((1.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 2.0, 2.0)) == 1.0
    assert below(1.0, 0.0, 1.0) == 1.0
    assert in_disc((0.0, 0.0), (0.0, 0.0, 0.0), 0.0) == 1.0
    assert in_disc((0.0, 0.0), (1.0, 0.0, 1.0), 0.0) == 0.0
    assert math.isnan(in_disc((math.nan, 0.0), (1.0, 0.0, 1.0), 2.0))
    assert math.isnan(in_box((0.0, 0.0), (1.0, math.nan, 1.0), (0.0, 0.0, 2.0, 2.0)))


def test_the_factor_of_a_singular_covariance() -> None:
    root = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.5, 0.0, 3.0]])
    cov = root @ root.T
    lower = np.array(factor(cov.tolist()))
    np.testing.assert_allclose(lower @ lower.T, cov, atol=1e-12)
    np.testing.assert_array_equal(factor([[0.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2)))


def make_track(rng: np.random.Generator) -> Track:
    """Keypoints within a few px of each other, uncertain by a px or so, positions with velocities."""
    root = rng.normal(0.0, 1.0, (1, 3, 4, 4)) * np.array([0.7, 0.7, 9.0, 9.0])[:, None]
    xy = np.array([[[1.0, 1.0], [4.0, -1.0], [8.0, 2.0]]]) + rng.normal(0.0, 2.0, (1, 3, 2))
    velocity = rng.normal(0.0, 15.0, (1, 3, 2))
    cov = root @ root.transpose(0, 1, 3, 2)
    return Track("cam", 0, 10**9, xy, velocity, cov, np.zeros((1, 3)), np.zeros((1, 3), bool))


def of_many(track: Track, normal: FloatArray) -> Track:
    """The track's Gaussian as so many individuals, each a certain one."""
    k = track.xy.shape[1]
    mean = np.concatenate((track.xy[0], track.velocity[0]), axis=1)
    root = np.linalg.cholesky(track.cov[0] + 1e-12 * np.eye(4))
    states = mean + np.einsum("kij,nkj->nki", root, normal.reshape(len(normal), k, 4))
    n = len(states)
    return Track(
        "cam",
        0,
        track.t_valid_ns,
        states[..., :2],
        states[..., 2:],
        np.zeros((n, k, 4, 4)),
        np.zeros((n, k)),
        np.zeros((n, k), bool),
    )


def truth_of(text: str, many: Track) -> float:
    """By the very closures, but at dense points: their own values are tested in `test_quantities`."""
    condition = bind(text, KEYPOINTS, ZONES, "r")
    evaluator = condition.evaluator(0)
    evaluator.set_track(many)
    samples = evaluator._state.samples
    for s, slot in enumerate(condition.slots):
        samples.x[s], samples.y[s] = many.xy[:, slot.keypoint].T
        samples.vx[s], samples.vy[s] = many.velocity[:, slot.keypoint].T
    return float(np.mean(condition.predicate.holds(samples)))


CONDITIONS = [
    "inside(nose, spot)",
    "inside(nose, box)",
    "inside(nose, tent)",
    "not inside(nose, tent) and x(nose) > 0",
    "x(nose) > 1 and y(nose) < 2",
    "-1 < x(nose) - x(neck) <= 2",
    "velocity(nose, 30 deg) > 5",
    "5 < speed(nose) < 25",
    "distance(nose, neck) < 4",
    "distance(nose, spot) < 1",
    "inside(nose, spot) and speed(nose) > 15",
    "inside(nose, spot) or speed(nose) > 15",
    "not (inside(nose, spot) and speed(nose) > 15)",
    "inside(nose, spot) and speed(nose) > 15 and x(nose) > 2",
    "inside(nose, spot) and speed(neck) > 15 or inside(tail, box)",
    "angle(nose, neck, tail) > 120 deg",
    "heading(neck, nose) > 90",
    "approach(nose, neck) > 5",
    "distance(nose, neck) / distance(neck, tail) > 0.8",
    "turning(neck, nose) > 100 deg/s",
    "abs(x(nose) - 1) < 1.5 and abs(y(nose)) < 2",
]


@pytest.fixture(scope="module")
def normal() -> FloatArray:
    return dense_normal(12, LESS_DENSE)


@pytest.mark.parametrize("text", CONDITIONS)
def test_conditions_are_within_a_hundredth_of_dense_quadrature(text: str, normal: FloatArray) -> None:
    condition = bind(text, KEYPOINTS, ZONES, "r")
    rng = np.random.default_rng(11)
    for _ in range(25):
        track = make_track(rng)
        assert condition.probability(track) == pytest.approx(
            truth_of(text, of_many(track, normal)), abs=WITHIN
        )


def test_no_two_runs_differ() -> None:
    track = make_track(np.random.default_rng(0))
    text = "inside(nose, spot) and speed(nose) > 15 or angle(nose, neck, tail) > 120"
    first, second = (bind(text, KEYPOINTS, ZONES, "r").probability(track) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("text", CONDITIONS)
def test_nan_and_no_covariance_never_raise(text: str) -> None:
    condition = bind(text, KEYPOINTS, ZONES, "r")
    track = make_track(np.random.default_rng(2))
    track.cov[:] = 0.0
    assert condition.probability(track) == float(condition.holds(track))
    track.xy[:], track.velocity[:], track.cov[:] = math.nan, math.nan, math.nan
    assert math.isnan(condition.probability(track))
    condition.holds(track)
