"""Actions of rules: what they become, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rt_pose.config.build import build
from rt_pose.config.rules import RuleConfig
from rt_pose.config.schema import OutputConfig
from rt_pose.decisions.action import ActionPlan, check_fits, plan_action
from rt_pose.errors import UserError
from rt_pose.types import OutputInfo

OUTPUTS = {"box": OutputConfig("simulated", lines=["laser", "led"]), "plain": OutputConfig("simulated")}


def plan(do: str, output: str = "box", **rule: Any) -> ActionPlan:
    """The plan of an action as a user writes it."""
    data = yaml.safe_load(f"{{output: {output}, {do}}}")
    config = build(RuleConfig, {"name": "r", "when": "speed(k) > 1", "do": data, **rule}, "test")
    return plan_action(config, OUTPUTS, "rule 'r'")


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("pulse: 5 ms", ActionPlan("box", 0, "pulse", 5000)),
        ("pulse: 5 ms, line: led, amplitude: 0.5", ActionPlan("box", 1, "pulse", 5000, amplitude=0.5)),
        ("train: {pulse: 5 ms, period: 25 ms, count: 10}", ActionPlan("box", 0, "train", 5000, 25_000, 10)),
        ("level: on", ActionPlan("box", 0, "level")),
        ("level: 'on', at_most: 10 s", ActionPlan("box", 0, "level", 10_000_000)),
        ("level: off", ActionPlan("box", 0, "level", amplitude=0.0)),
        ("level: 'off'", ActionPlan("box", 0, "level", amplitude=0.0)),
        ("message: reward", ActionPlan("box", 0, "message", message="reward")),
        ("stop: true", ActionPlan("box", 0, "stop", amplitude=0.0)),
        (
            "analog: {duration: 1 s, ramp_up: 100 ms, ramp_down: 200 ms}, amplitude: 0.8",
            ActionPlan(
                "box", 0, "analog", 1_000_000, amplitude=0.8, ramp_up_us=100_000, ramp_down_us=200_000
            ),
        ),
    ],
)
def test_what_an_action_becomes(do: str, expected: ActionPlan) -> None:
    assert plan(do) == expected


@pytest.mark.parametrize("do", ["level: off", "stop: true"])
def test_what_only_ends_is_known(do: str) -> None:
    assert plan(do).ends
    with pytest.raises(UserError, match="withhold where it begins"):
        plan(do, withhold=0.2)


@pytest.mark.parametrize("do", ["pulse: 1 ms", "level: on", "message: x"])
def test_what_begins_does_not_end(do: str) -> None:
    assert not plan(do).ends


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("line: 0", "expected exactly one of pulse, train, level, analog, message, stop, aim; got none"),
        ("pulse: 5 ms, level: off", "got pulse and level"),
        ("pulse: 5 ms, stop: true", "got pulse and stop"),
        ("pulse: 5", "a length of time has a unit"),
        ("pulse: 5 ms, at_most: 1 s", "do.at_most: only `level: on` has one"),
        ("level: off, at_most: 1 s", "do.at_most: only `level: on` has one"),
        ("level: on, at_most: 2 min", ""),
        ("level: on, at_most: 120 min", "do.at_most: expected 1 us to 3600 s"),
        ("level: on, amplitude: 0", "say `level: off`"),
        ("level: onn", "level"),
        ("train: {pulse: 5 ms, period: 5 ms, count: 3}", "do.train.period: expected more than a pulse"),
        ("train: {pulse: 5 ms, period: 9 ms, count: 0}", "do.train.count: expected 1 to 10000"),
        ("train: {pulse: 1 s, period: 9 s, count: 100}", "at most 600 s in all, got 900 s"),
        ("train: {pulse: 5 ms, perod: 9 ms, count: 1}", "do.train.perod', did you mean 'period'"),
        ("analog: {duration: 0 ms}", "do.analog.duration: expected 1 us to 60 s"),
        ("message: ''", "do.message: expected 1 to 200 bytes, got 0"),
        ("pulse: 5 ms, line: lasr", "has no line 'lasr', did you mean 'laser'?"),
        ("pulse: 5 ms, line: 2", "names 2 lines (laser, led); expected 0 to 1, got 2"),
    ],
)
def test_actions_that_cannot_be_meant(do: str, expected: str) -> None:
    if not expected:
        assert plan(do)
        return
    with pytest.raises(UserError) as caught:
        plan(do)
    assert expected in str(caught.value)


def test_a_line_name_needs_names() -> None:
    with pytest.raises(UserError, match=r"give outputs\.plain\.lines, or a number"):
        plan("pulse: 5 ms, line: laser", output="plain")


def test_every_rule_under_configs_has_a_plan() -> None:
    from rt_pose.config.build import load
    from rt_pose.config.schema import RunConfig

    root = Path(__file__).resolve().parents[2] / "configs"
    seen = 0
    for path in [*root.glob("*.yaml"), *(root / "rigs").glob("*.yaml")]:
        config = load(RunConfig, path)
        for rule in config.rules:
            plan_action(rule, config.outputs, str(path))
            seen += 1
    assert seen > 0


def test_an_output_that_was_opened_says_what_it_can() -> None:
    anything = OutputInfo("box", "d", "1", 0.0, echoes=True)
    check_fits(plan("message: x"), anything, "rule 'r'")
    box = OutputInfo("box", "d", "1", 0.0, echoes=True, lines=1, actions=["pulse", "stop"])
    check_fits(plan("pulse: 1 ms"), box, "rule 'r'")
    with pytest.raises(UserError, match="output 'box' takes no message; it takes pulse, stop"):
        check_fits(plan("message: x"), box, "rule 'r'")
    with pytest.raises(UserError, match="has the lines 0 to 0; got 1"):
        check_fits(plan("pulse: 1 ms, line: led"), box, "rule 'r'")
