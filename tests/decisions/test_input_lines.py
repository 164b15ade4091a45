"""Rules that ask for an input: on, off, and pulses shorter than the time between frames."""

from __future__ import annotations

import pytest
from decisions.test_several_cameras import IN, OUT, Rig, configuration

from rt_pose.config.schema import InputConfig, RunConfig
from rt_pose.decisions.input_lines import InputLines
from rt_pose.errors import UserError
from rt_pose.types import Edge


def config(when: str) -> RunConfig:
    made = configuration(when=when)
    made.inputs = {"lick": InputConfig("simulated"), "lever": InputConfig("simulated")}
    return made


def edge(rig: Rig, name: str, on: bool) -> None:
    rig.rules.states.inputs.take(Edge(name, on, 0))


def test_a_rule_waits_for_the_line() -> None:
    rig = Rig(config("x(nose) < 200 and line(lick)"))
    assert rig.observe("top", 0, IN) == []
    edge(rig, "lever", True)
    assert rig.observe("top", 10, IN) == []
    edge(rig, "lick", True)
    (event,) = rig.observe("top", 20, IN)
    assert event.outcome == "fired"


def test_a_line_alone_makes_a_rule_and_may_be_negated() -> None:
    rig = Rig(config("line(lick) and not line(lever)"))
    edge(rig, "lick", True)
    edge(rig, "lever", True)
    assert rig.observe("top", 0, OUT) == []
    edge(rig, "lever", False)
    assert len(rig.observe("top", 10, OUT)) == 1


def test_a_pulse_between_two_frames_counts_once_for_each_camera() -> None:
    lines = InputLines()
    assert lines.at_frame("top") == lines.at_frame("side") == set()
    lines.take(Edge("lick", True, 0))
    lines.take(Edge("lick", False, 0))
    assert lines.at_frame("top") == {"lick"}
    assert lines.at_frame("top") == set()
    assert lines.at_frame("side") == {"lick"}
    assert lines.at_frame("side") == set()


def test_two_pulses_between_frames_are_one() -> None:
    lines = InputLines()
    lines.at_frame("top")
    for on in (True, False, True, False):
        lines.take(Edge("lick", on, 0))
    assert lines.at_frame("top") == {"lick"}
    assert lines.at_frame("top") == set()


def test_an_input_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="unknown input 'lik', did you mean 'lick'"):
        Rig(config("line(lik)"))
    with pytest.raises(UserError, match="the configuration has no inputs"):
        Rig(configuration(when="line(lick)"))
