"""`rt-pose rig check` on the simulated rig: what is well, what is not, and what never acts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import dark_camera
from support.live_run import ScriptedObserver, config
from support.patience import wait_until
from support.tiny_package import make_tiny_package

import rigs
from rigs.firmware.simulate import SimulatedBox
from rt_pose.audit.rig_check import Finding, check_rig
from rt_pose.cli.main import main
from rt_pose.clock import HostClock
from rt_pose.config.schema import CameraConfig, InputConfig, OutputConfig, RunConfig
from rt_pose.config.sync import FramePulsesConfig, SyncConfig

LINES = ["laser", "shutter", "code", "frames"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=3)
    return path


@pytest.fixture
def box() -> Iterator[SimulatedBox]:
    with SimulatedBox() as box:
        yield box


def rig(package: Path, box: SimulatedBox, rate_hz: float = 40.0) -> RunConfig:
    return config(
        package,
        cameras={"top": CameraConfig("simulated", {"rate_hz": rate_hz, "world": "w"})},
        outputs={
            "stimulus": OutputConfig("simulated", {"world": "w"}),
            "box": OutputConfig(
                "serial_ttl", {"port": box.port, "watchdog_ms": 5000, "answer_ms": 4000}, lines=LINES
            ),
        },
        sync=SyncConfig(frames=FramePulsesConfig("box", 3)),
    )


def check(
    config: RunConfig,
    out: Path,
    register: Callable[[], None] = rigs.register,
    pulse: bool = False,
    seconds: float = 1.5,
) -> list[Finding]:
    return check_rig(config, seconds, out, register, HostClock(), ScriptedObserver(), pulse)


def found(rows: list[Finding], what: str, part: str) -> Finding:
    (row,) = [row for row in rows if row.what == what and part in row.found]
    return row


def lost(row: Finding) -> bool:
    return "gap in the device" in row.found or "superseded" in row.found


def test_a_rig_that_is_well(package: Path, box: SimulatedBox, tmp_path: Path) -> None:
    rows = check(rig(package, box), tmp_path / "session", seconds=2.0)
    # A machine that is busy loses frames; all else is well all the same.
    assert [row for row in rows if row.state == "FAILS" and not lost(row)] == []
    assert found(rows, "model", "golden keypoints move").state == "ok"
    assert "40 are nominal" in found(rows, "camera top", "a second").found
    assert found(rows, "camera top", "exposure times of").state == "ok"
    assert "over 500 ms" in found(rows, "budget", "exposure to decision").found
    assert found(rows, "disk", "MiB/s").state == "ok"
    assert "echo of 20 commands" in found(rows, "output box", "echo").found
    assert [edge for edge in box.edges if edge.level > 0] == []  # nothing acted


def test_pulses_only_where_they_are_asked_for(package: Path, box: SimulatedBox, tmp_path: Path) -> None:
    rows = check(rig(package, box), tmp_path / "session", pulse=True)
    assert [found(rows, f"output box line {line}", "echo of 1").state for line in ("laser", "shutter")] == [
        "ok"
    ] * 2

    def rises(line: int) -> int:
        return sum(edge.line == line and edge.level > 0 for edge in list(box.edges))

    wait_until(lambda: all(rises(line) for line in range(3)) and rises(3) > 5)  # 3: sync pulses of frames
    assert [rises(line) for line in range(3)] == [1, 1, 1]


def test_what_cannot_be_opened_is_said(package: Path, box: SimulatedBox, tmp_path: Path) -> None:
    broken = rig(package, box)
    broken.outputs["box"].options["port"] = "/dev/none"
    broken.cameras["top"].options["rate_hz"] = -1
    rows = check(broken, tmp_path / "session")
    assert {row.state for row in rows} == {"FAILS"}
    assert len(rows) == 2  # the box and the camera, both of them
    assert {row.what for row in rows} == {"start"}


def test_a_camera_without_frames_fails(package: Path, box: SimulatedBox, tmp_path: Path) -> None:
    dark = rig(package, box)
    dark.first_frame_within = "500 ms"
    (row,) = check(dark, tmp_path / "session", dark_camera.all_dark)
    assert (row.what, row.state) == ("start", "FAILS")
    assert "no frame came within 0.5 s" in row.found


def test_the_table_and_its_exit_code(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ports = ["--publish.address", "tcp://127.0.0.1:*", "--publish.control", "tcp://127.0.0.1:*"]
    engine = ["--engine.threads", "1", "--engine.precision", "float32"]
    words = ["rig", "check", "--camera", "sim", "--model", str(package), "--for-s", "1", *ports, *engine]
    code = main([*words, "--budget_ms", "500"])
    said = capsys.readouterr().out
    well = said.splitlines()[-1] == "the rig does what its configuration says"
    assert (code, well) == ((1, False) if "FAILS" in said else (0, True))  # a busy machine loses frames
    assert main([*words, "--budget_ms", "0.05"]) == 1
    said = capsys.readouterr().out
    assert "checks fail" in said.splitlines()[-1]
    assert re.search(r"^FAILS +budget .* over 0\.05 ms$", said, re.MULTILINE), said
    assert re.search(r"^warning +run .*budget_ms: 0\.05 ms cannot be met", said, re.MULTILINE), said
    assert main([*words, "--for-s", "0"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_without_a_model_all_else_is_checked(box: SimulatedBox, tmp_path: Path) -> None:
    bare = rig(tmp_path, box)
    bare.model, bare.rules, bare.inputs = "", [], {"lick": InputConfig("simulated")}
    bare.cameras["side"] = CameraConfig("simulated", {"rate_hz": 40, "drift_ppm": 50})
    rows = check(bare, tmp_path / "session", pulse=True, seconds=0.5)
    assert [
        row for row in rows if row.state == "FAILS" and not lost(row) and "nominal" not in row.found
    ] == []
    assert "network, rules, budget" in found(rows, "model", "none was given").found
    for camera in ("camera top", "camera side"):
        assert "40 are nominal" in found(rows, camera, "a second").found
        assert "frames, within" in found(rows, camera, "exposure times of").found
    assert " ppm, known within " in found(rows, "camera side", "its clock").found
    assert found(rows, "input lick", "opened").state == "ok"
    assert found(rows, "disk", "MiB/s").state == "ok"
    assert box.wait_for(3, high=True) is not None
    assert [edge.line for edge in box.edges if edge.level > 0] == [0, 1, 2, 3]
    assert not (tmp_path / "session").exists()


def test_without_a_model_what_cannot_be_had_is_said_and_the_rest_is_checked(
    box: SimulatedBox, tmp_path: Path
) -> None:
    broken = rig(tmp_path, box)
    broken.model, broken.rules, broken.outputs["box"].options["port"] = "", [], "/dev/none"
    broken.cameras |= {
        "side": CameraConfig("simulated", {"rate_hz": -1}),
        "gone": CameraConfig("simulated", {"rate_hz": 40, "disconnect_s": 0.4}),
    }
    rows = check(broken, tmp_path / "session", seconds=5.0)
    assert found(rows, "start", "rate_hz must be between").state == "FAILS"
    assert "it was unplugged" in found(rows, "start", "camera 'gone' failed").found
    assert "40 are nominal" in found(rows, "camera top", "a second").found
    assert found(rows, "output box", "/dev/none").state == "FAILS"
    assert found(rows, "output stimulus", "echo").state == "ok"
