"""A wrong calibration is found and its camera named; a right one is not refused for its keypoints' noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.calibration import FAULTS, make_animal, make_rig, observe, view_poses
from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.check import CalibrationCheck, check_calibration, expected_noise
from rt_pose.views.known_length import check_length
from rt_pose.views.triangulation import triangulate
from rt_pose.views.view_poses import ViewPoses

FRAMES = 12
Scene = tuple[list[CalibratedCamera], FloatArray, FloatArray]


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Four cameras, an animal (F, K, 3), and what they saw of it with 3 px of noise, outliers and gaps."""
    random = np.random.default_rng(11)
    cameras = make_rig(random, 4)
    xyz = make_animal(random, FRAMES)
    return cameras, xyz, observe(cameras, xyz, 3.0, random)


def check(
    cameras: list[CalibratedCamera], poses: ViewPoses, expected_px: float | None = None
) -> CalibrationCheck:
    return check_calibration(cameras, poses, expected_px or expected_noise(cameras))


def test_noise_is_no_fault(scene: Scene) -> None:
    cameras, _, xy = scene
    found = check(cameras, view_poses(cameras, xy))
    assert found.explanation is None
    assert 2.5 < found.noise_px < 5.0
    assert [row.name for row in found.cameras] == ["a", "b", "c", "d"]
    assert all(row.offset_px < row.offset_limit_px for row in found.cameras)


WORDS = {
    "a copy of another": "its pose is a copy of that of 'a'",
    "two exchanged": "the calibrations of b and c are exchanged",
    "one tilted by 2 deg": "as if it had been turned by ",
    "one mirrored": "its image is mirrored left to right",
    "one of half the resolution": "its poses are of frames of 640x512, its calibration of 1280x1024",
}


def test_faults_are_found_and_named(scene: Scene) -> None:
    cameras, _, xy = scene
    for name, text in WORDS.items():
        wrong, seen, names = FAULTS[name](cameras, xy)
        found = check(wrong, view_poses(wrong, seen)).explanation
        assert found is not None, name
        assert sorted(found.cameras) == sorted(names), name
        assert text in found.text, name


def test_two_cameras_do_not_tell_which_is_wrong(scene: Scene) -> None:
    cameras, _, xy = scene
    pair = cameras[:2]
    assert check(pair, view_poses(pair, xy[:2])).explanation is None
    wrong = [pair[0], pair[1].moved(np.array([0.2, 0.1, 0.3]), np.zeros(3))]
    found = check(wrong, view_poses(pair, xy[:2])).explanation
    assert found is not None
    assert found.cameras == ["a", "b"]
    assert "two cameras do not tell which" in found.text


def test_noise_that_is_larger_than_expected_is_said_to_be_noise(scene: Scene) -> None:
    cameras, xyz, _ = scene
    noisy = observe(cameras, xyz, 14.0, np.random.default_rng(3))
    found = check(cameras, view_poses(cameras, noisy)).explanation
    assert found is not None
    assert "state it with --noise-px" in found.text
    assert check(cameras, view_poses(cameras, noisy), 14.0).explanation is None


def test_frames_of_another_size_are_refused_before_poses_are(scene: Scene) -> None:
    cameras, _, xy = scene
    poses = view_poses(cameras, xy)
    found = check(cameras, replace(poses, sizes={"c": (640, 512)})).explanation
    assert found is not None
    assert (found.cameras, found.text) == (
        ["c"],
        "its frames are of 640x512 px, its calibration is of 1280x1024",
    )
    assert check(cameras, replace(poses, sizes={"c": (640, 480)})).explanation is None, "a part"


def test_a_camera_that_sees_nothing_with_others_is_named(scene: Scene) -> None:
    cameras, _, xy = scene
    seen = xy.copy()
    seen[2] = np.nan
    with pytest.raises(UserError, match="camera 'c': 0 keypoints are seen by it and another"):
        check(cameras, view_poses(cameras, seen))


def test_a_known_length_tells_the_unit(scene: Scene) -> None:
    """Which reprojection cannot: every camera's translation is in another unit."""
    cameras, xyz, xy = scene
    length = float(np.median(np.linalg.norm(xyz[:, 0] - xyz[:, 1], axis=1)))
    for factor, right, text in (
        (1.0, True, "given"),
        (0.1, False, "it is in cm, not in mm"),
        (0.001, False, "it is in m, not in mm"),
        (1.6, False, "times what they should be"),
    ):
        other = [replace(camera, translation=camera.translation * factor) for camera in cameras]
        if factor == 0.1:
            assert check(other, view_poses(other, xy)).explanation is None
        found = triangulate(other, xy.reshape(4, -1, 2)).xyz.reshape(FRAMES, -1, 3)
        length_check = check_length(found, [(0, 1)], length, 0.25, "k0 to k1")
        assert length_check.right is right
        assert text in str(length_check)
    with pytest.raises(UserError, match="seen whole by two cameras 0 times"):
        check_length(np.full((20, 2, 3), np.nan), [(0, 1)], 10.0, 0.25, "k0 to k1")
