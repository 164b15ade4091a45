from __future__ import annotations

import numpy as np
import pytest
from support.from_log import truth_at

from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.scene import Beam, Scene, View

OPTIONS = SimulatedOptions()


def test_the_arena_is_centred_on_pixel_centres() -> None:
    view = View(320, 256)
    corners = np.array([[0.0, 0.0], [1.25, 1.0], [0.625, 0.5]])
    np.testing.assert_allclose(view.pixels(corners), [[-0.5, -0.5], [319.5, 255.5], [159.5, 127.5]])


def test_a_larger_frame_shows_the_same_scene_larger() -> None:
    small, _ = truth_at(3, SimulatedOptions(width=160, height=128), 50, [])
    large, _ = truth_at(3, SimulatedOptions(width=640, height=512), 50, [])
    np.testing.assert_allclose((large + 0.5) / 4.0, small + 0.5)


def test_truth_is_a_pure_function() -> None:
    first = [truth_at(3, OPTIONS, frame, [900_000]) for frame in (10, 200, 10)]
    np.testing.assert_array_equal(first[0][0], first[2][0])
    np.testing.assert_array_equal(first[0][1], first[2][1])
    assert np.abs(first[0][0] - first[1][0]).max() > 1.0
    assert np.abs(first[0][0] - truth_at(4, OPTIONS, 10, [900_000])[0]).max() > 1.0


def test_the_animal_reacts_after_the_delay_and_not_before() -> None:
    stimulus_us = 1_000_000
    differs = [
        bool(np.abs(truth_at(3, OPTIONS, f, [stimulus_us])[0] - truth_at(3, OPTIONS, f, [])[0]).max() > 0.0)
        for f in range(60, 75)
    ]
    # It begins 120 ms after the stimulus, that is 7.2 frames.
    assert differs == [False] * 8 + [True] * 7


def test_it_freezes_and_then_goes_on() -> None:
    scene = Scene(3, OPTIONS)
    reactions = Reactions.to(scene.timing, [1_000_000])
    nose = np.array([scene.truth(OPTIONS.scene_time_ns(f), reactions)[0][0, 0] for f in range(140)])
    speed = np.hypot(*np.diff(nose, axis=0).T) * OPTIONS.rate_hz
    assert speed[: 60 + 7].min() > 5.0
    assert speed[60 + 12 : 60 + 54].max() < 1e-6
    assert speed[60 + 56 :].max() > 150.0


def test_keypoints_pass_below_the_beam_now_and_then() -> None:
    scene = Scene(3, OPTIONS)
    undisturbed = Reactions(scene.timing)
    visible = np.array([scene.truth(OPTIONS.scene_time_ns(f), undisturbed)[1][0] for f in range(0, 3600, 5)])
    assert ((visible.mean(axis=0) > 0.4) & (visible.mean(axis=0) < 1.0)).all()


def test_keypoints_stay_in_the_frame() -> None:
    for seed in range(4):
        scene = Scene(seed, OPTIONS)
        undisturbed = Reactions(scene.timing)
        xy = np.array([scene.truth(OPTIONS.scene_time_ns(f), undisturbed)[0][0] for f in range(0, 3600, 9)])
        assert xy.shape[1:] == (len(KEYPOINTS), 2)
        assert xy.min() > 0.0
        assert (xy.max(axis=(0, 1)) < (319.0, 255.0)).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_beam_covers_what_lies_between_its_edges(seed: int) -> None:
    beam = Beam.of(seed)
    aside = np.array([beam.half_width, 0.0])
    axis = np.array([[beam.x, 0.5], [beam.x + 0.3 * beam.slant, 0.8]])
    assert beam.covers(axis + 0.9 * aside).all()
    assert not beam.covers(axis + 1.1 * aside).any()
