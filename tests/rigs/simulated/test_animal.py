from __future__ import annotations

import numpy as np
import pytest

from rigs.simulated.animal import BODY_LENGTH, KEYPOINTS, Animal, half_width

INDEX = {name: i for i, name in enumerate(KEYPOINTS)}


@pytest.fixture(scope="module")
def animal() -> Animal:
    return Animal(4, 0)


def test_the_body_keeps_its_length_while_it_bends(animal: Animal) -> None:
    straightness = []
    for distance in np.linspace(0.0, 5.0, 60):
        midline = animal.posture(distance, 0.0).midline
        length = np.hypot(*np.diff(midline, axis=0).T).sum()
        assert length == pytest.approx(BODY_LENGTH, rel=0.06)
        straightness.append(np.hypot(*(midline[0] - midline[-1])) / length)
    assert max(straightness) > 0.98
    assert min(straightness) < 0.9


def test_left_is_left_of_the_heading(animal: Animal) -> None:
    for distance in np.linspace(0.0, 5.0, 40):
        keypoints = animal.posture(distance, 1.0).keypoints
        heading = keypoints[INDEX["nose"]] - keypoints[INDEX["neck"]]
        for part in ("ear", "paw"):
            across = keypoints[INDEX[f"{part}_left"]] - keypoints[INDEX[f"{part}_right"]]
            assert across[0] * heading[1] - across[1] * heading[0] > 0.0


def test_paws_stand_on_the_ground_while_the_body_moves_on(animal: Animal) -> None:
    step = 0.002
    paws = np.array([animal.posture(d, 0.0).feet[0] for d in np.arange(0.0, 1.0, step)])
    body = np.array([animal.posture(d, 0.0).midline[12] for d in np.arange(0.0, 1.0, step)])
    moved = np.hypot(*np.diff(paws, axis=0).T) / np.hypot(*np.diff(body, axis=0).T)
    assert 0.4 < np.mean(moved < 0.5) < 0.8
    assert moved.max() > 2.0


def test_paws_are_now_and_then_below_the_body(animal: Animal) -> None:
    bared = np.array([animal.posture(d, 0.0).bared for d in np.arange(0.0, 5.0, 0.01)])
    assert bared[:, :7].all()
    assert set(bared[:, 7:].mean(axis=0).round(1)) <= {0.5, 0.6, 0.7, 0.8}


def test_the_same_posture_for_the_same_distance(animal: Animal) -> None:
    again = Animal(4, 0).posture(2.5, 3.0)
    np.testing.assert_array_equal(animal.posture(2.5, 3.0).keypoints, again.keypoints)


def test_width_vanishes_at_both_ends() -> None:
    np.testing.assert_allclose(half_width(np.array([0.0, 1.02])), 0.0, atol=1e-6)
    assert (half_width(np.linspace(0.02, 1.0, 50)) > 0.03).all()
