"""What is known of each rule, a row each; no Qt in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rt_pose.clock import NS_PER_S
from rt_pose.delivery import count_failures
from rt_pose.session.individuals import name_of
from rt_pose.viewer.messages import EventBody, StatsBody


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule."""

    name: str
    counts: str
    """In short."""
    failed: bool
    hint: str
    ticks: list[tuple[float, str]]
    """Of its events within the span: seconds from the present 0, and the outcome."""


def event_time(event: EventBody) -> int | None:
    """Get the time at which an event stands on a time axis.

    Parameters
    ----------
    event
        The event.

    Returns
    -------
    int | None
        Its cause, or its decision where that is not known, ns.
    """
    return event.t_judged_ns if event.t_cause_ns is None else event.t_cause_ns


def rule_rows(
    rules: Sequence[str],
    events: Iterable[EventBody],
    stats: StatsBody | None,
    now_ns: int,
    span_s: tuple[float, float],
    individuals: Sequence[str] = (),
) -> list[RuleRow]:
    """Sum up the rules of a run.

    Parameters
    ----------
    rules
        Their names, in order.
    events
        Events, oldest first.
    stats
        Counts of the run; None counts the events.
    now_ns
        Where 0 of the time axis is, ns.
    span_s
        Ends of the time axis, s.
    individuals
        Names of several individuals; empty where there is one.

    Returns
    -------
    list[RuleRow]
        A row a rule.
    """
    by_rule: dict[str, list[EventBody]] = {rule: [] for rule in rules}
    for event in events:
        if event.rule in by_rule:
            by_rule[event.rule].append(event)
    return [_row(rule, by_rule[rule], stats, now_ns, span_s, individuals) for rule in rules]


def _row(
    rule: str,
    events: list[EventBody],
    stats: StatsBody | None,
    now_ns: int,
    span_s: tuple[float, float],
    individuals: Sequence[str],
) -> RuleRow:
    counted = Counter(event.outcome for event in events) if stats is None else stats.events.get(rule, {})
    failed = 0 if stats is None else count_failures(stats.deliveries.get(rule, {}))
    shown = {outcome: n for outcome, n in counted.items() if n}
    words = [f"{n} {outcome}" for outcome, n in shown.items()] + [f"{failed} FAILED"] * bool(failed)
    short = " ".join(f"{n}{outcome[0]}" for outcome, n in shown.items()) + f" {failed}!" * bool(failed)
    lines = [rule, ", ".join(words) or "no events"]
    if events:
        lines.append(f"last: {describe_event(events[-1], individuals)}")
    ticks = []
    for event in events:
        t_ns = event_time(event)
        if t_ns is not None and span_s[0] <= (t_s := (t_ns - now_ns) / NS_PER_S) <= span_s[1]:
            ticks.append((t_s, event.outcome))
    return RuleRow(rule, short.strip(), bool(failed), "\n".join(lines), ticks)


def describe_event(event: EventBody, individuals: Sequence[str] = ()) -> str:
    """Describe an event in a line.

    Parameters
    ----------
    event
        The event.
    individuals
        Names of several individuals; empty where there is one.

    Returns
    -------
    str
        Rule, individual, outcome, reason, block and trial, where there are any.
    """
    whose = f" of {name_of(individuals, event.individual)}" if individuals else ""
    parts = [f"{event.rule}{whose} {event.outcome}" + (f" ({event.reason})" if event.reason else "")]
    parts += [f"block {event.block}"] * bool(event.block) + [f"trial {event.trial}"] * bool(event.trial)
    parts += [] if event.probability is None else [f"p = {event.probability:.2f}"]
    return ", ".join(parts)
