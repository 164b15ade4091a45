"""The rig in space: four calibrated cameras that see one world, with truth in each frame and in space."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigs.cameras.simulated import SimulatedCamera
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions, Timing
from rigs.simulated.dataset import ANIMALS, write_labeled_folder
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.picture import make_picture
from rigs.simulated.solid_scene import SolidScene
from rigs.simulated.viewpoint import VIEWS, simulated_calibration
from rigs.simulated.views_run import views_run
from rigs.simulated.world import World
from rt_pose.clock import NS_PER_S, FakeClock
from rt_pose.config.shipped import FOLDER
from rt_pose.drivers import CameraInSpace, DriverContext
from rt_pose.errors import UserError
from rt_pose.views.calibration_file import read_calibration
from rt_pose.views.triangulation import triangulate

INDEX = {name: i for i, name in enumerate(KEYPOINTS)}
OPTIONS = SimulatedOptions(view=0)
PLAIN = replace(OPTIONS, noise=0.0, light=0.0, texture=0.0, width=640, height=512)
SEED = 3


def scenes(options: SimulatedOptions) -> list[SolidScene]:
    return [SolidScene(SEED, replace(options, view=view)) for view in range(4)]


def test_the_shipped_calibration_is_that_of_the_rig() -> None:
    shipped = read_calibration(FOLDER / "views.toml")
    for found, made in zip(shipped, simulated_calibration(VIEWS, 320, 256), strict=True):
        assert (found.name, found.size) == (made.name, made.size)
        for name in ("matrix", "distortions", "rotation", "translation"):
            np.testing.assert_allclose(getattr(found, name), getattr(made, name), rtol=1e-12, atol=1e-12)
    config = views_run(3, "test")
    assert [camera.options["view"] for camera in config.cameras.values()] == [0, 1, 2]
    assert Path(config.views["arena"].calibration).is_file()


def test_what_the_cameras_see_is_where_the_animal_is() -> None:
    views, undisturbed = scenes(OPTIONS), Reactions(Timing(120.0, 800.0))
    for t_ns in range(0, 20 * NS_PER_S, NS_PER_S):
        xy = np.stack([scene.truth(t_ns, undisturbed)[0][0] for scene in views])
        placed = triangulate([scene.camera for scene in views], xy).xyz
        np.testing.assert_allclose(placed, views[0].places(t_ns, undisturbed)[0], atol=1e-3)


def test_most_keypoints_are_in_sight_of_two_cameras_or_more() -> None:
    undisturbed = Reactions(Timing(120.0, 800.0))
    times = range(0, 60 * NS_PER_S, NS_PER_S // 2)
    seen = np.stack([[scene.truth(t, undisturbed)[1][0] for t in times] for scene in scenes(OPTIONS)])
    assert (seen.mean(axis=1) > 0.2).all(), "each camera sees each keypoint at times"
    assert 0.5 < seen.mean() < 0.95
    assert (seen.sum(axis=0) >= 2).mean() > 0.85


@pytest.mark.parametrize("view", range(4))
def test_the_animal_is_drawn_where_truth_says(view: int) -> None:
    options = replace(PLAIN, view=view)
    scene, picture = SolidScene(SEED, options), make_picture(SEED, "camera", options)
    image = np.empty((options.height, options.width, 1), np.uint8)
    ears: list[float] = []
    backs: list[float] = []
    undisturbed, floor = Reactions(scene.timing), []
    for t_ns in range(0, 12 * NS_PER_S, NS_PER_S // 2):
        picture.draw(0, t_ns, undisturbed, image)
        (xy,), (visible,) = picture.truth(t_ns, undisturbed)
        floor.append(float(np.percentile(image, 95)))
        for name, found in (("ear_left", ears), ("back", backs)):
            if visible[INDEX[name]]:
                x, y = np.rint(xy[INDEX[name]]).astype(int)
                found.append(float(image[y, x, 0]))
    assert len(ears) > 3
    assert len(backs) > 3
    assert np.median(backs) < 105 < np.median(ears) < np.median(floor)


def test_a_frame_is_a_pure_function_with_noise_of_its_camera() -> None:
    image = np.empty((2, 256, 320, 1), np.uint8)
    frames = []
    for name in ("a", "a", "b"):
        picture = make_picture(SEED, name, OPTIONS)
        picture.draw(7, 10**9, Reactions(picture.timing), image[0])
        picture.shine([(0.6, 0.5)], image[0])
        frames.append(image[0].copy())
    np.testing.assert_array_equal(frames[0], frames[1])
    assert 0.5 < (frames[0] != frames[2]).mean() < 1
    assert (frames[0] == 255).sum() > 20, "the light"


def test_cameras_of_one_world_expose_together_and_know_the_places() -> None:
    context = DriverContext(FakeClock(), seed=2)
    cameras = [SimulatedCamera(VIEWS[view], replace(OPTIONS, view=view), context) for view in (0, 2)]
    image = np.empty((256, 320, 1), np.uint8)
    for camera in cameras:
        camera.open()
    stamps = [camera.grab(image) for camera in cameras]
    assert stamps[0] is not None
    assert stamps[1] is not None
    assert stamps[0].t_exposure_ns == stamps[1].t_exposure_ns
    assert all(isinstance(camera, CameraInSpace) for camera in cameras)
    places = [camera.truth_in_space(5) for camera in cameras]
    assert places[0] is not None
    assert places[0].shape == (1, len(KEYPOINTS), 3)
    np.testing.assert_array_equal(places[0], places[1])
    for camera in cameras:
        camera.close()
    assert cameras[0].truth_in_space(5) is None


def test_a_freeze_stops_the_animal_in_space_too() -> None:
    scene = SolidScene(SEED, OPTIONS)
    stimulated = Reactions.to(scene.timing, [1_000_000])
    frozen = [scene.places(round(t * NS_PER_S), stimulated) for t in (1.3, 1.8)]
    np.testing.assert_allclose(frozen[0], frozen[1], atol=1e-6)


def test_a_world_is_flat_or_in_space() -> None:
    world, timing = World("w"), Timing(120.0, 800.0)
    world.attach("front", 0, timing, 1, True)
    with pytest.raises(UserError, match=r"cameras\.side: .* 'w' some have a `view` and some have none"):
        world.attach("side", 0, timing, 1, False)
    with pytest.raises(UserError, match="view must be between 0 and 3, got 4"):
        SimulatedOptions(view=4).check("cameras.top.options")


def test_labeled_frames_take_turns_among_the_views(tmp_path: Path) -> None:
    small = SimulatedOptions(width=80, height=64)
    folder = write_labeled_folder(tmp_path / "views", 2 * ANIMALS, 1, small, views=2)
    with (folder / "CollectedData.csv").open(newline="") as file:
        rows = list(csv.reader(file))[3:]
    xy = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows]).reshape(len(rows), -1, 2)
    assert len(rows) == 2 * ANIMALS
    assert (np.isfinite(xy[:, :, 0]).mean(axis=0) > 0.1).all()
    assert np.nanmax(xy[..., 0]) < 80
