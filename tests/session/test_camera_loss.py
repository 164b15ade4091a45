"""A camera that is unplugged in mid-run: outputs safe at once, the session whole, and back where that is
wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.live_run import ScriptedObserver, config, run, send_orders
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.clock import NS_PER_MS
from rt_pose.config.schema import CameraConfig
from rt_pose.session.read import Session


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=3)
    return path


def unplugged(reconnect: str, **changes: Any) -> dict[str, Any]:
    options = {"rate_hz": 60, "world": "w", "disconnect_s": 1.5, "gone_s": 0.8}
    return {"cameras": {"top": CameraConfig("simulated", options, reconnect=reconnect)}, **changes}


def test_without_reconnection_the_run_ends_whole_and_says_why(package: Path, tmp_path: Path) -> None:
    result = run(config(package, **unplugged("0 s", seconds=20.0)), tmp_path / "session")
    assert not result.ok
    session = Session.read(tmp_path / "session")
    assert session.end is not None
    assert "camera 'top' failed" in session.end.reason
    assert "it was unplugged" in session.end.reason
    assert session.cut == ""
    assert len(session.observations) > 40
    last_ns = max(record.stamps.t_arrival_ns for record in session.frames)
    assert session.end.t_ns - last_ns < 1000 * NS_PER_MS
    assert replay(tmp_path / "session").identical


def test_with_reconnection_it_is_disarmed_at_once_and_goes_on(package: Path, tmp_path: Path) -> None:
    observer = ScriptedObserver()
    settings = config(package, **unplugged("20 s", seconds=8.0))
    result = run(settings, tmp_path / "session", observer)
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    (gone,) = [c for c in session.controls if c.do == "disarm"]
    assert "camera 'top' is gone" in gone.origin
    before = [o for o in session.observations if o.stamps.epoch == 0]
    after = [o for o in session.observations if o.stamps.epoch == 1]
    assert len(before) > 40
    assert len(after) > 40
    assert after[0].stamps.index > before[-1].stamps.index
    # 100 ms from the moment at which the driver knew: a frame period after the last frame.
    assert gone.t_ns - before[-1].stamps.t_arrival_ns < 100 * NS_PER_MS
    late = [e for e in session.events if e.t_ns > gone.t_ns]
    assert late
    assert {(e.event.outcome, e.event.reason) for e in late} == {("suppressed", "disarmed")}
    assert any("camera 'top' is gone" in warning for warning in observer.warnings)
    assert any("camera 'top' is back; `arm`" in warning for warning in observer.warnings)
    assert session.end is not None
    assert session.end.counts["cameras"]["top"]["losses"] == 1
    assert replay(tmp_path / "session").identical


def test_an_order_arms_it_again(package: Path, tmp_path: Path) -> None:
    answers: dict[str, Any] = {}

    class ArmWhenBack(ScriptedObserver):
        def warn(self, message: str) -> None:
            super().warn(message)
            if "is back" in message:
                answers.update(send_orders(self.description, "arm"))

    settings = config(package, **unplugged("20 s", seconds=8.0))
    run(settings, tmp_path / "session", ArmWhenBack())
    assert answers
    session = Session.read(tmp_path / "session")
    back_ns = min(o.stamps.t_arrival_ns for o in session.observations if o.stamps.epoch == 1)
    assert any(e.event.outcome == "fired" for e in session.events if e.t_ns > back_ns)
