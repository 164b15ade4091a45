from __future__ import annotations

import numpy as np
import pytest
from support.from_log import frame_at

from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene

PLAIN = SimulatedOptions(noise=0.0, light=0.0, texture=0.0, width=640, height=512)


def test_a_frame_is_a_pure_function() -> None:
    options = SimulatedOptions()
    frames = [frame_at(5, "top", options, frame, [400_000]) for frame in (90, 91, 90)]
    np.testing.assert_array_equal(frames[0], frames[2])
    assert (frames[0] != frames[1]).mean() > 0.5


def test_frames_do_not_depend_on_those_drawn_before() -> None:
    options = SimulatedOptions(channels=3)
    scene = Scene(5, options)
    renderer = Renderer(5, "top", options, scene)
    image = np.empty((options.height, options.width, 3), np.uint8)
    for frame in (3, 400, 77):
        t_ns = options.scene_time_ns(frame)
        renderer.draw(scene.postures(t_ns, Reactions(scene.timing)), frame, t_ns, image)
    np.testing.assert_array_equal(image, frame_at(5, "top", options, 77, []))


def test_two_cameras_see_one_animal_with_noise_of_their_own() -> None:
    options = SimulatedOptions()
    top, side = (frame_at(5, name, options, 30, []).astype(int) for name in ("top", "side"))
    noise = (top - side)[100:120, 150:170]
    assert 3.0 < noise.std() < 9.0
    quiet = SimulatedOptions(noise=0.0)
    np.testing.assert_array_equal(frame_at(5, "top", quiet, 30, []), frame_at(5, "side", quiet, 30, []))


def test_noise_has_the_stated_strength() -> None:
    quiet = frame_at(5, "top", SimulatedOptions(noise=0.0), 30, []).astype(int)
    noisy = frame_at(5, "top", SimulatedOptions(noise=6.0), 30, []).astype(int)
    assert (noisy - quiet).std() == pytest.approx(6.0, abs=0.3)
    assert abs((noisy - quiet).mean()) < 0.2


def test_light_changes_slowly() -> None:
    options = SimulatedOptions(noise=0.0)
    means = np.array([frame_at(5, "top", options, frame, []).mean() for frame in (0, 1, 300, 600, 900)])
    assert abs(means[1] - means[0]) < 0.5
    assert np.ptp(means) > 8.0


@pytest.mark.parametrize("side", ["left", "right"])
def test_ears_are_drawn_where_truth_says(side: str) -> None:
    scene = Scene(5, PLAIN)
    renderer = Renderer(5, "top", PLAIN, scene)
    image = np.empty((PLAIN.height, PLAIN.width, 1), np.uint8)
    errors = []
    for frame in range(0, 600, 20):
        t_ns = PLAIN.scene_time_ns(frame)
        xy, visible = scene.truth(t_ns, Reactions(scene.timing))
        renderer.draw(scene.postures(t_ns, Reactions(scene.timing)), frame, t_ns, image)
        ear = KEYPOINTS.index(f"ear_{side}")
        if visible[0, :5].all():
            errors.append(_centroid_of_disc(image[:, :, 0], xy[0, ear]) - xy[0, ear])
    assert len(errors) > 15
    assert np.abs(np.median(errors, axis=0)).max() < 0.15
    assert np.median(np.hypot(*np.transpose(errors))) < 0.5


def _centroid_of_disc(image: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Centre of gravity of the inner ear, brighter than the fur around it, near a guess."""
    left, top = np.rint(guess).astype(int) - 5
    window = image[top : top + 11, left : left + 11].astype(float)
    weight = np.clip(window - 75.0, 0.0, 20.0)
    rows, columns = np.mgrid[top : top + 11, left : left + 11]
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def test_the_animal_is_where_truth_says_and_nowhere_else() -> None:
    scene = Scene(5, PLAIN)
    t_ns = PLAIN.scene_time_ns(100)
    xy, _ = scene.truth(t_ns, Reactions(scene.timing))
    here = frame_at(5, "top", PLAIN, 100, []).astype(int)
    gone = frame_at(5, "top", PLAIN, 400, []).astype(int)
    rows, columns = np.nonzero(np.abs(here - gone)[:, :, 0] > 30)
    away = np.hypot(columns[:, None] - xy[0, :, 0], rows[:, None] - xy[0, :, 1]).min(axis=1)
    other = Scene(5, PLAIN).truth(PLAIN.scene_time_ns(400), Reactions(scene.timing))[0][0]
    elsewhere = np.hypot(columns[:, None] - other[:, 0], rows[:, None] - other[:, 1]).min(axis=1)
    assert np.minimum(away, elsewhere).max() < 75.0
    assert (away < 20.0).sum() > 1000


def test_a_covered_nose_is_behind_the_beam() -> None:
    scene = Scene(5, PLAIN)
    undisturbed = Reactions(scene.timing)
    nose = KEYPOINTS.index("nose")
    truths = [scene.truth(PLAIN.scene_time_ns(f), undisturbed) for f in range(1500)]
    covered = next(f for f in range(1500) if not any(v[0, nose] for _, v in truths[max(f - 5, 0) : f + 6]))
    x, y = np.rint(truths[covered][0][0, nose]).astype(int)
    elsewhere = next(f for f in range(1500) if np.hypot(*(truths[f][0][0] - (x, y)).T).min() > 100.0)
    patches = [
        frame_at(5, "top", PLAIN, frame, [])[y - 3 : y + 4, x - 3 : x + 4] for frame in (covered, elsewhere)
    ]
    np.testing.assert_allclose(patches[0].astype(int), patches[1].astype(int), atol=6)
