"""A camera that is unplugged in mid-run: outputs safe at once, the session whole, and back where that is
wanted."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support.live_run import ScriptedObserver, config, run, send_orders
from support.patience import wait_until
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.clock import NS_PER_S
from rt_pose.config.schema import CameraConfig
from rt_pose.session.read import Session


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=3)
    return path


def unplugged(reconnect: str, **changes: Any) -> dict[str, Any]:
    options = {"rate_hz": 60, "world": "w", "disconnect_s": 1.0, "gone_s": 1.0}
    return {"cameras": {"top": CameraConfig("simulated", options, reconnect=reconnect)}, **changes}


def test_without_reconnection_the_run_ends_whole_and_says_why(package: Path, tmp_path: Path) -> None:
    result = run(config(package, **unplugged("0 s", seconds=20.0)), tmp_path / "session")
    assert not result.ok
    session = Session.read(tmp_path / "session")
    assert session.end is not None
    assert "camera 'top' failed" in session.end.reason
    assert "it was unplugged" in session.end.reason
    assert session.cut == ""
    assert len(session.observations) > 10
    last_ns = max(record.stamps.t_arrival_ns for record in session.frames)
    assert session.end.t_ns - last_ns < 10 * NS_PER_S  # of the twenty that the run would have
    assert replay(tmp_path / "session").identical


class ArmLongAfterItIsBack(ScriptedObserver):
    """Arms once something was suppressed since the camera is back, and ends the run once it fires again."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: dict[str, Any] = {}

    def warn(self, message: str) -> None:
        super().warn(message)
        if "is back" in message:
            self._thread = threading.Thread(target=self._arm)
            self._thread.start()

    def _counted(self, outcome: str) -> int:
        return int(self.last["events"]["slow"][outcome])

    def _arm(self) -> None:
        suppressed, fired = self._counted("suppressed"), self._counted("fired")
        wait_until(lambda: self._counted("suppressed") > suppressed)
        self.answer = send_orders(self.description, "arm")["arm"]
        wait_until(lambda: self._counted("fired") > fired)
        send_orders(self.description, "stop")


def test_with_reconnection_it_is_disarmed_at_once_and_goes_on(package: Path, tmp_path: Path) -> None:
    observer = ArmLongAfterItIsBack()
    settings = config(package, **unplugged("20 s", seconds=60.0))
    result = run(settings, tmp_path / "session", observer)
    assert result.ok, result.status
    assert observer.answer["ok"]
    session = Session.read(tmp_path / "session")
    (gone,) = [c for c in session.controls if c.do == "disarm"]
    assert "camera 'top' is gone" in gone.origin
    before = [o for o in session.observations if o.stamps.epoch == 0]
    after = [o for o in session.observations if o.stamps.epoch == 1]
    assert len(before) > 10
    assert after
    assert after[0].stamps.index > before[-1].stamps.index
    assert gone.t_ns < after[0].stamps.t_arrival_ns, "at once, and not when it is back"
    (armed_ns,) = [c.t_ns for c in session.controls if (c.do, c.origin) == ("arm", "control")]
    late = [e for e in session.events if gone.t_ns < e.t_ns < armed_ns]
    assert late
    assert {e.event.outcome for e in late} == {"suppressed"}
    assert "disarmed" in {e.event.reason for e in late}
    assert any(e.event.outcome == "fired" for e in session.events if e.t_ns > armed_ns)
    assert any("camera 'top' is gone" in warning for warning in observer.warnings)
    assert any("camera 'top' is back; `arm`" in warning for warning in observer.warnings)
    assert session.end is not None
    assert session.end.counts["cameras"]["top"]["losses"] == 1
    assert replay(tmp_path / "session").identical
