"""Two actions on one line: the second does not begin, and neither is cut short."""

from __future__ import annotations

import re
from typing import Any

import pytest
from decisions.test_several_cameras import IN, OUT, Rig, configuration, play

from rt_pose.config.rules import ActionConfig, RuleConfig, TrainAction
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.check import check
from rt_pose.rules.semantics import FIRST


def run(first: dict[str, Any], second: dict[str, Any], withhold: float = 0.0) -> RunConfig:
    """Rule `left` acts below x = 200, rule `right` above 250."""
    config = configuration(cameras=("top",), withhold=withhold, do=ActionConfig(output="laser", **first))
    config.rules.append(
        RuleConfig(name="right", when="x(nose) > 250", do=ActionConfig(output="laser", **second))
    )
    return config


def reasons(config: RunConfig, gap_ms: float, semantics: int = 2) -> list[tuple[str, str]]:
    rig = Rig(config, semantics)
    return [(o, r) for _, _, o, r in play(rig, [("top", 0, IN), ("top", gap_ms, OUT)])]


FIRED = ("fired", "condition")


@pytest.mark.parametrize(
    ("first", "length_ms"),
    [
        ({"pulse": "50 ms"}, 50),
        ({"train": TrainAction("5 ms", "20 ms", 3)}, 45),
        ({"level": "on", "at_most": "70 ms"}, 70),
    ],
)
def test_what_meets_an_action_under_way_is_suppressed(first: dict[str, Any], length_ms: int) -> None:
    second = {"pulse": "1 ms"}
    assert reasons(run(first, second), length_ms - 5) == [FIRED, ("suppressed", "busy")]
    assert reasons(run(first, second), length_ms + 5) == [FIRED, FIRED]


def test_a_level_without_an_end_keeps_its_line_until_it_is_ended() -> None:
    assert reasons(run({"level": "on"}, {"pulse": "1 ms"}), 100_000)[1] == ("suppressed", "busy")
    assert reasons(run({"level": "on"}, {"level": "off"}), 10) == [FIRED, FIRED]


def test_what_ends_a_stimulus_passes_and_frees_the_line() -> None:
    config = run({"level": "on"}, {"stop": True})
    rig = Rig(config)
    frames = [("top", 0, IN), ("top", 10, OUT), ("top", 20, IN)]
    assert [reason for *_, reason in play(rig, frames)] == ["condition", "condition", "condition"]


def test_another_line_is_another_line() -> None:
    assert reasons(run({"pulse": "50 ms"}, {"pulse": "1 ms", "line": 1}), 10) == [FIRED, FIRED]


def test_a_control_keeps_its_line_busy_as_a_stimulus_does() -> None:
    """Whoever sees the second event suppressed learns nothing of the first one."""
    config = run({"pulse": "50 ms"}, {"pulse": "1 ms"}, withhold=1.0)
    assert reasons(config, 10) == [("withheld", "control"), ("suppressed", "busy")]


def test_sessions_of_before_the_number_let_them_meet() -> None:
    assert reasons(run({"pulse": "50 ms"}, {"pulse": "1 ms"}), 10, FIRST) == [FIRED, FIRED]


def test_rules_check_says_where_actions_may_meet() -> None:
    lines = "\n".join(check(run({"pulse": "50 ms"}, {"pulse": "1 ms"}), details=True))
    assert "near may meet itself on laser line 0" in lines
    assert "near and right may meet on laser line 0" in lines
    assert re.search(r"near takes \d+\.\d\d ms a decision here", lines)
    alone = check(configuration(cameras=("top",), refractory="100 ms"), details=True)
    assert "may meet" not in "\n".join(alone)


def test_rules_check_says_where_a_late_command_may_act_into_the_time_of_the_next() -> None:
    """The refractory time is between frames; a command may be sent up to the deadline after its frame."""

    def said(refractory: str, late: str = "suppress") -> str:
        do = ActionConfig(output="laser", pulse="30 ms")
        config = configuration(cameras=("top",), refractory=refractory, late=late, do=do)
        return "\n".join(check(config, details=True))

    assert "as late as its deadline (20 ms); 50 ms keep its actions apart" in said("49 ms")
    assert "may meet" not in said("50 ms")
    assert "with `late: fire` a command may come at any time" in said("10 s", "fire")
