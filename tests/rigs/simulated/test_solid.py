"""The animal in space: from above the flat one; it rears as one body, and hides what is behind it."""

from __future__ import annotations

import numpy as np
import pytest

from rigs.simulated.animal import KEYPOINTS, Animal
from rigs.simulated.behaviour import REAR_EVERY_S, REAR_PITCH, Rearing
from rigs.simulated.solid import BALLS_MM, BODY_MM, SolidAnimal, on_floor, on_plan

INDEX = {name: i for i, name in enumerate(KEYPOINTS)}
SEED, DISTANCE = 4, 2.5
TIMES = np.arange(0.0, 10 * REAR_EVERY_S, 0.02)


@pytest.fixture(scope="module")
def animal() -> SolidAnimal:
    return SolidAnimal(SEED, 0)


@pytest.fixture(scope="module")
def pitches() -> np.ndarray:
    rearing = Rearing(SEED, 0)
    return np.array([rearing.pitch(t) for t in TIMES])


def test_on_all_fours_it_is_where_the_flat_one_is(animal: SolidAnimal, pitches: np.ndarray) -> None:
    t_s = float(TIMES[np.flatnonzero(pitches == 0)[0]])
    flat, solid = Animal(SEED, 0).posture(DISTANCE, t_s), animal.posture(DISTANCE, t_s)
    same = [i for name, i in INDEX.items() if name not in ("nose", "tail_base")]
    np.testing.assert_allclose(on_plan(solid.keypoints[same, :2]), flat.keypoints[same], atol=1e-12)
    np.testing.assert_allclose(on_floor(on_plan(solid.keypoints[:, :2])), solid.keypoints[:, :2])
    assert np.linalg.norm(on_plan(solid.keypoints[0, :2]) - flat.keypoints[0]) * 400 < 0.05 * BODY_MM
    assert (solid.midline[:, 2] >= BALLS_MM).all(), "no ball is below the floor"
    assert 5 < solid.keypoints[INDEX["nose"], 2] < 30
    assert solid.keypoints[INDEX["back"], 2] > solid.midline[12, 2] + 10


def test_it_rears_once_in_each_cell_and_comes_down_again(pitches: np.ndarray) -> None:
    cells = pitches.reshape(10, -1)
    assert (cells.max(axis=1) > REAR_PITCH[0] - 0.05).all()
    assert pitches.max() <= REAR_PITCH[1]
    assert (cells == 0).any(axis=1).all()
    assert np.abs(np.diff(pitches)).max() < 0.15


def test_the_forebody_rises_as_one_and_the_hind_feet_stay(animal: SolidAnimal, pitches: np.ndarray) -> None:
    down = animal.posture(DISTANCE, float(TIMES[np.flatnonzero(pitches == 0)[0]]))
    up = animal.posture(DISTANCE, float(TIMES[pitches.argmax()]))
    assert up.keypoints[INDEX["nose"], 2] > 55
    assert up.midline[0, 2] > down.midline[0, 2] + 40
    np.testing.assert_allclose(up.feet[2:], down.feet[2:], atol=1e-9)
    np.testing.assert_allclose(up.keypoints[INDEX["tail_base"]], down.keypoints[INDEX["tail_base"]], atol=3.0)
    assert (up.feet[:2, 2] > down.feet[:2, 2] + 15).all()
    for pair in (("nose", "ear_left"), ("ear_left", "ear_right"), ("neck", "ear_right")):
        one, other = (INDEX[name] for name in pair)
        apart = [np.linalg.norm(p.keypoints[one] - p.keypoints[other]) for p in (up, down)]
        assert apart[0] == pytest.approx(apart[1], rel=0.2)


def test_a_body_hides_what_is_behind_it(animal: SolidAnimal) -> None:
    posture = animal.posture(DISTANCE, 0.0)
    left, right = posture.keypoints[INDEX["ear_left"]], posture.keypoints[INDEX["ear_right"]]
    aside = (left - right) / np.linalg.norm(left - right)
    middle = posture.midline[12]
    eye = middle + 500 * aside  # on its left, at its own height
    points = np.stack([middle, middle - 40 * aside, middle + 40 * aside, middle + np.array([0, 0, 60])])
    assert posture.hides(eye, points).tolist() == [True, True, False, False]
    assert not posture.hides(
        np.array([0.0, 0.0, 800.0]), posture.keypoints[[INDEX["back"], INDEX["neck"]]]
    ).any()
