"""Who breaks the pose, who is vouched for, and what the filter makes of it."""

from __future__ import annotations

import numpy as np

from rt_pose.package import Subspace, TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.pose_prior import PosePrior, with_origin
from rt_pose.types import FloatArray, FrameStamps, Pose

K = 4
GATE = 9.21
SHAPE = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 20.0], [0.0, 20.0]])
MS = 1_000_000


def rigid() -> Subspace:
    """Four points of one rigid shape that only moves along x and y."""
    along_x, along_y = np.tile([0.5, 0.0], K), np.tile([0.0, 0.5], K)
    return Subspace(
        "pose", list(range(K)), SHAPE.ravel().tolist(), [along_x.tolist(), along_y.tolist()], [0.5] * K
    )


def check(pose: FloatArray, factor: FloatArray | None = None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(broken, vouched, positions as the space would have them (K, 2))."""
    z, r = pose.T.copy(), np.tile([[1.0], [0.0], [1.0]], K)
    prior = PosePrior([rigid()], 1, K, GATE)
    broken, vouched = prior.check_pose(z, r, np.ones(K) if factor is None else factor, np.ones(K, dtype=bool))
    return broken, vouched, z.T


def test_a_pose_of_the_space_is_well_wherever_it_is() -> None:
    for shift in ([0.0, 0.0], [400.0, -120.0]):
        broken, _, place = check(SHAPE + shift)
        assert not broken.any()
        np.testing.assert_array_equal(place, SHAPE + shift)


def test_one_wild_keypoint_breaks_the_pose_and_drags_no_other() -> None:
    pose = SHAPE + np.array([200.0, 100.0])
    pose[2] += [90.0, -60.0]
    broken, vouched, place = check(pose)
    assert broken.tolist() == [False, False, True, False]
    assert vouched.tolist() == [True, True, False, True]
    np.testing.assert_allclose(place[2], SHAPE[2] + [200.0, 100.0], atol=3.0)


def test_keypoints_that_moved_together_are_vouched_for() -> None:
    broken, vouched, _ = check(SHAPE + np.array([80.0, 0.0]), factor=np.full(K, 50.0))
    assert not broken.any()
    assert vouched.all()


def test_a_keypoint_that_nobody_checks_is_never_vouched_for() -> None:
    free = Subspace("all", [0, 1], [0.0] * 4, np.eye(4).tolist(), [0.5] * 2)
    prior = PosePrior([free], 1, K, GATE)
    z, r = (SHAPE + 50.0).T.copy(), np.tile([[1.0], [0.0], [1.0]], K)
    broken, vouched = prior.check_pose(z, r, np.full(K, 50.0), np.ones(K, dtype=bool))
    assert not broken.any()
    assert not vouched.any()


def tracker(subspaces: list[Subspace], individuals: int = 1) -> CausalFilter:
    spec = TrackingSpec([1e4] * K, [0.05] * K, [1.0] * K, [0.5] * K, subspaces=subspaces)
    return CausalFilter(spec, individuals, K)


def pose_at(xy: FloatArray, i: int) -> Pose:
    t = 10 * MS * i
    n = len(xy)
    return Pose("cam", FrameStamps(i, t, t, t), xy, np.tile(np.eye(2), (n, K, 1, 1)), np.ones((n, K)))


def settled(filter_: CausalFilter, individuals: int = 1) -> int:
    for i in range(30):
        filter_.step(pose_at(np.tile(SHAPE + 100.0, (individuals, 1, 1)), i))
    return 30


def test_a_leap_of_the_whole_pose_is_followed_sooner_with_the_prior() -> None:
    behind = {}
    for name, spaces in (("without", []), ("with", [rigid()])):
        filter_ = tracker(spaces)
        n = settled(filter_)
        for i in range(3):
            track = filter_.step(pose_at((SHAPE + 130.0)[None], n + i))
        behind[name] = np.abs(track.xy[0] - (SHAPE + 130.0)).max()
    assert behind["with"] < 3.0 < behind["without"]


def test_a_wild_keypoint_moves_the_track_less_with_the_prior_and_restarts_only_by_time() -> None:
    filter_ = tracker([rigid()])
    n = settled(filter_)
    wild = SHAPE + 100.0
    wild[1] += [60.0, 60.0]
    for i in range(12):
        track = filter_.step(pose_at(wild[None], n + i))
        assert np.abs(track.xy[0] - (SHAPE + 100.0)).max() < 1.0
    assert (filter_.breaks, filter_.restarts) == (12, 0)
    assert track.seen_ms_ago[0].tolist() == [0.0, 120.0, 0.0, 0.0]
    for i in range(12, 26):
        track = filter_.step(pose_at(wild[None], n + i))
    assert filter_.restarts == 1, "unseen for restart_ms"
    np.testing.assert_array_equal(track.xy[0, 1], wild[1])


def test_left_and_right_exchanged_are_noticed_and_not_used() -> None:
    filter_ = tracker([])
    n = settled(filter_)
    exchanged = (SHAPE + 100.0)[[1, 0, 2, 3]]
    for i in range(7):
        track = filter_.step(pose_at(exchanged[None], n + i))
        np.testing.assert_allclose(track.xy[0], SHAPE + 100.0, atol=1e-6)
    assert (filter_.swaps, filter_.restarts) == (14, 0)
    track = filter_.step(pose_at(exchanged[None], n + 7))
    assert filter_.restarts == 2, "the eighth is believed"
    np.testing.assert_array_equal(track.xy[0], exchanged)


def test_individuals_do_not_swap_with_one_another() -> None:
    filter_ = tracker([], individuals=2)
    both = np.stack([SHAPE + 100.0, SHAPE + 300.0])
    for i in range(30):
        filter_.step(pose_at(both, i))
    filter_.step(pose_at(both[::-1], 30))
    assert filter_.swaps == 0


def test_a_hidden_keypoint_does_not_stop_the_prior() -> None:
    filter_ = tracker([rigid()])
    n = settled(filter_)
    wild = SHAPE + 100.0
    wild[1] += [60.0, 60.0]
    wild[3] = np.nan
    track = filter_.step(pose_at(wild[None], n))
    assert filter_.breaks == 1
    assert np.abs(track.xy[0] - (SHAPE + 100.0)).max() < 1.0


def test_the_covariance_stays_one_over_thousands_of_wild_poses() -> None:
    random = np.random.default_rng(7)
    filter_ = tracker([rigid()])
    for i in range(3000):
        xy = SHAPE + 100.0 + 60.0 * np.sin(i / 7) + random.normal(0, 0.5, SHAPE.shape)
        if i % 3 == 0:
            xy[i % K] += random.normal(0, 200.0, 2)
        if i % 11 == 0:
            xy[(i + 1) % K] = np.nan
        track = filter_.step(pose_at(xy[None], i))
    np.testing.assert_array_equal(track.cov, track.cov.swapaxes(-1, -2))
    assert (np.linalg.eigvalsh(track.cov) > 0.0).all()
    assert np.nanmax(np.abs(track.xy[0] - xy)) < 400.0
    assert np.abs(track.xy[0] - SHAPE - 100.0).max() < 70.0


def test_a_space_of_frames_serves_a_camera_that_sends_a_part_of_its_sensor() -> None:
    """Poses are in px of the sensor; to a space that knows no shifts every one would be implausible."""
    bend = np.array([0.0, 0.5, 0.0, -0.5, 0.0, 0.5, 0.0, -0.5])
    space = Subspace("pose", list(range(K)), SHAPE.ravel().tolist(), [bend.tolist()], [0.5] * K)
    spec = TrackingSpec([1e4] * K, [0.05] * K, [1.0] * K, [0.5] * K, subspaces=[space])
    origin = (640, 320)
    here, there = CausalFilter(spec, 1, K), CausalFilter(with_origin(spec, origin), 1, K)
    rng = np.random.default_rng(3)
    for i in range(60):
        xy = SHAPE + 4.0 * np.sin(i / 5) * bend.reshape(K, 2) + rng.normal(0.0, 0.3, (K, 2))
        if i == 30:
            xy[1] += [80.0, 0.0]
        one, other = here.step(pose_at(xy[None], i)), there.step(pose_at((xy + origin)[None], i))
        np.testing.assert_allclose(other.xy - origin, one.xy, atol=1e-8)
        np.testing.assert_allclose(other.cov, one.cov, rtol=1e-6, atol=1e-9)
    assert there.counts() == here.counts()
    assert here.breaks > 0
    assert with_origin(spec, (0, 0)) is spec
