"""Several individuals: who is who, who is there, and what is said where it cannot be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.individuals import IndividualOptions, IndividualTracker, make_tracker, precompile
from rt_pose.types import FloatArray, FrameStamps, Individuals, Pose, Track, confidence_of

BODY = np.array([[20.0, 0.0], [8.0, 7.0], [8.0, -7.0], [-18.0, 0.0]])
"""Nose, ears, tail of an animal that faces right, about its middle."""
K = len(BODY)
SPEC = TrackingSpec([6e4] * K, [0.3] * K, [0.0] * K, [1.0] * K)
FRAME_PX = (320, 256)
DT_MS = 20
MODEL = IndividualOptions(confusion_hz=0.0, hidden_confusion_hz=0.0)
"""The model as it is, without what was measured of its errors."""


def frame(index: int, bodies: Sequence[FloatArray], *, t_ms: float | None = None, epoch: int = 0) -> Pose:
    t_ns = round((index * DT_MS if t_ms is None else t_ms) * 1e6)
    stamps = FrameStamps(index, t_ns, t_ns, t_ns, epoch=epoch)
    xy = np.array(bodies, dtype=float).reshape(-1, K, 2)
    confidence = np.where(np.isfinite(xy[..., 0]), 0.9, 0.0)
    return Pose("top", stamps, xy, np.tile(np.eye(2), (*xy.shape[:2], 1, 1)), confidence)


def body(x: float, y: float, heading: float = 0.0) -> FloatArray:
    c, s = np.cos(heading), np.sin(heading)
    return BODY @ np.array([[c, s], [-s, c]]) + (x, y)


def who(track: Track) -> Individuals:
    assert track.individuals is not None
    return track.individuals


def run(tracker: IndividualTracker, frames: Sequence[Sequence[FloatArray]], first: int = 0) -> list[Track]:
    return [tracker.step(frame(first + i, bodies)) for i, bodies in enumerate(frames)]


def started(*bodies: FloatArray, options: IndividualOptions = MODEL) -> IndividualTracker:
    """Two slots that have seen these bodies at rest, in this order, in frames 0 to 19."""
    tracker = IndividualTracker(SPEC, 2, K, FRAME_PX, options)
    after = who(run(tracker, [bodies] * 20)[-1])
    np.testing.assert_array_equal(after.alive, [True] * len(bodies) + [False] * (2 - len(bodies)))
    np.testing.assert_array_equal(after.detection[: len(bodies)], np.arange(len(bodies)))
    return tracker


def test_one_individual_is_filtered_as_ever() -> None:
    one = make_tracker(SPEC, 1, K, FRAME_PX)
    assert isinstance(one, CausalFilter)
    pose = frame(0, [body(100, 90)])
    track = one.step(pose)
    assert track.individuals is None
    assert confidence_of(pose, track) is pose.confidence
    assert isinstance(make_tracker(SPEC, 2, K, FRAME_PX), IndividualTracker)


def test_animals_that_run_across_each_other_keep_their_slots() -> None:
    """In any order of detections, with noise, a miss, detections of nobody, and rows that hold nothing."""
    random = np.random.default_rng(1)
    tracker = IndividualTracker(SPEC, 2, K, FRAME_PX, MODEL)
    whose: list[int] = []
    for i in range(80):
        bodies = [body(60 + 2.5 * i, 120 + 0.1 * i), body(260 - 2.5 * i, 130, np.pi)]
        found = [one + random.normal(0, 1, (K, 2)) for one in bodies]
        order = random.permutation(2)
        seen = [found[a] for a in order if not (a == 1 and 38 <= i < 44)]
        if i % 9 == 5:
            seen.append(body(*random.uniform(20, 230, 2)))
        pose = frame(i, [*seen, *[np.full((K, 2), np.nan)] * (8 - len(seen))])
        track = tracker.step(pose)
        after = who(track)
        if i >= 10:
            assert after.alive.all()
            np.testing.assert_allclose(track.xy[:, 0], np.array(bodies)[whose, 0], atol=25)
            there = after.detection >= 0
            np.testing.assert_array_equal(
                confidence_of(pose, track)[there], pose.confidence[after.detection[there]]
            )
        elif i == 9:
            whose = [int(np.argmin([abs(one[0, 0] - b[0, 0]) for b in bodies])) for one in track.xy]
    assert sorted(whose) == [0, 1]
    assert 0.99 < after.identity_p.min() <= after.identity_p.max() <= 1.0
    assert tracker.counts()["births"] == 2


def test_where_nothing_tells_them_apart_it_says_so() -> None:
    """Both vanish side by side, and come back above and below the place between."""
    tracker = started(body(140, 120), body(180, 120))
    run(tracker, [[]] * 30, 20)
    after = who(run(tracker, [[body(160, 100), body(160, 140)]] * 40, 50)[-1])
    assert after.alive.all()
    np.testing.assert_allclose(after.identity_p, 0.5, atol=0.1)
    near = started(body(60, 120), body(260, 120))
    run(near, [[]] * 10, 20)
    certain = who(run(near, [[body(64, 118), body(255, 124)]] * 5, 30)[-1])
    assert certain.identity_p.min() > 0.999


def test_later_frames_decide_what_one_could_not() -> None:
    """One comes back between the two places; the other shows where it must have come from."""
    tracker = started(body(60, 120), body(200, 120))
    run(tracker, [[]] * 30, 20)
    unsure = who(run(tracker, [[body(125, 120)]] * 3, 50)[-1])
    assert unsure.identity_p.max() < 0.95
    last = run(tracker, [[body(125, 120), body(57, 121)]] * 10, 53)[-1]
    np.testing.assert_array_equal(who(last).detection, [1, 0])
    assert who(last).identity_p.min() > 0.95
    np.testing.assert_allclose(last.xy[0], body(57, 121), atol=5)
    np.testing.assert_allclose(last.xy[1], body(125, 120), atol=5)


def test_bodies_that_overlap_may_be_exchanged_unforeseen() -> None:
    """By a rate for as long as they do; apart, what was lost does not come back."""
    options = IndividualOptions(confusion_hz=0.5, hidden_confusion_hz=0.5)
    tracker = started(body(100, 120), body(220, 120), options=options)
    assert tracker.newest.identity_p.min() > 0.999
    side_by_side = [body(150, 120), body(175, 120)]
    for i in range(20, 45):
        share = min(1.0, (i - 20) / 10)
        met = tracker.step(frame(i, [body(100 + 50 * share, 120), body(220 - 45 * share, 120)]))
    seconds = 15 * DT_MS / 1000
    assert 0.5 < who(met).identity_p.min() <= 0.5 + 0.5 * np.exp(-2 * 0.5 * seconds)
    parted = run(
        tracker, [[side_by_side[0] - (3 * i, 0), side_by_side[1] + (3 * i, 0)] for i in range(40)], 45
    )
    assert who(parted[-1]).identity_p.max() <= who(met).identity_p.max()
    rest = run(tracker, [[body(30, 120), body(290, 120)]] * 10, 85)
    assert who(rest[-1]).identity_p == pytest.approx(who(rest[0]).identity_p)


def test_an_individual_is_born_when_it_stays() -> None:
    tracker = IndividualTracker(SPEC, 2, K, FRAME_PX)
    found = run(tracker, [[body(100, 100)]] * 2 + [[]] + [[body(200, 60)]] * 3)
    assert [bool(who(one).alive[0]) for one in found] == [False] * 5 + [True]
    assert np.isnan(found[4].xy).all()
    assert np.isnan(found[-1].xy[1]).all()
    assert found[-1].lost[1].all()
    assert not found[-1].lost[0].any()
    assert found[-1].lost_keypoints == 0
    assert tracker.counts()["births"] == 1
    ahead = tracker.predict("top", 5, 10**9)
    assert np.isnan(ahead.xy[1]).all()
    assert ahead.individuals is found[-1].individuals


def test_a_slot_is_empty_when_its_animal_may_be_anywhere() -> None:
    tracker = started(body(60, 120), body(200, 120))
    stays = body(200, 120)
    ends = [tracker.step(frame(i, [stays], t_ms=400 + 250 * (i - 20))) for i in range(20, 50)]
    alive = [bool(who(one).alive[0]) for one in ends]
    assert alive[:4] == [True] * 4
    assert not alive[-1]
    assert alive == sorted(alive, reverse=True)
    assert all(who(one).alive[1] for one in ends)
    assert np.isnan(ends[-1].xy[0]).all()
    assert np.isnan(who(ends[-1]).identity_p[0])
    again = [tracker.step(frame(i, [body(30, 30), stays], t_ms=8000 + 20 * i)) for i in range(50, 56)]
    assert who(again[0]).moved.tolist() == [True, False]
    assert not who(again[-1]).moved.any()
    np.testing.assert_array_equal(who(again[-1]).detection, [0, 1])
    np.testing.assert_allclose(again[-1].xy[0], body(30, 30), atol=3)
    assert who(again[-1]).identity_p[0] == pytest.approx(1.0)
    assert (tracker.counts()["births"], tracker.counts()["deaths"]) == (3, 1)


def test_a_replay_is_exact_and_a_spare_one_changes_nothing() -> None:
    random = np.random.default_rng(3)
    frames = []
    for i in range(60):
        bodies = [
            body(*(150 + random.normal(0, 25, 2)), random.uniform(0, 7)) for _ in range(random.integers(0, 9))
        ]
        for one in bodies:
            one[random.random(K) < 0.2] = np.nan
        frames.append(frame(i, bodies))
    trackers = [IndividualTracker(SPEC, 3, K, FRAME_PX) for _ in range(2)]
    for i, one in enumerate(frames):
        if i == 30:
            precompile(trackers[0], frame(0, [body(20, 20)] * 6))
        first, second = (tracker.step(one) for tracker in trackers)
        np.testing.assert_array_equal(first.cov, second.cov)
        for name in ("alive", "identity_p", "detection", "confidence", "moved"):
            np.testing.assert_array_equal(getattr(who(first), name), getattr(who(second), name))
        stated = who(first).identity_p[who(first).alive]
        assert ((stated >= 0.0) & (stated <= 1.0)).all()
        assert np.isnan(who(first).identity_p[~who(first).alive]).all()
    assert trackers[0].counts() == trackers[1].counts()


def test_frames_out_of_order_change_nothing_and_a_new_epoch_begins_anew() -> None:
    tracker = started(body(60, 120), body(200, 120))
    stale = who(tracker.step(frame(5, [body(200, 120), body(60, 120)])))
    assert tracker.ignored == tracker.counts()["ignored_poses"] == 1
    np.testing.assert_array_equal(stale.detection, [-1, -1])
    assert stale.alive.all()
    after = who(tracker.step(frame(20, [body(200, 120), body(60, 120)])))
    np.testing.assert_array_equal(after.detection, [1, 0])
    assert not who(tracker.step(frame(0, [body(60, 120)], epoch=1))).alive.any()
    steps = [tracker.step(frame(0, [body(60, 120)], t_ms=-500 + 20 * i, epoch=1)) for i in range(20)]
    assert tracker.clock_steps == 1
    assert who(steps[-1]).alive[0]


def test_a_pose_partly_found_on_another_animal_is_still_its_own() -> None:
    tracker = started(body(60, 120), body(200, 120))
    mixed = body(60, 120)
    mixed[3] = body(200, 120)[3]
    after = run(tracker, [[body(200, 120), mixed]] * 3, 20)[-1]
    np.testing.assert_array_equal(who(after).detection, [1, 0])
    np.testing.assert_allclose(after.xy[0, :3], body(60, 120)[:3], atol=3)


def test_tracks_move_between_slots() -> None:
    tracker = CausalFilter(SPEC, 2, K)
    for i in range(3):
        before = tracker.step(frame(i, [body(60, 120), body(200, 120)]))
    tracker.rearrange(np.array([1, 0]), np.array([True, False]))
    after = tracker.predict("top", 2, before.t_valid_ns)
    np.testing.assert_array_equal(after.xy[0], before.xy[1])
    np.testing.assert_array_equal(after.cov[0], before.cov[1])
    assert np.isnan(after.xy[1]).all()
    step = tracker.step(frame(3, [body(200, 120), body(20, 20)]))
    np.testing.assert_allclose(step.xy[1], body(20, 20))


def test_what_cannot_be_is_refused() -> None:
    for name, value in (("seen", 1.0), ("false_detections", 0.0), ("birth_frames", 0), ("hypotheses", 0)):
        with pytest.raises(UserError, match=f"individuals: {name} must be between"):
            IndividualTracker(SPEC, 2, K, FRAME_PX, IndividualOptions(**{name: value}))
    other = frame(0, [body(60, 120)])
    with pytest.raises(UserError, match="the tracker is of 4 keypoints an individual"):
        IndividualTracker(SPEC, 2, K, FRAME_PX).step(replace(other, confidence=np.ones((1, K + 1))))


def test_stamps_are_those_of_the_frame() -> None:
    tracker = started(body(60, 120), body(200, 120))
    late = frame(20, [body(60, 120)])
    late = replace(late, stamps=msgspec.structs.replace(late.stamps, index=77))
    assert tracker.step(late).frame_index == 77
