"""Deadlines that can never be met are found before the first frame."""

from __future__ import annotations

import pytest

from rt_pose.clock import FakeClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.decisions.rule import make_rules
from rt_pose.errors import UserError
from rt_pose.loop.self_test import check_deadlines, time_chain


def configuration(**rule: str) -> RunConfig:
    do = ActionConfig(output="laser", pulse="5 ms")
    return RunConfig(
        outputs={"laser": OutputConfig("simulated")},
        rules=[RuleConfig(name="near", when="x(nose) < 5", do=do, **rule)],  # type: ignore[arg-type]
        budget_ms=20.0,
    )


def warnings(config: RunConfig, chain_ms: float) -> list[str]:
    return check_deadlines(config, make_rules(config, ["nose"], {"laser": 0.0}), chain_ms)


def test_the_chain_is_timed_by_its_median() -> None:
    clock = FakeClock()
    lengths = iter([90, *[4] * 19])
    assert time_chain(lambda: clock.advance_ms(next(lengths)), clock) == pytest.approx(4.0)


def test_a_budget_that_can_be_met_is_met_with_silence() -> None:
    assert warnings(configuration(), 19.0) == []


def test_an_impossible_budget_is_told_with_what_it_would_take() -> None:
    budget, rule = warnings(configuration(), 21.5)
    assert "budget_ms: 20 ms cannot be met" in budget
    assert "21.50 ms" in budget
    assert "rule 'near': deadline 20 ms" in rule
    assert "it will never fire" in rule


def test_a_rules_own_deadline_is_looked_at_too() -> None:
    assert len(warnings(configuration(deadline="1 ms"), 5.0)) == 1
    assert "always fire late" in warnings(configuration(deadline="1 ms", late="fire"), 5.0)[0]


def test_the_run_is_refused_where_that_is_wanted() -> None:
    config = configuration()
    config.budget_check = "refuse"
    with pytest.raises(UserError, match="cannot be met"):
        warnings(config, 30.0)
    config.budget_check = "off"
    assert warnings(config, 30.0) == []
