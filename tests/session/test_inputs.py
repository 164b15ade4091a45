"""A whole run with an input: its edges are logged as inputs of decisions and begin trials, and it replays."""

from __future__ import annotations

from pathlib import Path

from support.live_run import config, run
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.config.rules import ActionConfig, BlockConfig, RuleConfig
from rt_pose.config.schema import InputConfig
from rt_pose.session.read import Session


def test_edges_are_inputs_of_decisions_and_replay(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path / "package")
    settings = config(
        package.path,
        inputs={"lever": InputConfig("simulated", {"period_ms": 200.0, "on_ms": 60.0})},
        rules=[
            RuleConfig("pressed", "line(lever)", ActionConfig("stimulus", "5 ms")),
            RuleConfig(
                "moved",
                "x(centroid(individual0.k0@top, 'k1')) > 0 or line(lever)",
                ActionConfig("stimulus", "5 ms", line=1),
            ),
        ],
        protocol=[BlockConfig("task", rules=["pressed"], trial="150 ms", trial_on="line(lever)")],
        seconds=2.0,
    )
    result = run(settings, tmp_path / "session")
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    assert len(session.edges) >= 12
    assert session.info.inputs["lever"].driver == "simulated"
    rises = sum(record.edge.on for record in session.edges)
    pressed = [record.event for record in session.events if record.event.rule == "pressed"]
    assert abs(len(pressed) - rises) <= 1
    assert [event.trial for event in pressed] == list(range(1, len(pressed) + 1)), "each edge began a trial"
    assert {event.outcome for event in pressed} == {"fired"}
    assert any(record.event.rule == "moved" for record in session.events)
    found = replay(tmp_path / "session")
    assert found.identical, found.differences
    assert found.events == len(session.events)
