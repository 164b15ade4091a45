"""Several animals before a group of views: who is who, who comes and goes, and late frames."""

from __future__ import annotations

import numpy as np
import pytest
from support.herd_in_space import (
    KEYPOINTS,
    PERIOD_MS,
    apart,
    crossing,
    detections,
    group_of,
    observe,
    owners,
    watch_all,
)

from bench.calibration import make_rig
from rt_pose.errors import UserError
from rt_pose.types import FloatArray, Track3D
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.individual_group import IndividualViewGroup, precompile

pytestmark = pytest.mark.timeout(300)  # whoever is first compiles all of it


@pytest.fixture(scope="module")
def cameras() -> list[CalibratedCamera]:
    return make_rig(np.random.default_rng(3), 3)


def identity(track: Track3D) -> FloatArray:
    assert track.individuals is not None
    return track.individuals.identity_p


def alive(track: Track3D) -> list[bool]:
    assert track.individuals is not None
    return track.individuals.alive.tolist()


def errors_mm(track: Track3D, animals: FloatArray, slots: list[int]) -> FloatArray:
    return np.linalg.norm(track.xyz - animals[slots], axis=-1)


def same(a: Track3D, b: Track3D) -> bool:
    assert a.individuals is not None
    assert b.individuals is not None
    pairs = [(a.xyz, b.xyz), (a.cov, b.cov), (a.lost, b.lost), (a.views, b.views)]
    pairs += [(a.individuals.alive, b.individuals.alive), (identity(a), identity(b))]
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)  # type: ignore[arg-type]


def test_two_animals_that_cross_keep_their_slots_and_are_placed(cameras: list[CalibratedCamera]) -> None:
    places = crossing(120)
    group = group_of(cameras)
    tracks = watch_all(group, places)
    first = owners(tracks[5], places[5])
    assert sorted(first) == [0, 1]
    far = []
    for f in range(5, len(places)):
        assert alive(tracks[f]) == [True, True]
        assert owners(tracks[f], places[f]) == first, f"frame {f}"
        far.append(errors_mm(tracks[f], places[f], first))
    assert np.median(far) < 2.0
    assert np.max(far) < 12.0
    assert (identity(tracks[-1]) > 0.95).all()
    assert (group.births, group.deaths) == (2, 0)
    assert tracks[-1].xyz.shape == (2, KEYPOINTS, 3)


def test_animals_that_stand_in_each_other_lose_their_identities(cameras: list[CalibratedCamera]) -> None:
    together = np.repeat(apart(1, mm=0.5)[:, :1], 40, axis=0)
    both = np.repeat(together, 2, axis=1)
    both[:, 1, :, 1] += 1.0
    group = group_of(cameras)
    before = apart(20)
    watch_all(group, before)
    # They slide into one another, and apart.
    slide = np.linspace(1.0, 0.0, 40)[:, None, None, None]
    path = slide * before[-1] + (1.0 - slide) * both[0]
    tracks = watch_all(group, np.concatenate([path, both]), seed=1, first=20)
    assert (identity(tracks[0]) > 0.95).all()
    assert (identity(tracks[-1]) < 0.8).all()


def test_one_that_only_one_camera_sees_waits_and_is_born_once_another_does(
    cameras: list[CalibratedCamera],
) -> None:
    places, random, group = apart(30), np.random.default_rng(0), group_of(cameras)
    for f in range(15):
        for v, camera in enumerate(cameras):
            seen = places[f] if v == 0 else places[f, :1]
            observe(group, v, f * PERIOD_MS + v, detections(camera, seen, random))
    track = group.predict(0)
    assert sorted(owners(track, places[14])) == [-1, 0], "the second one is seen by one camera alone"
    for f in range(15, 30):
        for v, camera in enumerate(cameras):
            seen = places[f] if v < 2 else places[f, :1]
            observe(group, v, f * PERIOD_MS + v, detections(camera, seen, random))
    assert sorted(owners(group.predict(0), places[29])) == [0, 1]


def test_a_camera_that_sees_one_of_two_takes_part_with_that_one(cameras: list[CalibratedCamera]) -> None:
    places, random, group = apart(40), np.random.default_rng(0), group_of(cameras)
    watch_all(group, places[:10])
    for f in range(10, 40):
        for v, camera in enumerate(cameras):
            seen = places[f, 1:] if v == 2 else places[f]
            observe(group, v, f * PERIOD_MS + v, detections(camera, seen, random))
    track = group.predict(0)
    slots = owners(track, places[-1])
    assert sorted(slots) == [0, 1]
    assert track.views is not None
    assert track.views[slots.index(0)].tolist() == [2] * KEYPOINTS
    assert track.views[slots.index(1)].tolist() == [3] * KEYPOINTS


def test_detections_of_nobody_are_no_animals(cameras: list[CalibratedCamera]) -> None:
    places, random, group = apart(40), np.random.default_rng(5), group_of(cameras, individuals=3)
    for f in range(40):
        for v, camera in enumerate(cameras):
            elsewhere = places[f, :1] + random.uniform(-150, 150, 3)
            seen = np.concatenate([places[f], elsewhere])
            observe(group, v, f * PERIOD_MS + v, detections(camera, seen, random))
    assert alive(group.predict(0)).count(True) == 2


def test_an_animal_that_is_gone_is_lost_and_its_slot_empties(cameras: list[CalibratedCamera]) -> None:
    places, group = apart(20), group_of(cameras)
    slots = owners(watch_all(group, places)[-1], places[-1])
    gone = slots.index(1)
    tracks = watch_all(group, np.repeat(places[-1:, :1], 60, axis=0), first=20)
    assert alive(tracks[-1]) == [True, True], "600 ms later it may still be near"
    assert tracks[-1].lost[gone].all()
    assert np.isnan(tracks[-1].xyz[gone]).all()
    assert not tracks[-1].lost[1 - gone].any()
    back = watch_all(group, np.repeat(places[-1:], 10, axis=0), first=80)
    assert owners(back[-1], places[-1]) == slots, "it is found again where it was"
    random, t_ms = np.random.default_rng(2), 900
    while t_ms < 60_000 and group.deaths == 0:
        for v, camera in enumerate(cameras):
            observe(group, v, t_ms + v, detections(camera, places[-1, :1], random))
        t_ms += 100
    assert group.deaths == 1
    assert alive(group.predict(0))[gone] is False
    assert np.isnan(identity(group.predict(0))[gone])


def test_late_frames_lead_to_the_very_state_that_their_order_would_have(
    cameras: list[CalibratedCamera],
) -> None:
    places, random = crossing(60, apart_mm=20.0), np.random.default_rng(0)
    events = [(v, f * PERIOD_MS + 3 * v) for f in range(len(places)) for v in range(3)]
    found = {e: detections(cameras[e[0]], places[e[1] // PERIOD_MS], random) for e in events}
    delay = {event: int(random.integers(0, 10)) for event in events}
    ordered, shuffled = group_of(cameras), group_of(cameras)
    for event in events:
        assert observe(ordered, *event, found[event])
    arriving = sorted(events, key=lambda event: event[1] + delay[event])
    assert arriving != events
    for event in arriving:
        assert observe(shuffled, *event, found[event])
    assert same(ordered.predict(10**12), shuffled.predict(10**12))
    assert (ordered.births, ordered.restarts) == (shuffled.births, shuffled.restarts)


def test_what_goes_back_in_time_empties_all_slots(cameras: list[CalibratedCamera]) -> None:
    group = group_of(cameras)
    watch_all(group, apart(10), first=100)
    xy = detections(cameras[0], apart(1)[0], np.random.default_rng(0))
    cov = np.tile(np.eye(2), (2, KEYPOINTS, 1, 1))
    assert group.observe(0, 0, xy, cov, epoch=1)
    assert alive(group.predict(0)) == [False, False]
    assert group.epoch == 1


def test_a_slot_that_holds_another_animal_has_moved(cameras: list[CalibratedCamera]) -> None:
    group = group_of(cameras)
    moved = [track.individuals.moved.tolist() for track in watch_all(group, apart(6)) if track.individuals]
    assert moved[0] == [True, True]
    assert moved[-1] == [False, False]


def test_other_keypoints_or_a_crowd_are_refused(cameras: list[CalibratedCamera]) -> None:
    group = group_of(cameras)
    with pytest.raises(UserError, match="4 keypoints an individual and at most 6 detections"):
        observe(group, 0, 0.0, np.zeros((2, 3, 2)))
    with pytest.raises(UserError, match="at most 6 detections"):
        observe(group, 0, 0.0, np.zeros((7, KEYPOINTS, 2)))
    assert isinstance(group, IndividualViewGroup)


def test_a_body_that_one_camera_alone_finds_is_placed_anew_by_another(
    cameras: list[CalibratedCamera],
) -> None:
    """It runs off while one camera sees it: along that camera's rays nobody knows how far."""
    group, random = group_of(cameras[:2]), np.random.default_rng(0)
    start = apart(20, mm=150.0)
    slots = owners(watch_all(group, start)[-1], start[-1])
    runner, ahead = slots.index(0), cameras[0].rotation_matrix[2]
    path = start[-1] + np.linspace(0.0, 120.0, 12)[:, None, None, None] * ahead
    path[:, 1] = start[-1, 1]
    for f, animals in enumerate(path):
        observe(group, 0, (20 + f) * PERIOD_MS, detections(cameras[0], animals, random))
        observe(group, 1, (20 + f) * PERIOD_MS + 1, detections(cameras[1], animals[1:], random))
    drifted = errors_mm(group.predict(0), path[-1], slots)[runner]
    assert np.median(drifted) > 40.0
    for f in range(32, 36):
        for v in range(2):
            observe(group, v, f * PERIOD_MS + v, detections(cameras[v], path[-1], random))
    again = group.predict(0)
    assert owners(again, path[-1]) == slots
    assert np.median(errors_mm(again, path[-1], slots)[runner]) < 8.0
    assert group.births == 2


def test_compiling_changes_nothing(cameras: list[CalibratedCamera]) -> None:
    group = group_of(cameras)
    watch_all(group, apart(8))
    before = group.predict(0)
    precompile(group)
    assert same(group.predict(0), before)
