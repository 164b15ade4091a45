"""Poses of several cameras, from files and from a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.two_views import FLOOR_PX2, PERIOD_NS, write_covariances, write_files, write_session

from bench.calibration import make_animal, make_rig
from rt_pose.audit.recorded_views import read_view_poses
from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera

Scene = tuple[list[CalibratedCamera], FloatArray]


@pytest.fixture(scope="module")
def scene() -> Scene:
    random = np.random.default_rng(4)
    cameras = make_rig(random, 3)
    xyz = make_animal(random, 8)[:, :4]
    xy = np.round(np.stack([camera.project(xyz) for camera in cameras]), 4)
    xy[1, 2, 3] = np.nan
    return cameras, xy


def test_files_are_put_together_by_their_frames(scene: Scene, tmp_path: Path) -> None:
    cameras, xy = scene
    given = write_files(tmp_path, cameras, xy)
    poses = read_view_poses(given, 0.5)
    assert (poses.cameras, poses.keypoints) == (["a", "b", "c"], ["k0", "k1", "k2", "k3"])
    assert poses.frames == list(range(8))
    np.testing.assert_allclose(poses.xy, xy)
    assert poses.cov is None
    assert poses.points().shape == (3, 32, 2)
    with pytest.raises(UserError, match="no keypoint was seen by two cameras"):
        read_view_poses(given, 0.95)
    cov = np.random.default_rng(0).uniform(1, 2, (8, 4, 2, 2))
    cov = cov @ cov.transpose(0, 1, 3, 2)
    for camera in cameras:
        write_covariances(tmp_path, camera.name, cov)
    found = read_view_poses(given, 0.5).cov
    assert found is not None
    np.testing.assert_allclose(found[1], cov, atol=1e-4)
    table = tmp_path / "a_covariance.csv"
    for text, expected in (
        (table.read_text().replace("x_var", "x"), "keypoint 'k0' has no column x_var"),
        ("a,b\n", "expected the header rows"),
        (table.read_text() + "9,one\n", "frame 9 cannot be read"),
    ):
        table.write_text(text)
        with pytest.raises(UserError, match=expected):
            read_view_poses(given, 0.5)
        write_covariances(tmp_path, "a", cov)


def test_frames_of_a_session_are_put_together_by_their_exposures(scene: Scene, tmp_path: Path) -> None:
    cameras, xy = scene
    write_session(tmp_path / "session", cameras, xy)
    poses = read_view_poses([str(tmp_path / "session")], 0.5)
    assert poses.cameras == ["a", "b", "c"]
    assert poses.frames == list(range(100, 108))
    expected = xy.copy()
    expected[1, 1] = expected[2, 2] = np.nan  # lost
    np.testing.assert_allclose(poses.xy, expected)
    assert poses.cov is not None
    np.testing.assert_allclose(poses.cov[0, 0, 0], (1 + FLOOR_PX2) * np.eye(2))
    assert poses.sizes == dict.fromkeys("abc", (1280, 1024))
    assert poses.t_ns is not None
    assert (np.diff(poses.t_ns[0]) == PERIOD_NS).all()
    assert (poses.t_ns[1] - poses.t_ns[0]).tolist()[0] == PERIOD_NS // 10
    assert np.argwhere(poses.t_ns < 0).tolist() == [[1, 1], [2, 2]], "lost"
    write_session(tmp_path / "one", cameras[:1], xy[:1])
    with pytest.raises(UserError, match="poses of 1 cameras are in it"):
        read_view_poses([str(tmp_path / "one")], 0.5)


def test_what_does_not_belong_together(scene: Scene, tmp_path: Path) -> None:
    cameras, xy = scene
    given = write_files(tmp_path, cameras, xy)
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / "b.csv").read_text().replace("k", "other"))
    for words, expected in (
        (["a.csv", given[1]], "expected CAMERA=FILE for each camera"),
        ([given[0]], "of two cameras or more"),
        ([given[0], given[0]], "camera 'a' is given twice"),
        ([given[0], f"b={other}"], "no keypoint in common"),
        ([given[0], "b=nowhere.csv"], "no such file"),
    ):
        with pytest.raises(UserError, match=expected):
            read_view_poses(words, 0.5)
