"""Animals that walk about in space and meet, and what the networks of several cameras find of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rt_pose.clock import NS_PER_MS
from rt_pose.types import FloatArray, Track3D
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.individual_group import IndividualViewGroup

BODY = np.array([[20.0, 0.0, 12.0], [5.0, 8.0, 20.0], [5.0, -8.0, 20.0], [-22.0, 0.0, 8.0]])
"""(K, 3) mm: nose, two ears, tail; x is ahead."""
KEYPOINTS = len(BODY)
NOISE_PX = 1.0
PERIOD_MS = 10


def crossing(frames: int, apart_mm: float = 30.0, mm_a_frame: float = 1.2) -> FloatArray:
    """(F, 2, K, 3) mm: two animals walk toward each other, and pass so far apart."""
    along = mm_a_frame * (np.arange(frames) - frames / 2)
    places = np.empty((frames, 2, KEYPOINTS, 3))
    for who, sign in enumerate((1.0, -1.0)):
        middle = np.stack([sign * along, np.full(frames, sign * apart_mm / 2), np.zeros(frames)], axis=-1)
        places[:, who] = middle[:, None] + BODY * [sign, sign, 1.0]
    return places


def apart(frames: int, mm: float = 80.0) -> FloatArray:
    """(F, 2, K, 3) mm: two animals that stand so far from each other, one turned."""
    places = np.tile(BODY, (frames, 2, 1, 1))
    places[:, 1] = places[:, 1] * [-1.0, -1.0, 1.0] + [0.0, mm, 0.0]
    places[..., 0] += np.linspace(0.0, 5.0, frames)[:, None, None]
    return places


def group_of(
    cameras: Sequence[CalibratedCamera],
    individuals: int = 2,
    late_ms: float = 20.0,
    keypoints: int = KEYPOINTS,
) -> IndividualViewGroup:
    """A group of nobody yet; usual speed 200 mm/s."""
    each = np.ones(keypoints)
    spec = TrackingSpec3D(2.0 * 200.0**2 / 0.2 * each, 0.2 * each, each)
    return IndividualViewGroup("arena", cameras, spec, round(late_ms * NS_PER_MS), individuals)


def detections(
    camera: CalibratedCamera, animals: FloatArray, random: np.random.Generator, noise_px: float = NOISE_PX
) -> FloatArray:
    """(D, K, 2) px of the animals (D, K, 3) that a camera sees, in no order."""
    xy = np.stack([camera.project(animal) for animal in animals]) if len(animals) else np.empty((0, 4, 2))
    return random.permutation(xy + random.normal(0.0, noise_px, xy.shape))


def observe(
    group: IndividualViewGroup, view: int, t_ms: float, xy: FloatArray, noise_px: float = NOISE_PX
) -> bool:
    """Give a group what a camera has found."""
    cov = np.tile(noise_px**2 * np.eye(2), (*xy.shape[:2], 1, 1))
    return group.observe(view, round(t_ms * NS_PER_MS), xy, cov, np.full(xy.shape[:2], 0.9))


def watch_all(group: IndividualViewGroup, places: FloatArray, seed: int = 0, first: int = 0) -> list[Track3D]:
    """Tracks after each frame of all cameras; camera v exposes v ms after the first."""
    random, tracks = np.random.default_rng(seed), []
    for f, animals in enumerate(places):
        group.begin_turn()
        for v, camera in enumerate(group.cameras):
            observe(group, v, (first + f) * PERIOD_MS + v, detections(camera, animals, random))
        tracks.append(group.predict(0))
    return tracks


def owners(track: Track3D, animals: FloatArray) -> list[int]:
    """By slot, the animal (N, K, 3) that it holds: the one whose middle is nearest; -1 where it is empty."""
    assert track.individuals is not None
    found = []
    for slot, alive in enumerate(track.individuals.alive.tolist()):
        middle = np.nanmean(track.xyz[slot], axis=0) if alive and not track.lost[slot].all() else None
        distances = None if middle is None else np.linalg.norm(animals.mean(axis=1) - middle, axis=-1)
        found.append(-1 if distances is None else int(distances.argmin()))
    return found
