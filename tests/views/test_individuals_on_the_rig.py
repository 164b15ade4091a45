"""Animals of the simulated rig in space, which hide one another: placed, and who is who is kept."""

from __future__ import annotations

import numpy as np
from support.herd_in_space import group_of, observe, owners

from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.solid_scene import SolidScene
from rt_pose.clock import NS_PER_S
from rt_pose.types import FloatArray

RATE_HZ, SECONDS, ANIMALS, VIEWS = 60, 5, 2, 3


def visible_detections(
    scene: SolidScene, t_ns: int, reactions: Reactions, random: np.random.Generator
) -> FloatArray:
    """(D, K, 2) px, of those of which a camera sees three keypoints; one in thirty is missed."""
    xy, visible = scene.truth(t_ns, reactions)
    xy = np.where(visible[..., None], xy + random.normal(0.0, 1.0, xy.shape), np.nan)
    found = (visible.sum(axis=1) >= 3) & (random.random(len(xy)) > 1 / 30)
    return random.permutation(xy[found])


def test_two_animals_are_placed_and_stay_in_their_slots() -> None:
    scenes = [SolidScene(1, SimulatedOptions(animals=ANIMALS, view=view)) for view in range(VIEWS)]
    reactions, random = Reactions(scenes[0].timing), np.random.default_rng(1)
    group = group_of([scene.camera for scene in scenes], ANIMALS, keypoints=len(KEYPOINTS))
    errors, held = [], set()
    for frame in range(SECONDS * RATE_HZ):
        t_ns = frame * NS_PER_S // RATE_HZ
        group.begin_turn()
        for view, scene in enumerate(scenes):
            observe(group, view, t_ns / 1e6, visible_detections(scene, t_ns, reactions, random))
        if frame < 10:
            continue
        places, track = scenes[0].places(t_ns, reactions), group.predict(0)
        slots = owners(track, places)
        held.add(tuple(slots))
        errors.append(np.linalg.norm(track.xyz - places[slots], axis=-1))
    assert len(held) == 1, "nobody has changed slots"
    assert sorted(held.pop()) == [0, 1]
    assert np.nanmedian(errors) < 5.0
    assert (group.births, group.deaths) == (ANIMALS, 0)
