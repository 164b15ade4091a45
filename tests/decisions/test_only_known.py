"""Only what was seen counts: gaps, cameras that come back, edges from before the run, lines after disarming.

Beside each stands what a session of before the number decided, by which it is replayed.
"""

from __future__ import annotations

from typing import Any

from decisions.test_lines import run
from decisions.test_several_cameras import IN, OUT, TRACKING, Rig, configuration, play

from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.config.rules import BlockConfig
from rt_pose.config.schema import InputConfig, RunConfig
from rt_pose.records import ControlRecord
from rt_pose.rules.semantics import CURRENT, KNOWN
from rt_pose.types import Edge

BEFORE = KNOWN - 1
NEAR_BORDER = 200.15
"""About as far beyond the border as the filter is sure of: its probability lies between the extremes."""


def alone(**rule: Any) -> RunConfig:
    return configuration(cameras=("top",), **rule)


def test_a_camera_that_comes_back_agrees_again_and_an_entry_stays_one_event() -> None:
    """Its time must not lie behind the others' by as long as it was gone: what both show would never meet."""

    def times(semantics: int) -> list[int]:
        rig = Rig(configuration(camera="all"), semantics)
        for camera, t_ms, epoch in (("top", 0, 0), ("side", 1, 0), ("top", 10_000, 0), ("side", 10_001, 1)):
            rig.observe(camera, t_ms, OUT, epoch=epoch)
        return [
            t_ms
            for t_ms in range(10_010, 10_060, 10)
            for camera, epoch in (("top", 0), ("side", 1))
            if rig.observe(camera, t_ms + epoch, IN, epoch=epoch)
        ]

    assert times(CURRENT) == [10_010]
    assert times(BEFORE) == [10_010, 10_020, 10_030, 10_040, 10_050]


def test_blocks_go_on_where_the_first_camera_is_gone() -> None:
    def block(semantics: int) -> str:
        config = configuration()
        config.protocol = [BlockConfig("stimulation", time="1 s"), BlockConfig("washout", rules=[])]
        rig = Rig(config, semantics)
        play(rig, [("top", 0, OUT), ("side", 1, OUT), ("side", 2000, OUT)])
        return rig.rules.protocol.block

    assert (block(CURRENT), block(BEFORE)) == ("washout", "stimulation")


def test_a_time_without_frames_breaks_a_hold() -> None:
    frames = [("top", t_ms, IN) for t_ms in (0, 3000, 3400, 3800, 4010)]
    after, before = (play(Rig(alone(hold="1 s"), number), frames) for number in (CURRENT, BEFORE))
    assert after == [("top", 4010, "fired", "condition")]
    assert before == [("top", 3000, "fired", "condition")]


def test_what_a_camera_saw_before_it_fell_silent_keeps_nothing_true() -> None:
    """The hysteresis of a frame from a second ago would fire at a probability far below the rule's."""
    frames = [("top", 0, IN), ("side", 1, IN), ("top", 10, OUT), ("top", 600, OUT)]
    frames.append(("side", 1000, NEAR_BORDER))
    config = configuration(probability=0.9, release=0.3)
    after, before = (play(Rig(config, number), frames) for number in (CURRENT, BEFORE))
    assert [t_ms for _, t_ms, *_ in after] == [0]
    assert [t_ms for _, t_ms, *_ in before] == [0, 1000]


def test_an_edge_from_before_the_first_frame_counts_for_nothing() -> None:
    """A lever that was pressed while the run waited for its start is no press of the animal's."""

    def events(semantics: int) -> list[int]:
        config = alone(when="line(lever)")
        config.inputs = {"lever": InputConfig("simulated")}
        config.protocol = [BlockConfig("task", trials=5, trial="1 s", trial_on="line(lever)")]
        rig = Rig(config, semantics)
        found = []
        for t_ms in (0, 10):
            for on in (True, False):
                rig.rules.states.inputs.take(Edge("lever", on, 0))
            found.append(len(rig.observe("top", t_ms, OUT)))
        return [*found, rig.rules.protocol.trial]

    assert events(CURRENT) == [0, 1, 0], "the event of the first trial has ended it"
    assert events(BEFORE)[0] == 1


def test_disarming_frees_the_lines_though_arm_comes_before_the_next_frame() -> None:
    config = run({"level": "on"}, {"pulse": "1 ms"})
    reasons = []
    for semantics in (CURRENT, BEFORE):
        rig = Rig(config, semantics)
        first = play(rig, [("top", 0, IN)])
        rig.rules.disarm()
        reasons.append([reason for *_, reason in [*first, *play(rig, [("top", 10, OUT)])]])
    assert reasons == [["condition", "condition"], ["condition", "busy"]]


def test_replay_frees_them_too() -> None:
    config = run({"level": "on"}, {"pulse": "1 ms"})
    replay = DecisionReplay(ReplaySetup(config, TRACKING, ["nose"], ["top"], {"laser": 0.0}))
    plan = replay._rules.rules[0].plan
    replay._rules.lines.take(plan, 0)
    replay.order(ControlRecord(t_ns=0, seq=1, do="arm"))
    assert replay._rules.lines.busy(plan, 1)
    replay.order(ControlRecord(t_ns=0, seq=2, do="disarm"))
    replay.order(ControlRecord(t_ns=0, seq=3, do="arm"))
    assert not replay._rules.lines.busy(plan, 1)


def test_yoked_times_that_passed_long_before_a_frame_came_are_late() -> None:
    config = alone(yoke_times_s=[0.05, 1.0, 2.0, 2.9])
    frames = [("top", t_ms, OUT) for t_ms in (0, 60, 3000, 3010, 3020)]
    after, before = (play(Rig(config, number), frames) for number in (CURRENT, BEFORE))
    late = ("top", 3000, "suppressed", "late")
    assert after == [("top", 60, "fired", "yoked"), late, late, ("top", 3000, "fired", "yoked")]
    assert [(t_ms, outcome) for _, t_ms, outcome, _ in before][1:] == [
        (3000, "fired"),
        (3010, "fired"),
        (3020, "fired"),
    ]
