"""Trials that wait for a cue: the edge of an input, or the event of a rule."""

from __future__ import annotations

from typing import Any

import pytest
from decisions.test_several_cameras import IN, OUT, Rig, configuration

from rt_pose.config.rules import ActionConfig, BlockConfig, RuleConfig
from rt_pose.config.schema import InputConfig, RunConfig
from rt_pose.decisions.explain import explain, explain_protocol
from rt_pose.decisions.protocol import make_protocol
from rt_pose.decisions.rule import make_rules
from rt_pose.errors import UserError
from rt_pose.types import Edge, Event

FAR = 400.0


def config(*blocks: BlockConfig, **cue: Any) -> RunConfig:
    """`near` below x = 200, the reach; `cue` above 350, the place from which a trial begins."""
    made = configuration(cameras=("top",))
    do = ActionConfig("laser", "1 ms", line=1)
    made.rules.append(RuleConfig("cue", "x(nose) > 350", **({"do": do} | cue)))
    made.inputs = {name: InputConfig("simulated") for name in ("lever", "lick")}
    made.protocol = list(blocks)
    return made


def edge(rig: Rig, *states: bool, name: str = "lever") -> None:
    for on in states:
        rig.rules.states.inputs.take(Edge(name, on, 0))


def seen(events: list[Event]) -> list[tuple[str, str, str, int]]:
    return [(e.rule, e.outcome, e.reason, e.trial) for e in events]


def play(rig: Rig, *frames: tuple[float, float]) -> list[tuple[str, str, str, int]]:
    return seen([event for t_ms, x in frames for event in rig.observe("top", t_ms, x)])


BY_LEVER = BlockConfig("task", rules=["near"], trials=2, trial="1 s", trial_on="line(lever)")
BY_RULE = BlockConfig("task", rules=["near"], trials=2, trial="1 s", trial_on="cue")


def test_a_trial_waits_for_the_edge() -> None:
    rig = Rig(config(BY_LEVER))
    assert play(rig, (0, OUT), (10, IN), (20, OUT)) == [("near", "suppressed", "inter-trial", 0)]
    edge(rig, True)
    assert play(rig, (30, OUT), (40, IN), (50, OUT)) == [("near", "fired", "condition", 1)]
    assert play(rig, (60, IN), (70, OUT)) == [("near", "suppressed", "inter-trial", 0)]
    edge(rig, False, True)
    assert play(rig, (80, OUT), (90, IN)) == [("near", "fired", "condition", 2)]
    assert rig.rules.protocol.block == ""


def test_only_its_own_line_counts_and_only_when_it_goes_on() -> None:
    rig = Rig(config(BY_LEVER))
    play(rig, (0, OUT))
    edge(rig, True, False)  # a pulse between two frames
    assert play(rig, (5, OUT), (10, IN), (20, OUT))[0][1] == "fired"
    edge(rig, True, name="lick")
    assert play(rig, (30, OUT)) == []
    assert rig.rules.protocol.trial == 0
    edge(rig, True)
    play(rig, (40, OUT))
    assert rig.rules.protocol.trial == 2


def test_a_line_that_is_on_at_the_end_of_a_trial_begins_none() -> None:
    rig = Rig(config(BY_LEVER))
    play(rig, (0, OUT))
    edge(rig, True)
    play(rig, (5, OUT), (10, IN), (20, OUT), (500, OUT))
    assert rig.rules.protocol.trial == 0
    edge(rig, False)
    play(rig, (510, OUT))
    edge(rig, True)
    play(rig, (520, OUT))
    assert rig.rules.protocol.trial == 2


def test_an_edge_within_a_trial_or_a_pause_is_used_up() -> None:
    block = BlockConfig("task", trials=3, trial="1 s", inter_trial="100 ms", trial_on="line(lever)")
    rig = Rig(config(block))
    play(rig, (0, OUT))
    edge(rig, True, False)
    play(rig, (5, OUT))
    edge(rig, True, False)
    play(rig, (500, OUT), (1010, OUT))
    assert rig.rules.protocol.trial == 0, "the first is over by its time, the second edge began none"
    edge(rig, True, False)
    play(rig, (1050, OUT), (1150, OUT))
    assert rig.rules.protocol.trial == 0
    edge(rig, True, False)
    play(rig, (1160, OUT))
    assert rig.rules.protocol.trial == 2


def test_an_event_of_the_rule_begins_the_trial_and_belongs_to_it() -> None:
    rig = Rig(config(BY_RULE))
    assert play(rig, (0, OUT), (10, IN), (20, OUT)) == [("near", "suppressed", "inter-trial", 0)]
    assert play(rig, (30, FAR), (40, OUT)) == [("cue", "fired", "condition", 1)]
    assert play(rig, (50, FAR), (60, OUT)) == [("cue", "suppressed", "trial", 1)]
    assert play(rig, (70, IN), (80, OUT)) == [("near", "fired", "condition", 1)]
    assert play(rig, (90, FAR), (100, OUT)) == [("cue", "fired", "condition", 2)]
    assert rig.rules.protocol.block == "task"
    assert play(rig, (110, IN)) == [("near", "fired", "condition", 2)]
    assert rig.rules.protocol.block == ""


def test_its_event_is_not_counted_and_ends_nothing() -> None:
    rig = Rig(config(BlockConfig("task", events=1, trial_on="cue"), BlockConfig("after", rules=[])))
    play(rig, (0, OUT), (10, FAR), (20, OUT))
    assert (rig.rules.protocol.block, rig.rules.protocol.trial) == ("task", 1)
    play(rig, (30, IN))
    assert rig.rules.protocol.block == "after"


def test_a_withheld_cue_begins_a_trial_and_a_suppressed_one_does_not() -> None:
    rig = Rig(config(BY_RULE, withhold=1.0))
    assert play(rig, (0, OUT), (10, FAR)) == [("cue", "withheld", "control", 1)]
    rig = Rig(config(BY_RULE, enabled=False))
    assert play(rig, (0, OUT), (10, FAR)) == [("cue", "suppressed", "disabled", 0)]
    assert rig.rules.protocol.trial == 0


def test_in_the_pause_the_cue_is_held_back_too() -> None:
    block = BlockConfig("task", rules=["near"], trial="1 s", inter_trial="100 ms", trial_on="cue")
    rig = Rig(config(block))
    play(rig, (0, OUT), (10, FAR), (20, OUT), (30, IN), (40, OUT))
    assert play(rig, (50, FAR), (60, OUT)) == [("cue", "suppressed", "inter-trial", 0)]
    assert play(rig, (140, FAR)) == [("cue", "fired", "condition", 2)]


def test_the_cue_of_another_block_is_a_rule_like_the_others() -> None:
    rig = Rig(config(BlockConfig("free", rules=["cue"]), BY_RULE))
    assert play(rig, (0, OUT), (10, FAR)) == [("cue", "fired", "condition", 0)]
    rig = Rig(config(BlockConfig("none", rules=["near"]), BY_RULE))
    assert play(rig, (0, OUT), (10, FAR)) == [("cue", "suppressed", "block", 0)]


@pytest.mark.parametrize(
    ("trial_on", "expected"),
    [
        ("line(levr)", "there is no input 'levr', did you mean 'lever'?"),
        ("cu", "there is no rule 'cu', did you mean 'cue'?"),
        ("lever", "expected the name of a rule, or line(NAME) of an input, got 'lever'"),
        ("line()", "there is no rule 'line()'"),
        ("", "there is no rule ''"),
    ],
)
def test_what_begins_no_trial_is_refused(trial_on: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        make_protocol(config(BlockConfig("task", trial_on=trial_on)))
    assert expected in str(caught.value)
    assert "protocol: block 'task': trial_on" in str(caught.value)


def test_without_inputs_it_is_said() -> None:
    made = config(BY_LEVER)
    made.inputs = {}
    with pytest.raises(UserError, match="the configuration has no inputs"):
        make_protocol(made)


def test_each_is_explained() -> None:
    made = config(BY_LEVER, BY_RULE)
    first, second = explain_protocol(made)
    assert first == (
        "block 1, task: near may fire; ends after 2 trials; a trial begins when line(lever) goes on; a trial "
        "without an event ends after 1 s."
    )
    assert "a trial begins with an event of cue" in second
    cue = explain(make_rules(made, ["nose"], {"laser": 0.0})[1], made)
    assert "only in block task" in cue
