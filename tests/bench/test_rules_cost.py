"""What rules cost is measured alike in the frame of a camera and in space."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench import rules_cost
from rt_pose.clock import HostClock


@pytest.mark.parametrize(
    ("sets", "measure"),
    [
        (rules_cost.SETS, rules_cost.measure),
        (rules_cost.SETS_IN_SPACE, rules_cost.measure_in_space),
    ],
)
def test_each_set_is_judged_on_an_animal_that_is_seen(
    sets: dict[str, list[str]],
    measure: Callable[..., dict[str, float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules_cost, "WARM_UP", 20)
    for whens in sets.values():
        found = measure(whens, None, 5, HostClock())
        assert found["n"] == 5
        assert 0 < found["p50_us"] <= found["p99_us"] <= found["max_us"]


def test_every_set_has_rules_by_probability_too() -> None:
    for whens in rules_cost.SETS_IN_SPACE.values():
        made = rules_cost.config(whens, 0.95, rules_cost.GROUP)
        assert [rule.view for rule in made.rules] == [rules_cost.GROUP] * 3
        rules_cost.make_rules(made, rules_cost.KEYPOINTS, {"laser": 2.0})
