"""A whole run that aims light on the simulated rig: in the session, acknowledged, and the same again."""

from __future__ import annotations

from pathlib import Path

from support.live_run import config, run
from support.tiny_package import make_tiny_package

from rigs.simulated.galvo import px_to_volts
from rigs.simulated.scene import View
from rt_pose.audit.replay import replay
from rt_pose.config.rules import ActionConfig, AimAction, RuleConfig
from rt_pose.config.schema import AimCalibrationConfig, OutputConfig
from rt_pose.session.read import Session


def test_a_run_aims_and_replays(tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package")
    calibration = AimCalibrationConfig("V", px_to_volts(View(320, 256)).tolist())
    galvo = OutputConfig("simulated", {"world": "w"}, aim={"top": calibration})
    aims = {
        "wide": AimAction("k0", "5 ms", "300 px", certainty=0.5),
        "fine": AimAction("k0", "5 ms", "0.01 px"),
    }
    rules = [
        RuleConfig(name, "x(k0) > -1000", ActionConfig(name, aim=aim), repeat="100 ms", deadline="500 ms")
        for name, aim in aims.items()
    ]
    result = run(
        config(tmp_path / "package", outputs={name: galvo for name in aims}, rules=rules),
        tmp_path / "session",
    )
    assert result.ok, result.problem
    session = Session.read(tmp_path / "session")
    fired = [r.event for r in session.events if r.event.outcome == "fired"]
    assert {event.rule for event in fired} == {"wide"}
    assert {r.event.reason for r in session.events if r.event.rule == "fine"} <= {"aim", "lost"}
    assert len(fired) >= 2
    assert [(r.command.x, r.command.y) for r in session.commands] == [(e.x, e.y) for e in fired]
    answered = {r.ack.command_id for r in session.acks if r.ack.ok}
    assert len(answered) >= 0.8 * len(fired), "within the mirrors' reach"
    assert replay(tmp_path / "session").identical
