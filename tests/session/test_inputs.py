"""A whole run with an input: its edges are logged as inputs of decisions, and the session replays."""

from __future__ import annotations

from pathlib import Path

from support.live_run import config, run
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import InputConfig
from rt_pose.session.read import Session


def test_edges_are_inputs_of_decisions_and_replay(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path / "package")
    settings = config(
        package.path,
        inputs={"lever": InputConfig("simulated", {"period_ms": 200.0, "on_ms": 60.0})},
        rules=[RuleConfig("pressed", "line(lever)", ActionConfig("stimulus", "5 ms"))],
        seconds=2.0,
    )
    result = run(settings, tmp_path / "session")
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    assert len(session.edges) >= 12
    assert session.info.inputs["lever"].driver == "simulated"
    rises = sum(record.edge.on for record in session.edges)
    assert abs(len(session.events) - rises) <= 1
    found = replay(tmp_path / "session")
    assert found.identical, found.differences
    assert found.events == len(session.events)
