"""A camera that has been moved is found by name while the run goes on; where all is right nothing is said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.views_motion import moving, seen

from bench.calibration import make_rig
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.live import ViewGroup
from rt_pose.views.live_compiled import OFF_X

MS, SECONDS, RATE, K = 1_000_000, 32, 20, 5
Q, TAU = 4e4, 0.2


@pytest.fixture(scope="module")
def cameras() -> list[CalibratedCamera]:
    return make_rig(np.random.default_rng(11), 4)


@pytest.fixture(scope="module")
def xy(cameras: list[CalibratedCamera]) -> FloatArray:
    """(V, F, K, 2) px, as the true cameras see them."""
    random = np.random.default_rng(12)
    there = moving(random, 2 * RATE, K, 1 / RATE, Q, TAU)
    places = np.concatenate([there, there[::-1]] * (SECONDS // 4))
    return seen(cameras, places, 2.0, random)


def panned(camera: CalibratedCamera, degrees: float) -> CalibratedCamera:
    return camera.moved(np.radians([0.0, degrees, 0.0]), np.zeros(3))


def follow(calibration: list[CalibratedCamera], xy: FloatArray) -> ViewGroup:
    each = np.ones(K)
    group = ViewGroup("arena", calibration, TrackingSpec3D(Q * each, TAU * each, each), 0)
    cov = np.tile(4.0 * np.eye(2), (K, 1, 1))
    for f in range(xy.shape[1]):
        t_ns = f * 1000 // RATE * MS
        for v in range(len(calibration)):
            group.observe(v, t_ns, xy[v, f], cov)
        group.check.advance(t_ns)
    return group


def test_a_right_calibration_is_not_doubted(cameras: list[CalibratedCamera], xy: FloatArray) -> None:
    for count in (2, 3, 4):
        group = follow(cameras[:count], xy[:count])
        assert group.check.finding.cameras == []
        assert (group.check.offset_px < 0.25 * group.check.limits_px).all()


@pytest.mark.parametrize("moved", [0, 2])
def test_the_camera_that_was_panned_is_named(
    cameras: list[CalibratedCamera], xy: FloatArray, moved: int
) -> None:
    less = [panned(c, 2.0) if v == moved else c for v, c in enumerate(cameras)]
    assert cameras[moved].name in follow(less, xy).check.finding.cameras, "tracks go with it, by a part"
    calibration = [panned(c, 4.0) if v == moved else c for v, c in enumerate(cameras)]
    finding = follow(calibration, xy).check.finding
    assert finding.cameras == [cameras[moved].name]
    assert finding.text.startswith(f"camera {cameras[moved].name} sees keypoints ")
    assert "more than 4.9 px" in finding.text


def test_two_cameras_that_agree_on_no_place_are_both_named(
    cameras: list[CalibratedCamera], xy: FloatArray
) -> None:
    other = dataclasses.replace(cameras[1], translation=cameras[1].translation + 300.0)
    group = follow([cameras[0], other], xy[:2])
    finding = group.check.finding
    assert finding.cameras == [cameras[0].name, cameras[1].name]
    assert "agree on no place" in finding.text or "from where the group's tracks lie" in finding.text


def test_it_takes_two_blocks_and_ends_with_one_that_is_right(
    cameras: list[CalibratedCamera], xy: FloatArray
) -> None:
    group = follow(cameras, xy[:, :1])
    check = group.check
    found = []
    for block in range(1, 5):
        check.sums[:, :2] = 100.0
        if block < 3:
            check.sums[1, OFF_X] = 200.0 * check.limits_px[1]
        changed = check.advance(block * 10_000 * MS + MS)
        found.append((changed, check.finding.cameras))
    assert found == [(False, []), (True, ["b"]), (True, []), (False, [])]
