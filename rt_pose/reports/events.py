"""What happened in a session: its events, what became of their commands, orders and blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.delivery import DELIVERIES, add_up, count_failures, deliveries
from rt_pose.session.individuals import individuals_of, name_of
from rt_pose.session.read import Session
from rt_pose.types import Event

OUTCOMES = ("fired", "withheld", "suppressed")
MAX_EVENT_ROWS = 2000
"""Of more events a page gets too large to be opened; suppressed ones are left out first."""
EVENT_HEAD = ["s", "rule", "camera", "outcome", "reason", "delivery", "value", "probability"]
EVENT_HEAD += ["judged after, ms", "frame", "block", "trial"]
"""Headings of `event_rows`."""


def event_counts(session: Session) -> dict[str, dict[str, int]]:
    """Count events by rule and outcome.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, dict[str, int]]
        By rule and outcome; a configured rule that never came true has zeros.
    """
    rules = [rule["name"] for rule in session.info.config.get("rules", [])]
    counts = {rule: dict.fromkeys(OUTCOMES, 0) for rule in rules}
    for record in session.events:
        counts.setdefault(record.event.rule, dict.fromkeys(OUTCOMES, 0))[record.event.outcome] += 1
    return counts


def suppressed_counts(session: Session) -> dict[str, dict[str, int]]:
    """Count the suppressed events of each rule by reason.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, dict[str, int]]
        By rule and reason, the most frequent first; a rule of which nothing was suppressed is left out.
    """
    counts: dict[str, Counter[str]] = {}
    for event in (record.event for record in session.events):
        if event.outcome == "suppressed":
            counts.setdefault(event.rule, Counter())[event.reason] += 1
    return {rule: dict(found.most_common()) for rule, found in counts.items()}


def command_counts(session: Session) -> dict[str, Any]:
    """Count commands of fired events, and what became of them.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        given (to an output), refused (by the output's queue), acknowledged and not_carried_out; `why` counts
        the reasons of those that were not acknowledged. `by_rule` has every fired event by rule and delivery
        (`rt_pose.delivery`), `delivery` adds them up, `failed` counts those that an output failed.
    """
    failed = sum(not record.ack.ok for record in session.acks)
    found = deliveries(session.commands, session.acks)
    by_rule: dict[str, dict[str, int]] = {
        rule: dict.fromkeys(DELIVERIES, 0) for rule in event_counts(session)
    }
    for event in (record.event for record in session.events):
        if event.outcome == "fired":
            by_rule[event.rule][found.get(event.id, ("unknown", ""))[0]] += 1
    total = add_up(by_rule.values())
    return {
        "given": len(session.commands),
        "refused": sum(not record.accepted for record in session.commands),
        "acknowledged": len(session.acks) - failed,
        "not_carried_out": failed,
        "why": dict(Counter(why for delivery, why in found.values() if delivery != "acknowledged")),
        "delivery": total,
        "by_rule": by_rule,
        "failed": count_failures(total),
    }


def orders(session: Session) -> list[dict[str, Any]]:
    """List the orders that the run was given, marks among them.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[dict[str, Any]]
        Of each `t_s` (s after the first frame; None where there is none), `do`, `args` and `origin`.
    """
    return [
        {
            "t_s": seconds_into(session, record.t_ns),
            "do": record.do,
            "args": record.args,
            "origin": record.origin,
        }
        for record in session.controls
    ]


def blocks(session: Session) -> list[dict[str, Any]]:
    """Count the events of each block of the protocol.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[dict[str, Any]]
        Of each stay in a block with events: `block`, `first_s` and `last_s` (its first and last event, s
        after the first frame), `last_trial`, and the number of events by outcome.
    """
    found: list[dict[str, Any]] = []
    for event in (record.event for record in session.events):
        if not event.block:
            continue
        at = seconds_into(session, event.t_judged_ns)
        if not found or found[-1]["block"] != event.block:
            found.append({"block": event.block, "first_s": at, **dict.fromkeys(OUTCOMES, 0)})
        found[-1] |= {"last_s": at, "last_trial": event.trial, event.outcome: found[-1][event.outcome] + 1}
    return found


def seconds_into(session: Session, t_ns: int) -> float | None:
    """Convert a host time to the time of the run.

    Parameters
    ----------
    session
        The session.
    t_ns
        Host time, ns.

    Returns
    -------
    float or None
        s after the first frame; None where the session has no frame.
    """
    if not session.frames:
        return None
    return round((t_ns - session.frames[0].stamps.t_arrival_ns) / NS_PER_S, 4)


def event_rows(session: Session) -> list[list[str]]:
    """Tabulate the events for the page.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[list[str]]
        In order of time, at most `MAX_EVENT_ROWS`: time (s), rule (of several individuals for which), camera,
        outcome, reason, delivery, value, probability, time from the cause to the decision (ms), frame, block
        and trial.
    """
    found = deliveries(session.commands, session.acks)
    names = individuals_of(session)
    return [_row(session, names, event, found.get(event.id, ("", ""))) for event in _shown_events(session)]


def _shown_events(session: Session) -> list[Event]:
    events = [record.event for record in session.events]
    room = MAX_EVENT_ROWS - sum(event.outcome != "suppressed" for event in events)
    shown = []
    for event in events:
        room -= event.outcome == "suppressed"
        if event.outcome != "suppressed" or room >= 0:
            shown.append(event)
    return shown[:MAX_EVENT_ROWS]


def _row(session: Session, names: Sequence[str], event: Event, delivered: tuple[str, str]) -> list[str]:
    at, (delivery, why) = seconds_into(session, event.t_judged_ns), delivered
    return [
        "" if at is None else f"{at:.3f}",
        f"{event.rule} of {name_of(names, event.individual)}" if len(names) > 1 else event.rule,
        event.camera,
        event.outcome,
        event.reason,
        f"{delivery}: {why}" if why and delivery != "acknowledged" else delivery,
        f"{event.value:.4g}",
        "" if event.probability is None else f"{event.probability:.3f}",
        f"{(event.t_judged_ns - event.t_cause_ns) / NS_PER_MS:.2f}",
        str(event.frame_index),
        event.block,
        str(event.trial or ""),
    ]
