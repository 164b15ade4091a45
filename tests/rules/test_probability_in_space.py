"""Probabilities in space against dense quadrature, and closed forms where there are some."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy import stats
from support.space_rig import ZONES, spatial_track

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.condition import Condition
from rt_pose.rules.probability_in_space import in_cuboid, in_shell
from rt_pose.rules.space import Space
from rt_pose.rules.zones_in_space import make_zones_in_space
from rt_pose.types import FloatArray

KEYPOINTS = ["nose", "neck", "tail"]
WITHIN = 0.01
IN = make_zones_in_space(ZONES, "test")
CONDITIONS = (
    "height(nose) > 60 mm",
    "40 mm < z(nose) < 65 mm",
    "z(nose) - z(neck) > 4 mm",
    "speed(nose) > 300 mm/s",
    "distance(nose, neck) < 20 mm",
    "distance(nose, spout) < 48 mm",
    "distance(nose, centroid(neck, tail)) < 22 mm",
    "inside(nose, ball)",
    "not inside(nose, ball)",
    "inside(nose, shelf)",
    "distance(nose, shelf) < 4 mm",
    "approach(nose, spout) > 50 mm/s",
    "angle(nose, neck, tail) > 100 deg",
    "inside(nose, ball) and height(nose) > 55 mm",
    "inside(nose, ball) or speed(nose) > 300 mm/s",
    "height(nose) > 55 mm and height(neck) > 45 mm",
)


def bound(text: str) -> Condition:
    condition = bind(text, KEYPOINTS, IN, "rule 'r'", space=Space("arena", has_up=True))
    condition.prepare("rule 'r'")
    return condition


@cache
def dense_normal(dimensions: int) -> FloatArray:
    """(n, dimensions): an independent, scrambled Sobol sequence."""
    u = stats.qmc.Sobol(dimensions, seed=5).random(1 << 14)
    return stats.norm.ppf(np.clip(u, 1e-12, 1 - 1e-12))


@pytest.fixture(scope="module")
def cases() -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Places, velocities and covariances; the animal about the ball and the shelf."""
    random = np.random.default_rng(6)
    scale = np.array([4.0, 4.0, 6.0, 150.0, 150.0, 150.0])
    found = []
    for _ in range(4):
        places = np.array([[0.0, 2.0, 58.0], [-12.0, 4.0, 50.0], [-20.0, -8.0, 44.0]])
        root = random.normal(size=(3, 6, 6)) * scale[:, None] / math.sqrt(6)
        velocity = random.normal(0, 200, (3, 3))
        found.append((places + random.normal(0, 5, (3, 3)), velocity, root @ root.transpose(0, 2, 1)))
    return found


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_is_as_probable_as_dense_quadrature_says(
    text: str, cases: list[tuple[FloatArray, FloatArray, FloatArray]]
) -> None:
    condition, normal = bound(text), dense_normal(18).reshape(-1, 3, 6)
    for places, velocity, cov in cases:
        roots = np.linalg.cholesky(cov)
        states = np.concatenate([places, velocity], axis=1) + np.einsum("kij,nkj->nki", roots, normal)
        expected = np.mean(_holds(text, states))
        found = condition.probability(spatial_track(places, velocity, cov))
        assert found == pytest.approx(expected, abs=WITHIN)


def _holds(text: str, states: FloatArray) -> FloatArray:
    """A condition by hand, of states (n, K, 6)."""
    nose, neck, tail = states[:, 0, :3], states[:, 1, :3], states[:, 2, :3]
    z, velocity, spout = nose[:, 2], states[:, 0, 3:], np.array([30.0, 0.0, 10.0])
    speed, norm = np.linalg.norm(velocity, axis=1), np.linalg.norm
    ball = norm(nose - [0.0, 0.0, 50.0], axis=1) <= 20.0
    low, high = np.array([-10.0, -10.0, 60.0]), np.array([10.0, 10.0, 90.0])
    a, b = nose - neck, tail - neck
    cosine = (a * b).sum(axis=1) / norm(a, axis=1) / norm(b, axis=1)
    way = spout - nose
    by_hand = {
        "height(nose) > 60 mm": z > 60,
        "40 mm < z(nose) < 65 mm": (z > 40) & (z < 65),
        "z(nose) - z(neck) > 4 mm": z - neck[:, 2] > 4,
        "speed(nose) > 300 mm/s": speed > 300,
        "distance(nose, neck) < 20 mm": norm(a, axis=1) < 20,
        "distance(nose, spout) < 48 mm": norm(way, axis=1) < 48,
        "distance(nose, centroid(neck, tail)) < 22 mm": norm(nose - (neck + tail) / 2, axis=1) < 22,
        "inside(nose, ball)": ball,
        "not inside(nose, ball)": ~ball,
        "inside(nose, shelf)": ((nose >= low) & (nose <= high)).all(axis=1),
        "distance(nose, shelf) < 4 mm": norm(nose - np.clip(nose, low, high), axis=1) < 4,
        "approach(nose, spout) > 50 mm/s": (way * velocity).sum(axis=1) / norm(way, axis=1) > 50,
        "angle(nose, neck, tail) > 100 deg": np.degrees(np.arccos(cosine)) > 100,
        "inside(nose, ball) and height(nose) > 55 mm": ball & (z > 55),
        "inside(nose, ball) or speed(nose) > 300 mm/s": ball | (speed > 300),
        "height(nose) > 55 mm and height(neck) > 45 mm": (z > 55) & (neck[:, 2] > 45),
    }
    return by_hand[text]


def test_a_height_is_exact(cases: list[tuple[FloatArray, FloatArray, FloatArray]]) -> None:
    for places, velocity, cov in cases:
        expected = stats.norm.sf(60.0, places[0, 2], math.sqrt(cov[0, 2, 2]))
        found = bound("height(nose) > 60 mm").probability(spatial_track(places, velocity, cov))
        assert found == pytest.approx(expected, rel=1e-9)


def test_a_round_ball_is_a_chi_square() -> None:
    cov = np.eye(3).tolist()
    for away in (0.0, 1.0, 3.0):
        expected = stats.ncx2.cdf(2.5**2, 3, away**2) if away else stats.chi2.cdf(2.5**2, 3)
        assert in_shell([away, 0.0, 0.0], cov, 0.0, 2.5) == pytest.approx(expected, abs=WITHIN)
        assert in_shell([away, 0.0, 0.0], cov, 2.5, math.inf) == pytest.approx(1 - expected, abs=WITHIN)


def test_without_variance_it_is_as_the_mean_is_and_nan_stays_nan() -> None:
    none = np.zeros((3, 3)).tolist()
    assert in_shell([1.0, 0.0, 0.0], none, 0.0, 2.0) == 1.0
    assert in_shell([3.0, 0.0, 0.0], none, 0.0, 2.0) == 0.0
    assert in_cuboid([1.0, 1.0, 1.0], none, [0.0] * 3, [2.0] * 3) == 1.0
    assert math.isnan(in_shell([math.nan, 0.0, 0.0], none, 0.0, 2.0))
    assert math.isnan(in_cuboid([0.0, math.nan, 0.0], none, [0.0] * 3, [2.0] * 3))


def test_too_many_keypoints_for_a_probability_are_refused_when_the_rule_is_read() -> None:
    with pytest.raises(UserError, match="at most 5, or 2 with their velocities"):
        bound("approach(nose, neck) > 1 mm/s and approach(neck, tail) > 1 mm/s")
