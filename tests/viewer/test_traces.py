"""Ticks and scales of the curves."""

from __future__ import annotations

import pytest
import support.qt  # noqa: F401 - skips where Qt cannot be loaded

from rt_pose.clock import NS_PER_S
from rt_pose.viewer.messages import EventBody
from rt_pose.viewer.traces import event_ticks, nice_ceiling


@pytest.mark.parametrize(
    ("value", "ceiling"),
    [(0.0, 1.0), (-3.0, 1.0), (float("nan"), 1.0), (1.0, 1.0), (1.2, 1.5), (55, 70), (99, 100), (100.1, 150)],
)
def test_scales_end_on_round_numbers(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


def test_ticks_stand_at_their_cause_in_the_row_of_their_rule() -> None:
    def event(rule: str, outcome: str, ago_s: float) -> EventBody:
        return EventBody(rule=rule, outcome=outcome, t_cause_ns=round((100 - ago_s) * NS_PER_S))

    events = [
        event("a", "fired", 11.0),
        event("a", "fired", 4.0),
        event("a", "suppressed", 3.0),
        event("unknown", "fired", 2.0),
        EventBody(rule="b", outcome="fired", t_judged_ns=99 * NS_PER_S),
        EventBody(rule="b", outcome="fired"),
    ]
    points = event_ticks(events, {"a": 1, "b": 0}, "fired", 100 * NS_PER_S)
    assert points[:, 0].tolist() == [-4.0, -4.0, -1.0, -1.0]
    assert points[:, 1].tolist() == pytest.approx([0.64, 1.36, -0.36, 0.36])
