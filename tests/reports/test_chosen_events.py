"""Of each rule the first, the median and the worst event are shown."""

from __future__ import annotations

from rt_pose.clock import NS_PER_MS
from rt_pose.records import EventRecord
from rt_pose.reports.chosen_events import chosen_events
from rt_pose.types import Event, Outcome


def event(
    number: int,
    delay_ms: float,
    rule: str = "reach",
    outcome: Outcome = "fired",
    probability: float | None = None,
) -> EventRecord:
    cause = number * 1000 * NS_PER_MS
    judged = cause + round(delay_ms * NS_PER_MS)
    made = Event(
        number,
        rule,
        0,
        outcome,
        "",
        probability,
        1.0,
        "top",
        number,
        cause,
        judged,
        judged + 1,
        deadline_met=True,
    )
    return EventRecord(t_ns=judged, seq=number, event=made)


def shown(events: list[EventRecord], camera: str = "top") -> list[tuple[int, str, str]]:
    return [(one.record.event.id, one.place, one.measure) for one in chosen_events(events, camera)]


def test_the_worst_is_the_one_decided_latest() -> None:
    events = [event(1, 20), event(2, 90), event(3, 30), event(4, 10), event(5, 40)]
    assert shown(events) == [
        (1, "first", "decided 20.0 ms after its exposure"),
        (3, "median", "decided 30.0 ms after its exposure"),
        (2, "worst", "decided 90.0 ms after its exposure"),
    ]
    assert shown(events, "side") == []
    assert len(chosen_events(events, "side", "top")) == 3, "of a camera and a group that it belongs to"


def test_where_the_rule_states_a_probability_the_worst_is_the_least_probable() -> None:
    events = [event(1, 90, probability=0.99), event(2, 10, probability=0.81), event(3, 20, probability=0.9)]
    assert shown(events) == [
        (1, "first", "probability 0.990"),
        (3, "median", "probability 0.900"),
        (2, "worst", "probability 0.810"),
    ]


def test_one_event_may_be_several_of_them() -> None:
    assert [place for _, place, _ in shown([event(1, 10)])] == ["only"]
    assert [(n, place) for n, place, _ in shown([event(1, 10), event(2, 20)])] == [
        (1, "first and median"),
        (2, "worst"),
    ]


def test_rules_are_taken_for_themselves_and_suppressed_events_only_where_there_are_no_others() -> None:
    events = [
        event(1, 80, outcome="suppressed"),
        event(2, 20, outcome="withheld"),
        event(3, 30, rule="rest", outcome="suppressed"),
        event(4, 30),
    ]
    assert [(n, place) for n, place, _ in shown(events)] == [
        (2, "first and median"),
        (4, "worst"),
        (3, "only"),
    ]
