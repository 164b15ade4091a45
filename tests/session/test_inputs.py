"""A whole run with an input: its edges are logged as inputs of decisions and begin trials, and it replays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.live_run import ScriptedObserver, config, run, send_orders
from support.patience import wait_until
from support.tiny_package import make_tiny_package

from rigs.firmware.simulate import SimulatedBox
from rt_pose.audit.replay import replay
from rt_pose.config.rules import ActionConfig, BlockConfig, RuleConfig
from rt_pose.config.schema import InputConfig, OutputConfig, RecoveryConfig
from rt_pose.errors import UserError
from rt_pose.session.orders import send_order
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
        seconds=1.5,
    )
    result = run(settings, tmp_path / "session")
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    assert len(session.edges) >= 4
    assert session.info.inputs["lever"].driver == "simulated"
    rises = sum(record.edge.on for record in session.edges)
    pressed = [record.event for record in session.events if record.event.rule == "pressed"]
    assert abs(len(pressed) - rises) <= 1
    # A lever that is down already at the first frame begins no trial.
    assert [event.reason for event in pressed if event.trial == 0] in ([], ["inter-trial"])
    begun = [event for event in pressed if event.trial]
    assert [event.trial for event in begun] == list(range(1, len(begun) + 1)), "each edge began a trial"
    assert {event.outcome for event in begun} == {"fired"}
    assert any(record.event.rule == "moved" for record in session.events)
    found = replay(tmp_path / "session")
    assert found.identical, found.differences
    assert found.events == len(session.events)


class Operator(ScriptedObserver):
    """Presses the key of an input, as the terminal of the run passes it on, and gives orders to it."""

    def __init__(self) -> None:
        super().__init__(self._operate)
        self.answers: list[dict[str, Any]] = []
        self._press: Callable[[str], None] | None = None

    def begin_inputs(self, press: Callable[[str], None]) -> None:
        self._press = press

    def _operate(self, description: dict[str, Any]) -> None:
        assert self._press is not None
        self._press("cue")
        wait_until(lambda: sum(self.last["events"]["cued"].values()) == 1)
        threading.Event().wait(0.5)  # until the pulse is over
        address = description["addresses"]["control"]
        for name, state in (("cue", "on"), ("cue", "off"), ("cue", "up"), ("due", "on"), ("lever", "on")):
            try:
                self.answers.append(send_order(address, "input", {"name": name, "state": state}))
            except UserError as error:
                self.answers.append({"ok": False, "error": str(error)})
            if state == "on" and name == "cue":
                wait_until(lambda: sum(self.last["events"]["cued"].values()) == 2)
        send_orders(description, "stop")


def test_a_key_and_an_order_are_edges_that_are_logged_and_replay(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path / "package")
    settings = config(
        package.path,
        inputs={
            "cue": InputConfig("key", {"key": "c", "on_ms": 200.0}),
            "lever": InputConfig("simulated", {"period_ms": 100_000.0, "on_ms": 1.0}),
        },
        rules=[RuleConfig("cued", "line(cue)", ActionConfig("stimulus", "5 ms"))],
        seconds=60.0,
    )
    operator = Operator()
    result = run(settings, tmp_path / "session", operator)
    assert result.ok, result.status
    assert operator.description["inputs"]["cue"]["key"] == "c"
    assert [answer["ok"] for answer in operator.answers] == [True, True, False, False, False]
    errors = [answer["error"] for answer in operator.answers[2:]]
    assert "input: expected on, off or press, got 'up'" in errors[0]
    assert "no input 'due' that the operator switches, did you mean 'cue'?; there are: cue" in errors[1]
    assert "no input 'lever' that the operator switches" in errors[2]
    session = Session.read(tmp_path / "session")
    assert [(r.edge.on) for r in session.edges if r.edge.input == "cue"] == [True, False, True, False]
    assert len(session.events) == 2
    found = replay(tmp_path / "session")
    assert found.identical, found.differences


def test_a_box_gives_and_takes_in_one_run_and_its_loss_is_told(tmp_path: Path) -> None:
    """One port for an output and an input; the cable is pulled in mid-run."""
    package = make_tiny_package(tmp_path / "package")
    with SimulatedBox() as box:
        settings = config(
            package.path,
            outputs={
                "laser": OutputConfig(
                    "serial_ttl",
                    {"port": box.port, "watchdog_ms": 2000, "answer_ms": 1500},
                    recovery=RecoveryConfig(attempts=0),
                )
            },
            inputs={"lick": InputConfig("serial_ttl", {"port": box.port})},
            rules=[RuleConfig("licked", "line(lick)", ActionConfig("laser", "5 ms"))],
            seconds=60.0,
        )

        def lick(description: dict[str, Any]) -> None:
            box.order("input 0 6 400000")
            box.wait_for_inputs(6)
            wait_until(lambda: sum(observer.last["events"]["licked"].values()) == 3)
            threading.Event().wait(0.3)  # until the last edge has come, too
            box.order("pull")
            wait_until(lambda: any("laser" in text for text in observer.warnings))
            threading.Event().wait(0.5)  # until the input knows as well
            send_order(description["addresses"]["control"], "stop")

        observer = ScriptedObserver(lick)
        result = run(settings, tmp_path / "session", observer)
        rises = [edge for edge in box.input_edges if edge.level]
        pulses = [edge for edge in box.edges if edge.level]
    session = Session.read(tmp_path / "session")
    assert [r.edge.on for r in session.edges] == [True, False] * 3
    for real, record in zip(box.input_edges, session.edges, strict=True):
        assert abs(record.edge.t_ns - real.t_ns) < 100_000_000
    assert len(rises) == len(session.events) == 3
    assert len(pulses) == sum(record.event.outcome == "fired" for record in session.events)
    told = [(n.source, n.output, n.text) for n in session.notices]
    assert any(source == "input" and name == "lick" and "port" in text for source, name, text in told)
    assert any(source == "output" and name == "laser" for source, name, text in told)
    assert not result.ok
    found = replay(tmp_path / "session")
    assert found.identical, found.differences
