"""Several simulated animals: the first is who it was alone, and each hides those below it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from support.from_log import frame_at, truth_at

from rigs.cameras.simulated import SimulatedCamera
from rigs.simulated import dataset
from rigs.simulated.animal import BODY_LENGTH, KEYPOINTS
from rigs.simulated.behaviour import Reactions, Timing
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene
from rigs.simulated.world import World
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext
from rt_pose.errors import UserError

FOUR = SimulatedOptions(animals=4)
ARENAS, FRAMES = 2, 8


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(3, FOUR)


def test_the_first_animal_is_the_same_however_many_there_are(scene: Scene) -> None:
    undisturbed = Reactions(scene.timing)
    alone, visible_alone = truth_at(3, SimulatedOptions(), 100, [])
    xy, visible = scene.truth(FOUR.scene_time_ns(100), undisturbed)
    assert xy.shape == (4, len(KEYPOINTS), 2)
    assert visible.shape == (4, len(KEYPOINTS))
    np.testing.assert_array_equal(xy[0], alone[0])
    assert not (visible[0] & ~visible_alone[0]).any()
    apart = np.linalg.norm(xy[:, None] - xy[None], axis=-1).min(axis=-1) + 1e9 * np.eye(4)
    assert apart.min() > 0.5


def test_they_cross_and_hide_each_other(scene: Scene) -> None:
    undisturbed = Reactions(scene.timing)
    hidden_keypoints, crossings = 0, 0
    for i in range(0, 1800, 10):
        postures = scene.postures(FOUR.scene_time_ns(i), undisturbed)
        xy, visible = scene.project(postures)
        for one in postures[1:]:
            hidden = one.covers(postures[0].keypoints)
            crossings += bool(hidden.any())
            assert not (visible[0] & hidden).any()
            hidden_keypoints += int(hidden.sum())
        top = postures[3]
        own = top.bared & ~scene.beam.covers(top.keypoints) & scene.view.holds(xy[3])
        np.testing.assert_array_equal(visible[3], own)  # nothing lies above the last one
    assert crossings > 10
    assert hidden_keypoints > 30


def test_a_body_covers_its_own_middle_and_not_what_is_beside_it(scene: Scene) -> None:
    posture = scene.postures(10**9, Reactions(scene.timing))[0]
    assert posture.covers(posture.midline[5:20]).all()
    assert not posture.covers(posture.midline + 0.3 * BODY_LENGTH * posture.left).any()


def test_every_animal_is_drawn_and_one_as_ever(scene: Scene) -> None:
    plain = SimulatedOptions(noise=0.0, light=0.0, texture=0.0)
    t_ns, undisturbed = FOUR.scene_time_ns(100), Reactions(scene.timing)
    renderer = Renderer(3, "top", plain, scene)
    postures = scene.postures(t_ns, undisturbed)
    one, all_of_them = (np.empty((plain.height, plain.width, 1), np.uint8) for _ in range(2))
    renderer.draw(postures[:1], 100, t_ns, one)
    np.testing.assert_array_equal(one, frame_at(3, "top", plain, 100, []))
    renderer.draw(postures, 100, t_ns, all_of_them)
    for posture in postures[1:]:
        x, y = np.rint(scene.view.pixels(posture.midline[12])).astype(int)
        if not scene.beam.covers(posture.midline[12:13])[0]:
            assert all_of_them[y, x, 0] < one[y, x, 0] or posture.covers(postures[0].midline).any()
    assert (one != all_of_them).mean() > 0.03


def test_a_camera_knows_the_truth_of_all() -> None:
    context = DriverContext(HostClock(), seed=3)
    options = SimulatedOptions(width=80, height=64, rate_hz=200.0, animals=2)
    camera = SimulatedCamera("top", options, context)
    camera.open()
    camera.start()
    image = np.empty((64, 80, 1), np.uint8)
    stamps = camera.grab(image)
    assert stamps is not None
    truth = camera.truth(stamps.index)
    camera.close()
    assert truth is not None
    expected = truth_at(3, options, stamps.index, [])
    np.testing.assert_array_equal(truth[0], expected[0])
    np.testing.assert_array_equal(truth[1], expected[1])
    np.testing.assert_array_equal(image, frame_at(3, "top", options, stamps.index, []))


def test_the_table_of_several_animals_has_deeplabcuts_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "ANIMALS", ARENAS)
    options = SimulatedOptions(width=80, height=64, animals=2)
    folder = dataset.write_labeled_folder(tmp_path / "frames", FRAMES, 1, options)
    with (folder / "CollectedData.csv").open(newline="") as file:
        scorer, individuals, bodyparts, coords, *rows = csv.reader(file)
    assert [row[0] for row in (scorer, individuals, bodyparts, coords)] == [
        *("scorer", "individuals", "bodyparts", "coords")
    ]
    width = 2 * len(KEYPOINTS)
    assert individuals[1:] == ["individual0"] * width + ["individual1"] * width
    assert bodyparts[1::2] == KEYPOINTS * 2
    assert coords[1:] == ["x", "y"] * len(KEYPOINTS) * 2
    assert len(rows) == FRAMES
    xy = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows]).reshape(FRAMES, 2, -1, 2)
    apart = np.abs(xy[:, 0] - xy[:, 1])
    assert apart[np.isfinite(apart)].mean() > 5.0
    assert 0.02 < np.isnan(xy).mean() < 0.6


def test_how_many_is_checked() -> None:
    for animals in (0, 5):
        with pytest.raises(UserError, match="animals must be between 1 and 4"):
            SimulatedOptions(animals=animals).check("cameras.top.options")
    world, timing = World("w"), Timing(120.0, 800.0)
    world.attach("top", 0, timing, 2)
    with pytest.raises(UserError, match=r"cameras\.side: seed, animals, .*'w'"):
        world.attach("side", 0, timing, 3)
