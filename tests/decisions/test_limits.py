"""Caps on what a line is asked, against a count by brute force."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_pose.config.schema import LimitsConfig, OutputConfig, RunConfig
from rt_pose.decisions.action import ActionPlan
from rt_pose.decisions.limits import Cap, Limits, make_limits
from rt_pose.errors import UserError

S = 1_000_000_000
PULSE = ActionPlan("box", 0, "pulse", 500_000)


def asked(limits: Limits, plan: ActionPlan, t_s: float) -> bool:
    """Whether the action may go out at that time; then it does."""
    t_ns = round(t_s * S)
    if limits.exceeded(plan, t_ns):
        return False
    limits.count(plan, t_ns)
    return True


def test_pulses_in_any_minute() -> None:
    limits = Limits({"box": Cap(pulses=3)})
    times = [0, 1, 2, 3, 59.999, 60, 60.5, 61, 62]
    assert [t for t in times if asked(limits, PULSE, t)] == [0, 1, 2, 60, 61, 62]


def test_pulses_of_a_train_count_when_they_come() -> None:
    limits = Limits({"box": Cap(pulses=6)})
    train = ActionPlan("box", 0, "train", 1000, 20_000_000, 4)  # at 0, 20, 40, 60 s
    assert asked(limits, train, 0)
    assert [asked(limits, PULSE, t) for t in (1, 2, 3, 4)] == [True, True, True, False]
    assert not asked(limits, train, 5), "the pulses it has still to give count as well"


def test_each_line_and_each_output_has_its_own() -> None:
    limits = Limits({"box": Cap(pulses=1)})
    assert asked(limits, PULSE, 0)
    assert asked(limits, ActionPlan("box", 1, "pulse", 1000), 0)
    assert [asked(limits, ActionPlan("free", 0, "pulse", 1000), 0) for _ in range(5)] == [True] * 5
    assert not asked(limits, PULSE, 1)


def test_share_of_time_on() -> None:
    limits = Limits({"box": Cap(on_ns=S, window_ns=10 * S)})
    assert [asked(limits, PULSE, t) for t in (0, 1, 2, 9.4, 10, 10.4, 11)] == [
        True,  # on 0 to 0.5
        True,  # on 1 to 1.5
        False,
        False,  # at 9.9 the window from 0 would hold 1.4 s
        True,  # what is over in the window behind it makes room
        False,
        True,
    ]


def test_what_a_line_is_doing_counts_once() -> None:
    limits = Limits({"box": Cap(on_ns=S, window_ns=10 * S)})
    assert all(asked(limits, PULSE, 0.1 * i) for i in range(5))  # on from 0 to 0.9 without a break
    assert not asked(limits, PULSE, 0.7)


def test_a_level_that_is_ended_counts_as_long_as_it_was_on() -> None:
    limits = Limits({"box": Cap(on_ns=3 * S, window_ns=10 * S)})
    on = ActionPlan("box", 0, "level", 2_000_000)
    assert asked(limits, on, 0)
    assert not asked(limits, on, 2.5)
    assert asked(limits, ActionPlan("box", 0, "level", amplitude=0.0), 2.5)
    ended = Limits({"box": Cap(on_ns=3 * S, window_ns=10 * S)})
    assert asked(ended, on, 0)
    assert asked(ended, ActionPlan("box", 0, "stop"), 0.5)
    assert asked(ended, on, 2.5)


def test_what_ends_and_what_says_is_never_over_a_cap() -> None:
    limits = Limits({"box": Cap(pulses=1)})
    assert asked(limits, PULSE, 0)
    for plan in (ActionPlan("box", 0, "stop"), ActionPlan("box", 0, "level", amplitude=0.0)):
        assert asked(limits, plan, 0.1)
    assert asked(limits, ActionPlan("box", 0, "message", message="x"), 0.1)


def most_on(spans: list[tuple[int, int]], window: int) -> int:
    """Longest time on in a window, millisecond by millisecond."""
    on = set()
    for begin, end in spans:
        on |= set(range(begin, end))
    last = max(on) + 1
    return max(len(on & set(range(t, t + window))) for t in range(-window, last))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 15), st.integers(1, 4)), min_size=1, max_size=8),
    st.integers(5, 40),
)
def test_no_sequence_exceeds_the_duty(asks: list[tuple[int, int, int]], allowed: int) -> None:
    """Whatever is asked, what goes out stays within the cap; and what is refused would not have."""
    window, t, spans = 50, 0, []
    limits = Limits({"box": Cap(on_ns=allowed * 1_000_000, window_ns=window * 1_000_000)})
    for wait, length, count in asks:
        t += wait
        more = [(t + i * 20, t + i * 20 + length) for i in range(count)]
        plan = ActionPlan("box", 0, "train", length * 1000, 20_000, count)
        taken = asked(limits, plan, t / 1000)
        assert taken == (most_on(spans + more, window) <= allowed)
        if taken:
            spans += more


def config(limits: LimitsConfig) -> RunConfig:
    return RunConfig(outputs={"box": OutputConfig("simulated", limits=limits)})


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (LimitsConfig(max_pulses_per_minute=0), "expected 1 or more, got 0"),
        (LimitsConfig(max_duty=0.0), "expected more than 0, at most 1, got 0"),
        (LimitsConfig(max_duty=float("nan")), "expected more than 0, at most 1, got nan"),
        (LimitsConfig(duty_window="10 ms"), "duty_window: expected 1 s to 60 min"),
        (LimitsConfig(max_duty=0.004, duty_window="1 s"), "rule 'r': do: a single pulse exceeds outputs.box"),
    ],
)
def test_limits_that_cannot_be_meant(limits: LimitsConfig, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        make_limits(config(limits), {"r": ActionPlan("box", 0, "pulse", 5000)})
    assert expected in str(caught.value)


def test_a_level_without_end_does_not_go_with_a_duty() -> None:
    with pytest.raises(UserError, match="add `at_most: 10 s`"):
        make_limits(config(LimitsConfig(max_duty=0.5)), {"r": ActionPlan("box", 0, "level")})
    make_limits(config(LimitsConfig(max_pulses_per_minute=5)), {"r": ActionPlan("box", 0, "level")})
