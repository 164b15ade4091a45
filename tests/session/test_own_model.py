"""Two cameras with a model each: described, logged, and replayed by each one's own filter."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.live_run import ScriptedObserver, config, run, send_orders
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.config.schema import CameraConfig, RunConfig
from rt_pose.errors import UserError
from rt_pose.package import DriftLimits, DriftSpec, read_package, write_manifest
from rt_pose.reports.session_report import make_report
from rt_pose.session.read import Session


def two_cameras(folder: Path) -> RunConfig:
    first, second = make_tiny_package(folder / "first"), make_tiny_package(folder / "second")
    manifest = read_package(second.path).manifest
    manifest.tracking.gain = [2.0 * gain for gain in manifest.tracking.gain]
    manifest.drift = DriftSpec({"confidence": DriftLimits(-9.0, 1.0, 0.1, 0.05)}, 0.1, 20.0, 60.0)
    write_manifest(second.path, manifest)
    cameras = {
        name: CameraConfig("simulated", {"rate_hz": 30, "world": "w"}, model=model)
        for name, model in (("top", ""), ("side", str(second.path)))
    }
    return config(first.path, cameras=cameras, seconds=60.0, drift="warn")


class StopAtDrift(ScriptedObserver):
    """Ends the run a moment after it has warned of drift."""

    def warn(self, message: str) -> None:
        super().warn(message)
        if "drift" in message and self._thread is None:
            self._thread = threading.Thread(target=self._stop)
            self._thread.start()

    def _stop(self) -> None:
        threading.Event().wait(0.3)
        send_orders(self.description, "stop")


def test_each_camera_goes_through_its_own_model_and_the_session_replays(tmp_path: Path) -> None:
    settings = two_cameras(tmp_path)
    result = run(settings, tmp_path / "session", StopAtDrift())
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    assert list(session.info.own_models) == ["side"]
    assert session.info.own_models["side"].path == settings.cameras["side"].model
    assert session.info.own_models["side"].tracking["gain"] != session.info.package.tracking["gain"]
    assert {seen.camera for seen in session.observations} == {"top", "side"}
    found = replay(tmp_path / "session")
    assert found.identical, found.differences
    # Only the second model knows what is usual, and nothing is as usual as that.
    (warning,) = (warning for warning in result.warnings if "drift" in warning)
    assert (
        "camera 'side': drift: poses are no longer like those that the model was calibrated on (conf"
        in warning
    )
    assert f"`rt-pose improve {tmp_path / 'session'} --out FOLDER`" in warning
    assert session.stats[-1].stats["drift"]["side"]["alarm"] == ["confidence"]
    assert found.drift_alarms == 1
    report = make_report(tmp_path / "session")["drift"]
    assert list(report["cameras"]) == ["side"]
    assert report["cameras"]["side"]["episodes"][0]["statistics"] == ["confidence"]
    page = (tmp_path / "session" / "report.html").read_text()
    assert "Camera side: the poses left what the model was calibrated on (1\ntime)" in page


def test_other_keypoints_are_refused(tmp_path: Path) -> None:
    settings = two_cameras(tmp_path)
    settings.cameras["side"].model = str(make_tiny_package(tmp_path / "fewer", keypoints=2).path)
    with pytest.raises(
        UserError, match=r"cameras\.side\.model: .* expected the keypoints of the run's model"
    ):
        run(settings, tmp_path / "session")
