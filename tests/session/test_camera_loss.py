"""A camera that is unplugged, or falls silent, in mid-run: outputs safe at once, the session whole, and the
run goes on where that is wanted."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.frame_sender import sender
from support.free_port import free_address
from support.live_run import ScriptedObserver, config, run, send_orders
from support.patience import wait_until
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.clock import NS_PER_S
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, OutputConfig
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


def swinging_discs() -> list[NDArray[np.uint8]]:
    """Pictures (H, W) of the package's discs, of which the middle one goes to and fro."""
    places = 80.0 + 25.0 * np.sin(np.linspace(0.0, 2 * np.pi, 30, endpoint=False))
    discs = [np.array([(25.0, 30.0), (x, 64.0), (135.0, 30.0)]) for x in places]
    return [disc_frame(xy, 160, 128, channels=1)[..., 0] for xy in discs]


class MuteAndArm(ScriptedObserver):
    """Once the rule fires the sender falls mute, until the run says so; once it delivers again, and something
    was suppressed, the run is armed, and ends when the rule fires again."""

    def __init__(self, mute: threading.Event) -> None:
        super().__init__()
        self._mute = mute

    def ready(self, description: dict[str, Any]) -> None:
        super().ready(description)
        self._thread = threading.Thread(target=self._go_through)
        self._thread.start()

    def _go_through(self) -> None:
        wait_until(lambda: self._counted("fired"))
        self._mute.set()
        wait_until(lambda: self._warned("is silent"))
        self._mute.clear()
        wait_until(lambda: self._warned("delivers again"))
        wait_until(lambda: self._counted("suppressed"))
        fired = self._counted("fired")
        send_orders(self.description, "arm")
        wait_until(lambda: self._counted("fired") > fired)
        send_orders(self.description, "stop")

    def _counted(self, outcome: str) -> int:
        return int(self.last["events"]["swing"][outcome]) if self.last else 0

    def _warned(self, words: str) -> bool:
        return any(words in warning for warning in self.warnings)


def test_a_sender_that_falls_mute_disarms_the_run_which_goes_on(package: Path, tmp_path: Path) -> None:
    address = free_address()
    settings = config(
        package,
        cameras={"top": CameraConfig("zmq", {"address": address, "rate_hz": 60.0})},
        outputs={"stimulus": OutputConfig("simulated")},
        zones={},
        rules=[RuleConfig("swing", "x(k1) > 80", ActionConfig("stimulus", "5 ms"))],
        seconds=60.0,
    )
    with sender(address, rate_hz=60.0, pictures=swinging_discs()) as mute:
        result = run(settings, tmp_path / "session", MuteAndArm(mute))
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    assert (session.cut, session.info.missing) == ("", [])
    disarmed = next(c for c in session.controls if c.do == "disarm")
    armed = next(c for c in session.controls if (c.do, c.origin) == ("arm", "control"))
    assert disarmed.origin.startswith("camera 'top' is silent: no whole frame came for ")
    texts = [notice.text for notice in session.notices if notice.source == "camera"]
    assert texts[0].startswith("silent: no whole frame came for ")
    assert texts[1].startswith("frames come again, after ")
    assert not [c for c in session.commands if c.accepted and disarmed.t_ns < c.t_ns < armed.t_ns]
    assert any(c.accepted for c in session.commands if c.t_ns > armed.t_ns)
    assert session.end is not None
    counts = session.end.counts["cameras"]["top"]
    assert counts["silences"] >= 1
    assert (counts["losses"], len(session.frames)) == (0, counts["captured"])
    assert len(session.observations) == counts["processed"]
    assert {frame.stamps.epoch for frame in session.frames} == {0}, "the same camera all along"
    assert replay(tmp_path / "session").identical
