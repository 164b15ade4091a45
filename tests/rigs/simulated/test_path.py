from __future__ import annotations

import numpy as np
import pytest

from rigs.simulated.path import ARENA, MARGIN, SHARPEST_TURN, ClosedPath


@pytest.fixture(scope="module", params=range(4))
def path(request: pytest.FixtureRequest) -> ClosedPath:
    return ClosedPath(request.param, 0)


def test_distance_along_it_is_arc_length(path: ClosedPath) -> None:
    distance = np.arange(0.0, path.length, 0.01)
    xy, _ = path.at(distance)
    steps = np.hypot(*np.diff(xy, axis=0).T)
    np.testing.assert_allclose(steps, 0.01, rtol=2e-3)


def test_it_closes_without_a_seam(path: ClosedPath) -> None:
    around = path.length + np.linspace(-0.02, 0.02, 41)
    xy, left = path.at(around)
    assert np.hypot(*np.diff(xy, axis=0).T) == pytest.approx(np.full(40, 0.001), rel=2e-3)
    assert np.abs(np.diff(left, axis=0)).max() < 0.02
    np.testing.assert_allclose(path.at(around - path.length)[0], xy, atol=1e-9)


def test_left_is_a_unit_vector_to_the_left_in_a_frame_whose_y_points_down(path: ClosedPath) -> None:
    distance = np.linspace(0.0, path.length, 300)
    xy, left = path.at(distance)
    ahead = path.at(distance + 1e-3)[0] - xy
    np.testing.assert_allclose(np.hypot(*left.T), 1.0, atol=1e-4)
    assert np.abs((ahead * left).sum(axis=1)).max() < 1e-4
    assert ((left[:, 0] * ahead[:, 1] - left[:, 1] * ahead[:, 0]) > 0.0).all()


def test_it_stays_in_the_arena_and_its_turns_are_wide(path: ClosedPath) -> None:
    xy, left = path.at(np.linspace(0.0, path.length, 3000))
    assert (xy > MARGIN - 1e-3).all()
    assert (xy < np.array(ARENA) - MARGIN + 1e-3).all()
    turned = np.arccos(np.clip((left[1:] * left[:-1]).sum(axis=1), -1.0, 1.0))
    assert (path.length / 2999) / turned.max() > 0.9 * SHARPEST_TURN


def test_seed_and_animal_make_the_path() -> None:
    at = np.linspace(0.0, 3.0, 50)
    here = ClosedPath(1, 0).at(at)[0]
    np.testing.assert_array_equal(here, ClosedPath(1, 0).at(at)[0])
    assert np.abs(here - ClosedPath(2, 0).at(at)[0]).max() > 0.1
    assert np.abs(here - ClosedPath(1, 1).at(at)[0]).max() > 0.1
