"""Before the first frame everything is checked, and a run is refused with all that is wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support import dark_camera
from support.live_run import ScriptedObserver, config, run
from support.tiny_package import make_tiny_package

import rigs
from rt_pose.clock import HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, InputConfig, OutputConfig, PublishConfig
from rt_pose.config.sync import FramePulsesConfig, SyncConfig
from rt_pose.errors import UserError
from rt_pose.package import GOLDEN
from rt_pose.session.read import Session
from rt_pose.session.run import run_session


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=3)
    return path


def test_all_that_is_wrong_is_said_at_once(package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    gone = {name: CameraConfig("video", {"path": str(tmp_path / f"{name}.mp4")}) for name in ("top", "side")}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        wrong = config(
            package,
            cameras=gone,
            outputs={
                "stimulus": OutputConfig("simulated", {"world": "w"}),
                "box": OutputConfig("serial_ttl", {"port": str(tmp_path / "no-port")}),
            },
            inputs={"lever": InputConfig("zmq", {"address": address})},
            publish=PublishConfig("tcp://127.0.0.1:*", address),
        )
        with pytest.raises(UserError) as raised:
            run(wrong, tmp_path / "file" / "session")
    said = str(raised.value).splitlines()
    for part in (
        *("cannot write into", f"publish.control: {address} is in use", "outputs.box: the port", "lever"),
        *("top.mp4", "side.mp4"),
    ):
        assert any(part in line for line in said), (part, said)
    assert len(said) == 6


def test_rules_and_sync_signals_are_checked_against_what_was_opened(package: Path, tmp_path: Path) -> None:
    unknown = [RuleConfig("r", "speed(k9) > 1", ActionConfig("stimulus", "5 ms"))]
    gone = {"top": CameraConfig("video", {"path": str(tmp_path / "gone.mp4")})}
    with pytest.raises(UserError) as raised:
        run(config(package, rules=unknown, cameras=gone), tmp_path / "session")
    assert [part in str(raised.value) for part in ("unknown keypoint 'k9'", "gone.mp4")] == [True, True]
    on_the_rules_line = SyncConfig(frames=FramePulsesConfig("stimulus", 0))
    uncertified = {"certificate": "require", "certificate_file": str(tmp_path / "none.json")}
    with pytest.raises(UserError, match=r"stimulus line 0 serves rule '(quick|slow)' already") as raised:
        run(config(package, sync=on_the_rules_line, **uncertified), tmp_path / "session")
    assert "armed_at_start: certificate: require: " in str(raised.value), "and not only when that is mended"
    assert not (tmp_path / "session").exists()


def test_what_is_wrong_with_the_model_is_said_beside_the_rest(tmp_path: Path) -> None:
    package = tmp_path / "package"
    make_tiny_package(package, keypoints=3)
    (package / GOLDEN).write_bytes(b"damaged")
    gone = {"top": CameraConfig("video", {"path": str(tmp_path / "gone.mp4")})}
    with pytest.raises(UserError) as raised:
        run(config(package, cameras=gone), tmp_path / "session")
    assert [part in str(raised.value) for part in ("golden.npz", "gone.mp4")] == [True, True]


def test_a_camera_that_gives_no_frame_refuses_the_run_and_leaves_nothing(
    package: Path, tmp_path: Path
) -> None:
    wanted = config(package, first_frame_within="500 ms")
    with pytest.raises(
        UserError, match=r"refused: camera 'top' failed: no frame came within 0\.5 s of its start"
    ):
        run_session(wanted, tmp_path / "session", dark_camera.all_dark, HostClock(), ScriptedObserver())
    assert not (tmp_path / "session").exists()


def test_where_only_one_of_two_cameras_delivers_the_session_says_so(package: Path, tmp_path: Path) -> None:
    world = {"rate_hz": 60, "world": "w"}
    cameras = {"top": CameraConfig("simulated", world), "side": CameraConfig("simulated", world)}
    wanted = config(package, cameras=cameras, first_frame_within="3 s", seconds=60.0)
    result = run_session(wanted, tmp_path / "session", dark_camera.side_dark, HostClock(), ScriptedObserver())
    assert not result.ok
    assert result.status.startswith("camera 'side' failed: no frame came within 3 s")
    assert {frame.camera for frame in Session.read(tmp_path / "session").frames} == {"top"}


def test_the_time_for_the_first_frame_is_a_length_of_time(package: Path) -> None:
    with pytest.raises(UserError, match="first_frame_within: expected 1 ms to 600 s"):
        run_session(config(package, first_frame_within="0 s"), None, rigs.register, HostClock())


def test_a_name_that_no_path_can_hold_is_a_mistake(package: Path) -> None:
    cameras = {"top": CameraConfig("video", {"path": "x" * 5000})}
    with pytest.raises(UserError, match=r"^a name is too long for a path: x{80}\.\.\.$"):
        run(config(package, cameras=cameras), None)
