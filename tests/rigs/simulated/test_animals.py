"""Several simulated animals: the first is who it was alone, and each hides those below it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.from_log import frame_at, truth_at

from rigs.simulated.animal import BODY_LENGTH, KEYPOINTS
from rigs.simulated.behaviour import Reactions, Timing
from rigs.simulated.dataset import write_labeled_folder
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene
from rigs.simulated.world import World
from rt_pose.errors import UserError

FOUR = SimulatedOptions(animals=4)


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
    below, above, crossings = 0, 0, 0
    for i in range(0, 1800, 10):
        t_ns = FOUR.scene_time_ns(i)
        postures = scene.postures(t_ns, undisturbed)
        _, visible = scene.project(postures)
        for one in postures[1:]:
            hidden = one.covers(postures[0].keypoints)
            crossings += bool(hidden.any())
            assert not (visible[0] & hidden).any()
            below += int(hidden.sum())
        top = postures[3]
        own = top.bared & ~scene.beam.covers(top.keypoints)
        above += int((own & visible[3]).sum() - own.sum())
    assert crossings > 10
    assert below > 30
    assert above == 0  # nothing lies above the last one


def test_a_body_covers_its_own_middle_and_not_what_is_beside_it(scene: Scene) -> None:
    posture = scene.posture(10**9, Reactions(scene.timing))
    assert posture.covers(posture.midline[5:20]).all()
    assert not posture.covers(posture.midline + 0.3 * BODY_LENGTH * posture.left).any()


def test_every_animal_is_drawn(scene: Scene) -> None:
    plain = SimulatedOptions(noise=0.0, light=0.0, texture=0.0)
    t_ns, undisturbed = FOUR.scene_time_ns(100), Reactions(scene.timing)
    renderer = Renderer(3, "top", plain, scene)
    postures = scene.postures(t_ns, undisturbed)
    one, all_of_them = (np.empty((plain.height, plain.width, 1), np.uint8) for _ in range(2))
    renderer.draw(postures[0], 100, t_ns, one)
    np.testing.assert_array_equal(one, frame_at(3, "top", plain, 100, []))
    renderer.draw(postures[:1], 100, t_ns, all_of_them)
    np.testing.assert_array_equal(one, all_of_them)
    renderer.draw(postures, 100, t_ns, all_of_them)
    for posture in postures[1:]:
        x, y = np.rint(scene.view.pixels(posture.midline[12])).astype(int)
        if not scene.beam.covers(posture.midline[12:13])[0]:
            assert all_of_them[y, x, 0] < one[y, x, 0] or posture.covers(postures[0].midline).any()
    assert (one != all_of_them).mean() > 0.03


def test_how_many_is_checked(tmp_path: Path) -> None:
    for animals in (0, 5):
        with pytest.raises(UserError, match="animals must be between 1 and 4"):
            SimulatedOptions(animals=animals).check("cameras.top.options")
    with pytest.raises(UserError, match="only one animal is labeled; expected animals: 1, got 2"):
        write_labeled_folder(tmp_path / "frames", 24, 1, SimulatedOptions(animals=2))
    world, timing = World("w"), Timing(120.0, 800.0)
    world.attach("top", 0, timing, 2)
    with pytest.raises(UserError, match=r"cameras\.side: seed, animals, .*'w'"):
        world.attach("side", 0, timing, 3)
