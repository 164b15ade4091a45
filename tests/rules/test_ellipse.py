"""Ellipses inside regions: exact tests against dense outlines of the ellipse, and the cases at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.rules.ellipse import ellipse_inside, inside_circle, inside_polygon, squared_radius
from rt_pose.rules.zones import Box, Circle, Polygon

ANGLES = np.linspace(0.0, 2.0 * np.pi, 20_001)
NEAR = 1e-4
"""Cases that a dense outline cannot decide are left out: so close to the border, relative to the size."""


def random_cov(random: np.random.Generator) -> tuple[float, float, float]:
    """A covariance of any direction, up to 1 : 100 in its axes."""
    turn, (a, b) = random.uniform(0.0, np.pi), 10.0 ** random.uniform(-1.0, 1.0, 2)
    cos, sin = math.cos(turn), math.sin(turn)
    return (
        a * a * cos * cos + b * b * sin * sin,
        (a * a - b * b) * cos * sin,
        a * a * sin * sin + b * b * cos * cos,
    )


def outline(
    centre: tuple[float, float], cov: tuple[float, float, float], radius2: float
) -> NDArray[np.float64]:
    """Points all around the ellipse, (n, 2)."""
    xx, xy, yy = cov
    lower = np.linalg.cholesky(np.array([[xx, xy], [xy, yy]]))
    circle = math.sqrt(radius2) * np.stack([np.cos(ANGLES), np.sin(ANGLES)])
    return (lower @ circle).T + centre


def star(random: np.random.Generator) -> list[tuple[float, float]]:
    """A polygon around the origin that need not be convex."""
    angles = np.sort(random.uniform(0.0, 2.0 * np.pi, random.integers(3, 12)))
    radii = random.uniform(3.0, 30.0, len(angles))
    return [(float(r * math.cos(a)), float(r * math.sin(a))) for r, a in zip(radii, angles, strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_in_a_polygon_it_is_what_its_outline_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    seen = {True: 0, False: 0}
    for _ in range(250):
        corners, cov = star(random), random_cov(random)
        centre = (float(random.uniform(-10.0, 10.0)), float(random.uniform(-10.0, 10.0)))
        radius2 = squared_radius(float(random.uniform(0.05, 0.999)))
        points = outline(centre, cov, radius2)
        depth = Polygon(tuple(corners)).depth(points[:, 0], points[:, 1])
        if abs(depth.min()) < NEAR * 30.0:
            continue
        expected = bool(depth.min() > 0.0)
        seen[expected] += 1
        assert inside_polygon(centre, cov, radius2, corners) == expected
    assert min(seen.values()) > 10


@pytest.mark.parametrize("seed", range(4))
def test_in_a_circle_it_is_what_its_outline_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    seen = {True: 0, False: 0}
    for _ in range(400):
        cov, radius2 = random_cov(random), squared_radius(float(random.uniform(0.05, 0.999)))
        offset = (float(random.uniform(-8.0, 8.0)), float(random.uniform(-8.0, 8.0)))
        furthest = float(np.hypot(*outline(offset, cov, radius2).T).max())
        radius = furthest * float(random.uniform(0.9, 1.1))
        if abs(furthest - radius) < NEAR * radius:
            continue
        seen[furthest < radius] += 1
        assert inside_circle(offset, cov, radius2, radius) == (furthest < radius)
    assert min(seen.values()) > 100


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, 1e-12), (1e-30, 2.0)])
def test_a_circle_abreast_of_an_axis_is_decided_too(offset: tuple[float, float]) -> None:
    cov, radius2 = (25.0, 0.0, 4.0), squared_radius(0.9)
    furthest = float(np.hypot(*outline(offset, cov, radius2).T).max())
    assert inside_circle(offset, cov, radius2, furthest * (1.0 + 1e-6))
    assert not inside_circle(offset, cov, radius2, furthest * (1.0 - 1e-6))


def test_a_spot_around_the_mean_is_compared_with_the_long_axis() -> None:
    radius2 = squared_radius(0.95)
    long = math.sqrt(radius2 * 9.0)
    assert inside_circle((0.0, 0.0), (9.0, 0.0, 1.0), radius2, long + 1e-9)
    assert not inside_circle((0.0, 0.0), (9.0, 0.0, 1.0), radius2, long - 1e-9)


def test_the_ellipse_holds_the_share_it_is_named_by() -> None:
    random = np.random.default_rng(5)
    for p in (0.5, 0.9, 0.99):
        draws = random.standard_normal((200_000, 2))
        assert np.mean((draws**2).sum(axis=1) <= squared_radius(p)) == pytest.approx(p, abs=0.004)


def test_an_edge_through_the_ellipse_counts_where_no_corner_is_near() -> None:
    """All corners are far away and the centre is inside; a long edge cuts the ellipse all the same."""
    corners = [(-100.0, -1.0), (100.0, -1.0), (100.0, 50.0), (-100.0, 50.0)]
    assert not inside_polygon((0.0, 0.0), (1.0, 0.0, 1.0), squared_radius(0.9), corners)
    assert inside_polygon((0.0, 2.0), (1.0, 0.0, 1.0), squared_radius(0.9), corners)


def test_a_hole_that_the_outline_leaves_counts() -> None:
    """A pentagram's middle is outside by the even-odd rule."""
    pentagram = [(math.sin(4 * math.pi * i / 5), -math.cos(4 * math.pi * i / 5)) for i in range(5)]
    assert not inside_polygon((0.0, 0.0), (1e-4, 0.0, 1e-4), squared_radius(0.5), pentagram)
    assert inside_polygon((0.0, -0.7), (1e-4, 0.0, 1e-4), squared_radius(0.5), pentagram)


@pytest.mark.parametrize("cov", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (math.nan, 0.0, 1.0), (1.0, 2.0, 1.0)])
def test_what_is_no_covariance_is_never_inside(cov: tuple[float, float, float]) -> None:
    for area in (Circle(0.0, 0.0, 50.0), Box(-50.0, -50.0, 50.0, 50.0)):
        assert not ellipse_inside((0.0, 0.0), cov, squared_radius(0.5), area)


def test_without_a_probability_only_the_centre_counts() -> None:
    nothing = squared_radius(0.0)
    assert nothing == 0.0
    for area in (
        Circle(0.0, 0.0, 5.0),
        Box(-5.0, -5.0, 5.0, 5.0),
        Polygon(((-5.0, -5.0), (5.0, 0.0), (-5.0, 5.0))),
    ):
        assert ellipse_inside((1.0, 0.0), (1e6, 0.0, 1e6), nothing, area)
        assert not ellipse_inside((6.0, 0.0), (1e-6, 0.0, 1e-6), nothing, area)
        assert not ellipse_inside((math.nan, 0.0), (1.0, 0.0, 1.0), nothing, area)


def test_the_more_is_asked_the_less_is_inside() -> None:
    random = np.random.default_rng(9)
    for _ in range(50):
        corners, cov = star(random), random_cov(random)
        found = [
            inside_polygon((0.0, 0.0), cov, squared_radius(p), corners) for p in np.linspace(0.0, 0.999, 30)
        ]
        assert found == sorted(found, reverse=True)
