"""Which events of each rule a report shows in pictures: the first, the median and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rt_pose.clock import NS_PER_MS
from rt_pose.records import EventRecord

PLACES = ("first", "median", "worst")
ONLY = "only"
"""Place of an event whose rule has no other."""


@dataclass(frozen=True, slots=True)
class ChosenEvent:
    """An event that is shown, and why it is that one."""

    record: EventRecord
    place: str
    """`first`, `median`, `worst`, several of these, or `only`."""
    measure: str
    """By what the events of its rule were ordered, with its own value."""


def chosen_events(events: Sequence[EventRecord], *cameras: str) -> list[ChosenEvent]:
    """Choose the events to show: of each rule the first, the median and the worst.

    The worst is the least probable one, where the rule states a probability, else the one that was decided
    latest after the exposure that caused it. Suppressed events count only where a rule has no others.

    Parameters
    ----------
    events
        In order of time.
    *cameras
        Those of these cameras, or groups of views, are chosen.

    Returns
    -------
    list[ChosenEvent]
        At most three a rule, the rules in the order of their first events.
    """
    by_rule: dict[str, list[EventRecord]] = {}
    for record in events:
        if record.event.camera in cameras:
            by_rule.setdefault(record.event.rule, []).append(record)
    return [chosen for own in by_rule.values() for chosen in _of_rule(own)]


def _of_rule(own: list[EventRecord]) -> list[ChosenEvent]:
    decided = [record for record in own if record.event.outcome != "suppressed"] or own
    probable = all(record.event.probability is not None for record in decided)
    ranked = sorted(decided, key=_improbability if probable else _delay_ms)
    picked = dict(zip(PLACES, (decided[0], ranked[(len(ranked) - 1) // 2], ranked[-1]), strict=True))
    places: dict[int, list[str]] = {}
    for place, record in picked.items():
        places.setdefault(record.event.id, []).append(place)
    return [
        ChosenEvent(
            record,
            ONLY if len(decided) == 1 else " and ".join(places[event_id]),
            _measure(record, probable),
        )
        for event_id, record in {record.event.id: record for record in picked.values()}.items()
    ]


def _measure(record: EventRecord, probable: bool) -> str:
    if probable:
        return f"probability {record.event.probability:.3f}"
    return f"decided {_delay_ms(record):.1f} ms after its exposure"


def _improbability(record: EventRecord) -> float:
    return 1.0 - (record.event.probability or 0.0)


def _delay_ms(record: EventRecord) -> float:
    """From the exposure that caused an event to its decision."""
    return (record.event.t_judged_ns - record.event.t_cause_ns) / NS_PER_MS
