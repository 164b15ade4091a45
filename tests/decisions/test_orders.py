"""Orders set off nothing: a condition that `set` made true is used up."""

from __future__ import annotations

import pytest
from decisions.test_several_cameras import IN, OUT, Rig, configuration

from rt_pose.errors import UserError
from rt_pose.rules.semantics import FIRST

NEAR_BORDER = 200.15
"""About as far beyond the border as the filter is sure of: its probability lies between the extremes."""


def rig(semantics: int = 2) -> Rig:
    return Rig(configuration(cameras=("top",), probability=0.9), semantics)


def outcomes(world: Rig, t_ms: float, x: float) -> list[tuple[str, str]]:
    return [(e.outcome, e.reason) for e in world.observe("top", t_ms, x)]


def lower(world: Rig, to: float) -> None:
    world.rules.protocol.order("set", {"parameter": "rules.near.probability", "value": to})


def test_a_lower_threshold_fires_nothing_while_the_animal_is_still() -> None:
    world = rig()
    assert outcomes(world, 0, NEAR_BORDER) == outcomes(world, 10, NEAR_BORDER) == []
    lower(world, 0.3)
    assert outcomes(world, 20, NEAR_BORDER) == [("suppressed", "order")]
    assert outcomes(world, 30, NEAR_BORDER) == []


def test_what_the_animal_does_afterwards_counts() -> None:
    world = rig()
    outcomes(world, 0, NEAR_BORDER)
    lower(world, 0.3)
    outcomes(world, 10, NEAR_BORDER)
    assert outcomes(world, 20, OUT) == []
    again = [event for t in range(30, 80, 10) for event in outcomes(world, t, IN)]
    assert again == [("fired", "condition")]


def test_an_entry_in_the_very_frame_of_the_order_is_the_animals() -> None:
    world = rig()
    outcomes(world, 0, OUT)
    lower(world, 0.5)
    assert outcomes(world, 10, 100.0) == [("fired", "condition")]


def test_sessions_of_before_the_number_fired_then() -> None:
    world = rig(FIRST)
    outcomes(world, 0, NEAR_BORDER)
    lower(world, 0.3)
    assert outcomes(world, 10, NEAR_BORDER) == [("fired", "condition")]


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan"), "0.5", True, None])
def test_probabilities_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(UserError, match="expected"):
        rig().rules.protocol.order("set", {"parameter": "rules.near.probability", "value": value})


def test_sessions_of_before_the_number_took_0_and_1() -> None:
    protocol = rig(FIRST).rules.protocol
    protocol.order("set", {"parameter": "rules.near.probability", "value": 0.0})
    assert protocol.parameters["near"].probability == 0.0
