"""A group's calibration: its axes and mm, what is refused of it, and how fast keypoints are taken to move."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.calibration import make_rig
from rt_pose.config.views import ViewsConfig, ViewTrackingConfig
from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.types import CameraInfo, FloatArray
from rt_pose.views.calibration_file import write_calibration
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.groups import CalibratedGroup, calibrated_groups, tracking_spec

NOISE = TrackingSpec([8e5, 2e5], [0.1, 0.2], [1.0, 1.0], [1.0, 1.0])


@pytest.fixture(scope="module")
def cameras() -> list[CalibratedCamera]:
    return make_rig(np.random.default_rng(5), 3)


@pytest.fixture
def file(cameras: list[CalibratedCamera], tmp_path: Path) -> str:
    write_calibration(tmp_path / "calibration.toml", cameras, 0.5)
    return str(tmp_path / "calibration.toml")


def infos(cameras: list[CalibratedCamera], **changes: Any) -> dict[str, CameraInfo]:
    made = {c.name: CameraInfo(c.name, "simulated", "", *c.size, 1, 100.0) for c in cameras}
    return {name: dataclasses.replace(info, **changes) for name, info in made.items()}


def group_of(
    config: ViewsConfig, cameras: list[CalibratedCamera], **changes: Any
) -> CalibratedGroup:
    found = infos(cameras, **changes)
    groups = calibrated_groups({"arena": config}, found, ["nose", "tail"], dict.fromkeys(found, NOISE))
    return groups["arena"]


def test_places_in_the_groups_axes_are_seen_where_those_of_the_calibration_are(
    cameras: list[CalibratedCamera], file: str
) -> None:
    """The calibration is in cm; up is its -y, ahead its z, and 0, 0, 0 is at (1, 2, 3) cm."""
    config = ViewsConfig(
        file, ["a", "b", "c"], origin=[1.0, 2.0, 3.0], up=[0.0, -2.0, 0.0], ahead=[0.0, 1.0, 5.0], unit="cm"
    )
    group = group_of(config, cameras)
    places = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 10.0]])  # mm
    cm = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 4.0], [0.0, 2.0, 3.0], [1.0, 1.0, 3.0]])
    for camera, calibrated in zip(cameras, group.cameras, strict=True):
        np.testing.assert_allclose(calibrated.project(places), camera.project(cm), atol=1e-6)
    info = group.info
    assert (info.cameras, info.unit, info.calibration_unit) == (["a", "b", "c"], "mm", "cm")
    assert info.calibrated[0].translation == group.cameras[0].translation.tolist()
    assert len(info.calibration_sha256) == 64


def test_cameras_have_other_names_in_the_calibration_and_frames_may_be_a_part(
    cameras: list[CalibratedCamera], file: str
) -> None:
    renamed = [dataclasses.replace(camera, name=f"cam{i}") for i, camera in enumerate(cameras)]
    config = ViewsConfig(file, {"cam1": "b", "cam0": "a"})
    group = group_of(config, renamed)
    assert [camera.name for camera in group.cameras] == ["cam1", "cam0"]
    np.testing.assert_allclose(group.cameras[0].translation, cameras[1].translation)
    part = group_of(config, renamed, width=640, height=480, offset_xy=(16, 8))
    assert (part.cameras[0].matrix == cameras[1].matrix).all(), "calibrated on the whole sensor"
    same = group_of(config, renamed, offset_xy=(16, 8))
    shift: FloatArray = same.cameras[0].matrix - cameras[1].matrix
    assert shift[:2, 2].tolist() == [16.0, 8.0], "calibrated on the part that it sends"


def test_what_is_not_of_the_runs_cameras_is_refused_by_name(
    cameras: list[CalibratedCamera], file: str, tmp_path: Path
) -> None:
    def refused(config: ViewsConfig, **changes: Any) -> str:
        with pytest.raises(UserError) as caught:
            group_of(config, cameras, **changes)
        return str(caught.value)

    both = ViewsConfig(file, ["a", "b"])
    assert "views.arena: camera 'a' sends frames of 640x512 px, it was calibrated with frames of" in refused(
        both, width=640, height=512
    )
    assert "calibration nowhere.toml: no such file" in refused(ViewsConfig("nowhere.toml", ["a", "b"]))
    assert "has no camera 'd'" in refused(ViewsConfig(file, {"a": "a", "b": "d"}))
    copied = [cameras[0], dataclasses.replace(cameras[0], name="b"), cameras[2]]
    write_calibration(tmp_path / "copied.toml", copied, 0.5)
    copies = ViewsConfig(str(tmp_path / "copied.toml"), ["a", "b"])
    assert "cameras 'a' and 'b' stand at the same place" in refused(copies)
    upright = ViewsConfig(file, ["a", "b"], up=[0.0, 0.0, 1.0], ahead=[0.0, 0.0, 2.0])
    assert "views.arena.ahead: [0.0, 0.0, 2.0] points along `up`" in refused(upright)


def test_speed_is_the_models_at_the_place_where_the_cameras_look(cameras: list[CalibratedCamera]) -> None:
    noise = dict.fromkeys("abc", NOISE)
    spec = tracking_spec(ViewTrackingConfig(), cameras, noise, "views.arena")
    # The rig looks at the origin; a pixel there is distance / focal length.
    scale2 = np.mean([(c.translation[2] / c.focal.mean()) ** 2 for c in cameras])
    np.testing.assert_allclose(spec.q, np.array(NOISE.q_px2_s3) * scale2, rtol=0.2)
    assert spec.tau_s.tolist() == NOISE.tau_s
    chosen = tracking_spec(ViewTrackingConfig(speed=100.0, tau="500 ms", lost="1 s"), cameras, noise, "")
    np.testing.assert_allclose(chosen.q * chosen.tau_s / 2, 100.0**2)
    assert (chosen.tau_s.tolist(), chosen.lost_ms) == ([0.5, 0.5], 1000.0)


def test_cameras_that_look_past_one_another_need_a_speed(cameras: list[CalibratedCamera]) -> None:
    beside = [cameras[0], cameras[0].moved(np.zeros(3), np.array([60.0, 0.0, 0.0]))]
    beside[1] = dataclasses.replace(beside[1], name="b")
    noise = dict.fromkeys("ab", NOISE)
    with pytest.raises(UserError, match=r"the axes of its cameras do not meet .* `tracking: \{speed: 200\}`"):
        tracking_spec(ViewTrackingConfig(), beside, noise, "views.arena")
    assert tracking_spec(ViewTrackingConfig(speed=50.0), beside, noise, "").q.shape == (2,)
