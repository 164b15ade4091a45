"""Homographies from pairs: what is recovered, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.config.check import MAX_CORNERS
from rt_pose.errors import UserError
from rt_pose.rules.homography import fit_homography, hull, project

TRUE = np.array([[0.02, 0.001, -3.0], [-0.0008, 0.025, -2.0], [1e-5, -2e-5, 1.0]])
CORNERS = np.array([[10.0, 10.0], [310.0, 12.0], [300.0, 240.0], [15.0, 236.0]])


def places(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform((0.0, 0.0), (320.0, 256.0), (n, 2))


@pytest.mark.parametrize("source", [CORNERS, places(12)])
def test_it_is_recovered(source: np.ndarray) -> None:
    fitted = fit_homography(source, project(TRUE, source), 0.1, "pairs")
    assert fitted.matrix == pytest.approx(TRUE, rel=1e-5, abs=1e-7)
    assert fitted.largest < 1e-4


def test_residuals_are_of_the_first_plane() -> None:
    source = places(60)
    seen = source + np.random.default_rng(1).normal(0.0, 0.5, source.shape)
    fitted = fit_homography(seen, project(TRUE, source), 5.0, "pairs")
    assert 0.5 < fitted.rms < 0.9, "0.5 px on each of two axes"
    assert fitted.largest == fitted.residuals.max()


def test_no_pair_is_left_out_and_a_wrong_one_is_named() -> None:
    source = places(20)
    target = project(TRUE, source)
    source[6] += (25.0, 0.0)
    with pytest.raises(UserError, match=r"pairs: pair 7 is \d+\.\d+ px off.*expected at most 2 px"):
        fit_homography(source, target, 2.0, "pairs")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (CORNERS[:3], "expected 4 pairs or more, got 3"),
        (np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), "on a line"),
        (np.array([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0], [50.0, 90.0]]), "on a line"),
        (np.array([[5.0, 5.0]] * 4), "on a line"),
        (np.array([[5.0, 5.0], [5.0, 5.0], [90.0, 5.0], [9.0, 80.0]]), "on a line"),
        (np.array([[np.nan, 5.0], [80.0, 5.0], [90.0, 75.0], [9.0, 80.0]]), "finite"),
    ],
)
def test_too_little_is_refused(source: np.ndarray, expected: str) -> None:
    target = source * 0.02 + 1.0
    with pytest.raises(UserError, match=expected):
        fit_homography(source, target, 5.0, "pairs")


def test_places_on_a_line_in_the_second_plane_are_refused() -> None:
    target = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    with pytest.raises(UserError, match="in one of the two planes"):
        fit_homography(CORNERS, target, 5.0, "pairs")


def test_exchanged_corners_are_refused() -> None:
    target = project(TRUE, CORNERS)[[1, 0, 2, 3]]
    with pytest.raises(UserError, match="exchanged"):
        fit_homography(CORNERS, target, 5.0, "pairs")


def test_the_hull_has_the_corners_alone() -> None:
    inner = places(30) * 0.5 + (80.0, 64.0)
    around = hull(np.concatenate([inner, CORNERS]))
    assert sorted(map(tuple, around)) == sorted(map(tuple, CORNERS.tolist()))


def test_the_third_coordinate_is_above_0_where_the_pairs_are() -> None:
    """Also where px (0, 0) lies beyond the horizon, so that the matrix tells on which side the floor is."""
    oblique = np.array([[0.02, 0.001, -3.0], [-0.0008, 0.025, -2.0], [0.0, 0.01, -1.0]])
    below = CORNERS + np.array([0.0, 150.0])
    for source, truth in ((below, oblique), (CORNERS, TRUE)):
        matrix = fit_homography(source, project(truth, source), 0.1, "pairs").matrix
        assert (source @ matrix[2, :2] + matrix[2, 2] > 0.0).all()
        assert abs(matrix[2, 2]) == pytest.approx(1.0)


def test_the_region_of_many_pairs_has_a_hundred_corners_and_does_not_grow() -> None:
    angles = np.linspace(0.0, 2.0 * np.pi, 720, endpoint=False)
    found = np.array(hull(np.stack((500.0 * np.cos(angles), 500.0 * np.sin(angles)), axis=1)))
    assert len(found) == MAX_CORNERS
    assert np.hypot(*found.T).max() <= 500.01
