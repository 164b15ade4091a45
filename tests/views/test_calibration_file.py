"""anipose's calibration.toml: read, written, and refused where it is none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from bench.calibration import make_rig
from rt_pose.errors import UserError
from rt_pose.views.calibration_file import is_own_calibration, read_calibration, write_calibration

CAMERA = """
[cam_0]
name = "back"
size = [ 1280, 1024,]
matrix = [ [ 769.5, 0.0, 639.5,], [ 0.0, 769.5, 511.5,], [ 0.0, 0.0, 1.0,],]
distortions = [ -0.25, 0.0, 0.0, 0.0, 0.0,]
rotation = [ -0.01, 0.002, -0.0008,]
translation = [ 0.11, -5.9, -122.2,]

[metadata]
adjusted = true
"""


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    cameras = make_rig(np.random.default_rng(0), 3)
    path = tmp_path / "calibration.toml"
    write_calibration(path, cameras, 0.5)
    assert is_own_calibration(path.read_bytes())
    for before, after in zip(cameras, read_calibration(path), strict=True):
        assert (before.name, before.size) == (after.name, after.size)
        for name in ("matrix", "distortions", "rotation", "translation"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    plain = tomllib.loads(path.read_text())
    assert list(plain) == ["cam_0", "cam_1", "cam_2", "metadata"]


def test_a_file_of_anipose(tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    path.write_text(CAMERA)
    (camera,) = read_calibration(path)
    assert (camera.name, camera.size) == ("back", (1280, 1024))
    assert camera.focal.tolist() == [769.5, 769.5]
    assert camera.translation.tolist() == [0.11, -5.9, -122.2]
    path.write_text(CAMERA.replace("-0.25, 0.0, 0.0, 0.0, 0.0,", "-0.25, 0.0, 0.0, 0.0"))
    assert read_calibration(path)[0].distortions.tolist() == [-0.25, 0, 0, 0, 0]
    assert not is_own_calibration(path.read_bytes())


def test_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    with pytest.raises(UserError, match="no such file"):
        read_calibration(path)
    twice = CAMERA + CAMERA.replace("cam_0", "cam_1").replace("[metadata]\nadjusted = true\n", "")
    for text, expected in (
        ("", "expected a table a camera"),
        ("\x00", "cannot be read as TOML"),
        ("[" * 5000, "cannot be read as TOML"),
        ("a = 1", "expected a table a camera"),
        (CAMERA.replace("rotation", "turn"), "cam_0: has no rotation"),
        (CAMERA.replace('"back"', "3"), "name: expected a text"),
        (CAMERA.replace("[ 1280, 1024,]", "[ 1280.5, 1024]"), "cam_0 \\('back'\\): size: expected width"),
        (CAMERA.replace("[ 1280, 1024,]", "[ -5, 1024]"), "size: expected width"),
        (CAMERA.replace("[ 1280, 1024,]", '["a", "b"]'), "size: expected 2 finite numbers"),
        (CAMERA.replace("[ 0.0, 769.5, 511.5,]", "[ 0.0, 769.5]"), "matrix: expected 3x3 finite numbers"),
        (CAMERA.replace("[ 769.5, 0.0,", "[ -769.5, 0.0,"), "focal lengths above 0"),
        (CAMERA.replace("[ 769.5, 0.0,", "[ 769.5, 0.1,"), "expected \\[\\[fx, 0, cx\\]"),
        (CAMERA.replace("[ -0.25, 0.0, 0.0, 0.0, 0.0,]", "[ -0.25 ]"), "expected \\[k1, k2, p1, p2\\]"),
        (CAMERA.replace("-0.25", "nan"), "distortions: expected 5 finite numbers"),
        (CAMERA.replace("-0.01", "inf"), "rotation: expected 3 finite numbers"),
        (CAMERA.replace("-5.9, ", ""), "translation: expected 3 finite numbers"),
        (CAMERA.replace("[metadata]", "fisheye = true\n[metadata]"), "calibrated as a fisheye"),
        (twice, "two cameras are called 'back'"),
        ("#" * (1 << 20) + "\n", "larger than any calibration"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=expected):
            read_calibration(path)
