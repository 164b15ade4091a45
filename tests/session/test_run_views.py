"""A run with a group of views, from pixels to the session; a calibration of other frames is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.live_run import ScriptedObserver, config, run
from support.random_views import looking_down
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay_session
from rt_pose.config.schema import CameraConfig, RunConfig
from rt_pose.config.views import ViewsConfig, ViewTrackingConfig
from rt_pose.errors import UserError
from rt_pose.package import Package
from rt_pose.session.read import Session
from rt_pose.views.calibration_file import write_calibration


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("views") / "package")


def config_of(package: Package, calibration: Path) -> RunConfig:
    cameras = {name: CameraConfig("simulated", {"rate_hz": 30, "world": "w"}) for name in ("back", "side")}
    views = ViewsConfig(str(calibration), ["back", "side"], up=[0, 0, 1], tracking=ViewTrackingConfig(speed=200.0))
    return config(package.path, cameras=cameras, views={"arena": views}, seconds=1.0)


def test_the_session_holds_tracks_calibration_and_description(package: Package, tmp_path: Path) -> None:
    file = tmp_path / "calibration.toml"
    write_calibration(file, [looking_down("back", 0.0), looking_down("side", 90.0)], 0.5)
    watch = ScriptedObserver()
    result = run(config_of(package, file), tmp_path / "session", watch)
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    assert (session.path / "views" / "arena.toml").read_bytes() == file.read_bytes()
    info = session.info.views["arena"]
    assert (info.cameras, info.unit, info.late_ms) == (["back", "side"], "mm", 20.0)
    assert [camera.name for camera in info.calibrated] == ["back", "side"]
    assert "view_files" not in result.description
    taken = sum(len(record.used) + len(record.late) for record in session.groups)
    assert taken == len(session.observations) > 10
    assert len(session.tracks3d) == sum(bool(record.used) for record in session.groups) > 5
    assert watch.last["views"]["arena"].keys() == result.summary["views"]["arena"].keys()
    replayed = replay_session(session)
    assert replayed.identical, replayed.differences
    assert replayed.tracks_in_space == len(session.tracks3d)


def test_a_calibration_of_other_frames_or_cameras_is_refused_at_the_start(package: Package, tmp_path: Path) -> None:
    file = tmp_path / "calibration.toml"
    large = dataclasses.replace(looking_down("side", 90.0), size=(640, 480))
    write_calibration(file, [looking_down("back", 0.0), large], 0.5)
    with pytest.raises(UserError, match=r"camera 'side' sends frames of 320x256 px, it was calibrated"):
        run(config_of(package, file), tmp_path / "session")
    assert not (tmp_path / "session").exists()
