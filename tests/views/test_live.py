"""A group of views in a run: what comes late and out of order, and time that goes back."""

from __future__ import annotations

import numpy as np
import pytest
from support.views_motion import moving, seen

from bench.calibration import make_rig
from rt_pose.errors import UserError
from rt_pose.types import FloatArray, Track3D
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.live import HISTORY, STEPPED_OBSERVATIONS, ViewGroup

MS = 1_000_000
V, K, FRAMES = 3, 2, 40
Q, TAU = 4e4, 0.2
COV = np.tile(2.0 * np.eye(2), (K, 1, 1))
Exposure = tuple[int, int]
"""Camera and time, ms."""


@pytest.fixture(scope="module")
def cameras() -> list[CalibratedCamera]:
    return make_rig(np.random.default_rng(3), V)


@pytest.fixture(scope="module")
def xy(cameras: list[CalibratedCamera]) -> FloatArray:
    """(V, F, K, 2) px, a frame each 10 ms, with noise and some keypoints that a camera does not see."""
    random = np.random.default_rng(4)
    found = seen(cameras, moving(random, FRAMES, K, 0.01, Q, TAU), 1.2, random)
    found[random.random(found.shape[:3]) < 0.1] = np.nan
    return found


def group_of(cameras: list[CalibratedCamera], late_ms: float = 20.0) -> ViewGroup:
    each = np.ones(K)
    return ViewGroup("arena", cameras, TrackingSpec3D(Q * each, TAU * each, each), round(late_ms * MS))


def in_order(frames: range) -> list[Exposure]:
    """Each camera exposes 2 ms after the one before."""
    return [(v, 10 * f + 2 * v) for f in frames for v in range(V)]


def feed(group: ViewGroup, xy: FloatArray, events: list[Exposure], epoch: int = 0) -> list[bool]:
    return [group.observe(v, t * MS, xy[v, t // 10], COV, np.full(K, 0.8), epoch) for v, t in events]


def same(a: Track3D, b: Track3D) -> bool:
    pairs = ((a.xyz, b.xyz), (a.velocity, b.velocity), (a.cov, b.cov), (a.confidence, b.confidence))
    assert a.views is not None
    assert b.views is not None
    equal = all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)  # type: ignore[arg-type]
    return equal and a.views.tolist() == b.views.tolist()


def test_late_observations_lead_to_the_very_state_that_their_order_would_have(
    cameras: list[CalibratedCamera], xy: FloatArray
) -> None:
    events, random = in_order(range(FRAMES)), np.random.default_rng(0)
    ordered, shuffled = group_of(cameras), group_of(cameras)
    assert all(feed(ordered, xy, events))
    # Each camera's own frames stay in order; another's may come up to 20 ms after newer ones.
    delay = {event: int(random.integers(0, 10)) for event in events}
    arriving = sorted(events, key=lambda event: event[1] + delay[event])
    assert arriving != events
    assert all(feed(shuffled, xy, arriving))
    assert same(ordered.predict(450 * MS), shuffled.predict(450 * MS))
    assert (ordered.used, ordered.late) == (shuffled.used, shuffled.late) == (len(events), 0)
    assert ordered.restarts == shuffled.restarts
    assert not ordered.predict(0).lost.any()


def test_what_is_too_old_is_counted_and_changes_nothing(cameras: list[CalibratedCamera], xy: FloatArray) -> None:
    group = group_of(cameras)
    feed(group, xy, [(v, t) for v, t in in_order(range(10)) if v != 1 or t < 70])
    before = group.predict(100 * MS)
    assert feed(group, xy, [(1, 72)]) == [False], "older than 20 ms"
    assert feed(group, xy, [(0, 90)]) == [False], "the same frame again"
    assert (group.late, group.newest_ns) == (2, 94 * MS)
    assert same(group.predict(100 * MS), before)
    patient = group_of(cameras, late_ms=30.0)
    feed(patient, xy, [(0, 90), (2, 94)])
    assert feed(patient, xy, [(1, 72)]) == [True]
    assert patient.newest_ns == 94 * MS


def test_nothing_goes_further_back_than_what_is_kept(cameras: list[CalibratedCamera], xy: FloatArray) -> None:
    group = group_of(cameras, late_ms=1000.0)
    events = [(0, 5 * i) for i in range(HISTORY + 2)]
    assert all(feed(group, xy, events))
    # The two oldest have left, at 0 and 5 ms; before the oldest that is kept, at 10 ms, no state is known.
    assert feed(group, xy, [(1, 3), (1, 7), (1, 12)]) == [False, False, True]


def test_confidence_and_views_are_of_those_that_saw_it_just_now(
    cameras: list[CalibratedCamera], xy: FloatArray
) -> None:
    group, exact = group_of(cameras), np.nan_to_num(xy, nan=500.0)
    exact[:] = np.stack([camera.project(np.zeros((1, K, 3))) for camera in cameras])
    for v, p in enumerate((0.4, 0.9, 0.6)):
        for t in (0, 10):
            group.observe(v, (t + v) * MS, exact[v, 0], COV, np.full(K, p))
    track = group.predict(0)
    assert track.views is not None
    assert track.confidence is not None
    assert track.views.tolist() == [3, 3]
    assert track.confidence.tolist() == [0.9, 0.9]
    assert (group.error_px < 1e-3).all()
    unseen = np.full((K, 2), np.nan)
    for t in (60, 65):
        group.observe(1, t * MS, unseen, COV)
    later = group.predict(0)
    assert later.views is not None
    assert later.views.tolist() == [0, 0], "what was seen more than 50 ms before the newest observation"
    assert not later.lost.any()


def test_a_recording_that_is_wound_back_ends_all_tracks_once(
    cameras: list[CalibratedCamera], xy: FloatArray
) -> None:
    group = group_of(cameras)
    feed(group, xy, in_order(range(20, FRAMES)))
    feed(group, xy, [(0, 0)], epoch=1)
    assert (group.epoch, group.newest_ns) == (1, 0)
    assert group.predict(0).lost.all()
    # The others have not gone back yet; what they still bring of before is not used.
    late = group.late
    assert group.observe(1, 5_000 * MS, xy[1, 0], COV) is False
    assert group.late == late + 1
    feed(group, xy, [(1, 2), (2, 4), *in_order(range(1, 10))], epoch=1)
    assert group.epoch == 1, "whoever follows begins nothing anew"
    fresh = group_of(cameras)
    feed(fresh, xy, in_order(range(10)))
    assert same(group.predict(100 * MS), fresh.predict(100 * MS))


def test_a_camera_that_was_opened_again_ends_nothing(cameras: list[CalibratedCamera], xy: FloatArray) -> None:
    group = group_of(cameras)
    feed(group, xy, in_order(range(10)))
    assert feed(group, xy, [(1, 102)], epoch=3) == [True]
    assert feed(group, xy, [(0, 110), (2, 114)]) == [True, True]
    assert (group.epoch, group.clock_steps, group.late) == (0, 0, 0)
    assert not group.predict(0).lost.any()


def test_one_stamp_from_the_future_blocks_the_group_for_a_moment_only(
    cameras: list[CalibratedCamera], xy: FloatArray
) -> None:
    group = group_of(cameras)
    feed(group, xy, in_order(range(10)))
    group.observe(0, 3_600_000 * MS, xy[0, 9], COV)
    used = feed(group, xy, in_order(range(10, 20)))
    assert used.index(True) == STEPPED_OBSERVATIONS - 1
    assert (group.clock_steps, group.epoch) == (1, 1)
    assert used[STEPPED_OBSERVATIONS - 1 :] == [True] * (len(used) - STEPPED_OBSERVATIONS + 1)
    assert not group.predict(0).lost.any()


def test_a_camera_that_is_always_late_is_no_step_of_the_clock(
    cameras: list[CalibratedCamera], xy: FloatArray
) -> None:
    group = group_of(cameras)
    for f in range(4, 30):
        feed(group, xy, [(0, 10 * f), (1, 10 * f + 2), (2, 10 * (f - 4) + 4)])
    assert (group.clock_steps, group.late) == (0, 26)
    assert not group.predict(0).lost.any()


def test_arrays_of_other_shapes_are_refused(cameras: list[CalibratedCamera]) -> None:
    group = group_of(cameras)
    with pytest.raises(UserError, match=r"'arena': an observation of view 3 .* of 3 views and 2 keypoints"):
        group.observe(3, 0, np.zeros((K, 2)), COV)
    with pytest.raises(UserError, match=r"positions of shape \(1, 2\)"):
        group.observe(0, 0, np.zeros((1, 2)), COV)
