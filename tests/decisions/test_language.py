"""What experiments want of time and chance: sequences, counts, repetitions, jitter, balance, order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from decisions.test_several_cameras import IN, OUT, Rig, configuration, play

from rt_pose.config.rules import ActionConfig, AfterConfig, BlockConfig, RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.explain import explain, seed_warnings
from rt_pose.decisions.protocol import make_protocol
from rt_pose.decisions.rule import make_rules
from rt_pose.errors import UserError


def two_rules(**second: Any) -> RunConfig:
    """`near` below x = 200; `second` with the keys given, on a line of its own."""
    config = configuration(cameras=("top",))
    values = {"name": "second", "when": "x(nose) > 250", "do": ActionConfig("laser", "1 ms", line=1)}
    config.rules.append(RuleConfig(**(values | second)))
    return config


def events(rig: Rig, frames: list[tuple[float, float]], rule: str = "second") -> list[tuple[float, str, str]]:
    return [(t, e.outcome, e.reason) for t, x in frames for e in rig.observe("top", t, x) if e.rule == rule]


def steps(*xs: float, step_ms: float = 10.0) -> list[tuple[float, float]]:
    return [(i * step_ms, x) for i, x in enumerate(xs)]


def test_a_sequence_fires_only_in_time_after_the_other() -> None:
    rig = Rig(two_rules(after=AfterConfig("near", within="100 ms")))
    frames = [(0, OUT), (10, IN), (50, OUT), (200, IN), (400, OUT)]
    assert events(rig, frames) == [(50, "fired", "condition")]


def test_a_delay_after_an_event_is_waited_for() -> None:
    after = AfterConfig("near", within="100 ms", delay="50 ms")
    rig = Rig(two_rules(when="x(nose) > 0", after=after))
    assert events(rig, steps(OUT, IN, *[OUT] * 8)) == [(60, "fired", "condition")]


def test_the_third_in_a_window_counts() -> None:
    rig = Rig(two_rules(when="x(nose) > 0", after=AfterConfig("near", within="1 s", count=3)))
    visits = [(t + d, x) for t in (0, 600, 1200, 1500, 1900) for d, x in ((0, IN), (10, OUT))]
    assert [t for t, *_ in events(rig, visits)] == [1500]


def test_withheld_events_count_as_fired_ones_do() -> None:
    config = two_rules(after=AfterConfig("near", within="100 ms"))
    config.rules[0].withhold = 1.0
    assert events(Rig(config), [(0, IN), (50, OUT)]) == [(50, "fired", "condition")]


def test_a_repetition_comes_while_it_stays_true() -> None:
    rig = Rig(configuration(cameras=("top",), repeat="30 ms"))
    frames = [("top", t, x) for t, x in steps(OUT, *[IN] * 8, *[OUT] * 4, IN)]
    assert [t for _, t, *_ in play(rig, frames)] == [10, 40, 70, 130]


def test_what_an_order_held_back_is_not_repeated() -> None:
    rig = Rig(configuration(cameras=("top",), repeat="30 ms"))
    rig.rules.protocol.order("set", {"parameter": "rules.near.enabled", "value": False})
    first = play(rig, [("top", t, IN) for t in (0, 10)])
    rig.rules.protocol.order("set", {"parameter": "rules.near.enabled", "value": True})
    assert first == [("top", 0, "suppressed", "disabled")]
    assert play(rig, [("top", t, IN) for t in range(20, 200, 10)]) == []


def test_random_intervals_come_from_the_seed() -> None:
    def fired(seed: int) -> list[float]:
        config = configuration(cameras=("top",), refractory="100 ms", refractory_jitter="200 ms")
        config.seed = seed
        frames = [("top", t, x) for t, x in steps(*[IN, OUT] * 500)]
        return [t for _, t, outcome, _ in play(Rig(config), frames) if outcome == "fired"]

    times = fired(1)
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) >= 100
    assert max(gaps) <= 320
    assert len(set(gaps)) > 5
    assert times == fired(1) != fired(2)


def test_balanced_controls_are_exact_in_each_block_and_not_at_fixed_places() -> None:
    config = configuration(cameras=("top",), withhold=0.2, withhold_block=10)
    frames = [("top", t, x) for t, x in steps(*[IN, OUT] * 300)]
    outcomes = [outcome for *_, outcome, _ in play(Rig(config), frames)]
    blocks = [outcomes[i : i + 10] for i in range(0, 300, 10)]
    assert [block.count("withheld") for block in blocks] == [2] * 30
    assert len({tuple(block) for block in blocks}) > 10


def test_blocks_are_shuffled_by_the_seed_alone() -> None:
    def order(seed: int, how: str = "shuffled") -> list[str]:
        config = configuration()
        config.protocol = [BlockConfig(name, events=1) for name in "abcdefgh"]
        config.protocol_order, config.seed = how, seed  # type: ignore[assignment]
        protocol, seen = make_protocol(config), []
        while protocol.block:
            seen.append(protocol.block)
            protocol.count_event()
        return seen

    assert order(0, "written") == list("abcdefgh")
    assert sorted(order(3)) == list("abcdefgh")
    assert order(3) == order(3) != order(4)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"after": AfterConfig("nera", within="1 s")}, "no rule 'nera', did you mean 'near'?"),
        ({"after": AfterConfig("second", within="1 s")}, "expected another rule"),
        ({"after": AfterConfig("near", within="1 s", delay="2 s")}, "expected more than the delay"),
        ({"after": AfterConfig("near", within="1 s", count=0)}, "expected 1 to 1000"),
        ({"withhold": 0.25, "withhold_block": 10}, "of which 0.25 is 2.5"),
        ({"repeat": "0 ms"}, "expected 1 ms or more"),
    ],
)
def test_what_makes_no_sense_is_refused(rule: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        Rig(two_rules(**rule))
    assert expected in str(caught.value)


def test_each_is_explained() -> None:
    config = two_rules(
        after=AfterConfig("near", within="60 s", delay="1 s", count=3),
        repeat="2 s",
        refractory="1 s",
        refractory_jitter="3 s",
        withhold=0.2,
        withhold_block=10,
    )
    text = explain(make_rules(config, ["nose"], {"laser": 0.0})[1], config)
    for clause in (
        "at least 1 s and at most 60 s after 3 events of near",
        "again each 2 s while it holds",
        "not again for 1 s and up to 3 s more",
        "20 % of it withheld as controls, exactly in each 10",
    ):
        assert clause in text


def test_a_yoked_rule_claims_nothing_that_the_other_session_decided() -> None:
    ignored = {"hold": "1 s", "refractory": "1 s", "repeat": "2 s", "withhold": 0.5}
    config = two_rules(yoke="sessions/a", yoke_times_s=[], after=AfterConfig("near", within="1 s"), **ignored)
    text = explain(make_rules(config, ["nose"], {"laser": 0.0})[1], config)
    assert text.startswith("second: at the times at which it fired in session sessions/a, laser line 1 gives")
    assert not [word for word in ("break", "again", "withheld", "after an event") if word in text]


def test_what_every_session_without_a_seed_of_its_own_draws_alike_is_said() -> None:
    config = two_rules(withhold=0.2, withhold_block=10, refractory_jitter="1 s")
    (warning,) = seed_warnings(config)
    assert warning.startswith(
        "seed 0 draws the balanced controls of second and the refractory times of second as in every session"
    )
    config.seed = 3
    assert seed_warnings(config) == seed_warnings(two_rules(withhold=0.2)) == []
