"""Blocks, trials and parameters: what switches them, and that nothing else does."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import pytest

from rt_pose.config.rules import ActionConfig, BlockConfig, RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.protocol import Protocol, make_protocol
from rt_pose.decisions.rig_time import RigTime
from rt_pose.errors import UserError
from rt_pose.types import FrameStamps

MS = 1_000_000


def protocol(*blocks: BlockConfig, probability: float | None = 0.9) -> Protocol:
    do = ActionConfig(output="laser", pulse="5 ms")
    rules = [RuleConfig("reach", "speed(nose) > 1", do, probability=probability), RuleConfig("b", "x", do)]
    return make_protocol(RunConfig(rules=rules, protocol=list(blocks)))


TIMES: WeakKeyDictionary[Protocol, RigTime] = WeakKeyDictionary()
"""The rig's time of each protocol."""


def at(made: Protocol, t_ms: float, camera: str = "top", epoch: int = 0) -> tuple[str, int]:
    t_ns = round(t_ms * MS)
    stamps = FrameStamps(0, t_ns, t_ns, t_ns, epoch=epoch)
    made.advance(camera, stamps, TIMES.setdefault(made, RigTime()).advance(camera, stamps))
    return made.block, made.trial


def test_without_a_protocol_all_rules_are_enabled() -> None:
    made = protocol()
    assert at(made, 5) == ("", 0)
    assert made.forbids("reach") == ""
    made.count_event()


def test_time_switches_blocks_from_the_first_frame_on() -> None:
    made = protocol(
        BlockConfig("baseline", rules=[], time="1 s"), BlockConfig("stim", rules=["reach"], time="2 s")
    )
    assert at(made, 5_000) == ("baseline", 0)
    assert made.forbids("reach") == "block"
    assert at(made, 5_999)[0] == "baseline"
    assert at(made, 6_000)[0] == "stim"
    assert (made.forbids("reach"), made.forbids("b")) == ("", "block")
    assert at(made, 8_000)[0] == ""
    assert made.forbids("reach") == "block"


def test_blocks_keep_their_schedule_where_frames_are_missing() -> None:
    made = protocol(*(BlockConfig(name, time="1 s") for name in ("a", "b", "c")), BlockConfig("d"))
    at(made, 0)
    assert at(made, 2_500)[0] == "c"
    assert at(made, 3_000)[0] == "d"
    assert at(made, 1e9)[0] == "d"


def test_a_recording_wound_back_goes_on_in_run_time() -> None:
    made = protocol(BlockConfig("a", time="1 s"), BlockConfig("b"))
    at(made, 0)
    assert at(made, 700)[0] == "a"
    assert at(made, 0, epoch=1)[0] == "a"
    assert at(made, 290, epoch=1)[0] == "a"
    assert at(made, 310, epoch=1)[0] == "b"


def test_time_goes_on_after_a_clock_that_stepped_back() -> None:
    made = protocol(BlockConfig("a", time="1 s"), BlockConfig("b"))
    for t_ms in (1000, 1100, 1050, 1200):  # one frame out of order counts for nothing
        assert at(made, t_ms)[0] == "a"
    assert made.time.elapsed_ns == 200 * MS
    for t_ms in range(0, 800, 100):  # eight in a row: the clock stepped back
        at(made, t_ms)
    assert made.time.elapsed_ns == 200 * MS
    assert at(made, 1_490)[0] == "a"
    assert at(made, 1_510)[0] == "b"


def test_every_camera_moves_time_and_none_moves_it_back() -> None:
    made = protocol(BlockConfig("a", time="1 s"), BlockConfig("b", time="1 s"), BlockConfig("c"))
    at(made, 0)
    assert at(made, 990, camera="side")[0] == "a"
    assert at(made, 1_010, camera="side")[0] == "b"
    assert at(made, 1_005)[0] == "b"
    assert at(made, 1_995)[0] == "b"
    assert at(made, 2_001)[0] == "c"


def test_counts_of_events_switch() -> None:
    made = protocol(BlockConfig("a", events=2), BlockConfig("b"))
    at(made, 0)
    made.count_event()
    assert made.block == "a"
    made.count_event()
    assert made.block == "b"
    made.count_event()
    assert made.block == "b"


def test_trials_end_with_an_event_or_their_time_and_pause() -> None:
    made = protocol(BlockConfig("stim", trials=3, trial="1 s", inter_trial="200 ms"), BlockConfig("after"))
    assert at(made, 0) == ("stim", 1)
    assert at(made, 400) == ("stim", 1)
    made.count_event()
    assert (made.trial, made.forbids("reach")) == (0, "inter-trial")
    assert at(made, 590) == ("stim", 0)
    assert at(made, 600) == ("stim", 2)
    assert made.forbids("reach") == ""
    assert at(made, 1_650) == ("stim", 0)  # it timed out at 1600
    assert at(made, 1_800) == ("stim", 3)
    made.count_event()
    assert (made.block, made.trial) == ("after", 0)


def test_trials_are_numbered_over_the_run_and_blocks_may_come_again() -> None:
    made = protocol(BlockConfig("a", trials=1), BlockConfig("pause", time="1 s"), BlockConfig("a", trials=1))
    assert at(made, 0) == ("a", 1)
    made.count_event()
    assert at(made, 10) == ("pause", 0)
    assert at(made, 1_000) == ("a", 2)


def test_orders_jump_to_blocks() -> None:
    made = protocol(BlockConfig("a"), BlockConfig("b", time="1 s"), BlockConfig("a", rules=[]))
    at(made, 0)
    at(made, 500)
    made.order("block", {"name": "b"})
    assert at(made, 1_400)[0] == "b"
    assert at(made, 1_500)[0] == "a"
    assert made.forbids("reach") == "block"
    made.order("block", {"name": "a"})  # no later one: the first
    assert made.forbids("reach") == ""


def test_parameters_are_set() -> None:
    made = protocol()
    made.order("set", {"parameter": "rules.reach.probability", "value": 0.5})
    made.order("set", {"parameter": "rules.reach.release", "value": 0})
    assert (made.parameters["reach"].probability, made.parameters["reach"].release) == (0.5, 0.0)
    made.order("set", {"parameter": "rules.b.enabled", "value": False})
    assert made.forbids("b") == "disabled"


@pytest.mark.parametrize(
    ("do", "args", "expected"),
    [
        ("block", {"name": "bass"}, "there is no block 'bass', did you mean 'base'?"),
        ("block", {}, "there is no block None"),
        ("block", {"name": ["base"]}, "there is no block"),
        (
            "set",
            {"parameter": "rules.reach.probabilty", "value": 1},
            "did you mean 'rules.reach.prob",
        ),
        ("set", {"parameter": ["x"], "value": 1}, "nothing to set"),
        ("set", {"parameter": "rules.b.probability", "value": 0.5}, "nothing to set"),
        ("set", {"parameter": "rules.reach.probability", "value": 2}, "from 0 to 1, got 2"),
        ("set", {"parameter": "rules.reach.probability", "value": True}, "got True"),
        ("set", {"parameter": "rules.reach.probability", "value": float("nan")}, "got nan"),
        ("set", {"parameter": "rules.reach.enabled", "value": 1}, "expected true or false"),
        ("mark", {"text": 3}, "expected a text"),
        ("mark", {}, "expected a text"),
    ],
)
def test_orders_that_cannot_be(do: str, args: dict[str, object], expected: str) -> None:
    made = protocol(BlockConfig("base"))
    with pytest.raises(UserError) as caught:
        made.order(do, args)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"rules": ["rech"]}, "there is no rule 'rech', did you mean 'reach'?"),
        ({"events": 0}, "events: expected 1 or more"),
        ({"trials": 0}, "trials: expected 1 or more"),
        ({"time": "0 s"}, "time: expected more than 0"),
        ({"trial": "5"}, "expected a length of time"),
        ({"inter_trial": "x"}, "expected a length of time"),
    ],
)
def test_blocks_that_cannot_be_meant(block: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match="protocol: block 'a'") as caught:
        protocol(BlockConfig("a", **block))  # type: ignore[arg-type]
    assert expected in str(caught.value)
