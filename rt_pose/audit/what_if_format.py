"""A comparison of two runs in words: trial by trial, up to the first changed stimulus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rt_pose.audit.what_if import Comparison, Difference, Trial
from rt_pose.clock import NS_PER_MS, NS_PER_S

SHOWN_DIFFERENCES = 40
OUTCOMES = ("fired", "withheld", "suppressed")


def format_comparison(comparison: Comparison, changed: str) -> list[str]:
    """Format the comparison in lines for people.

    Parameters
    ----------
    comparison
        The comparison.
    changed
        Names the second run.

    Returns
    -------
    list[str]
        The lines.
    """
    first = comparison.first_changed_stimulus
    believed = comparison.differences if first is None else comparison.differences[: first + 1]
    lines = [*comparison.problems, *_table(believed, comparison.start_ns, changed)]
    if first is None:
        lines.append("no stimulus would have been another one: all of this may be believed")
    else:
        lines += _open_loop(comparison, first)
    return [*lines, *_counts(comparison, changed, open_loop=first is not None)]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Convert the comparison to plain values.

    Parameters
    ----------
    comparison
        The comparison.

    Returns
    -------
    dict[str, Any]
        Counts, and the differences up to the first changed stimulus.
    """
    first = comparison.first_changed_stimulus
    return {
        "events_before": len(comparison.before),
        "events_after": len(comparison.after),
        "differences": len(comparison.differences),
        "first_changed_stimulus_s": None
        if first is None
        else _seconds(comparison.differences[first].first, comparison.start_ns),
        "believed": [
            {
                "s": _seconds(d.first, comparison.start_ns),
                "rule": d.first.event.rule,
                "kind": d.kind,
                "before": None if d.before is None else str(d.before),
                "after": None if d.after is None else str(d.after),
            }
            for d in comparison.differences[: None if first is None else first + 1]
        ],
    }


def _table(differences: list[Difference], start_ns: int, changed: str) -> Iterable[str]:
    if not differences:
        return
    yield f"{'s':>10} {'frame':>8}  {'rule':16} {'trial':>6}  {'in the session':26} {changed}"
    for difference in differences[:SHOWN_DIFFERENCES]:
        first, (before, after) = difference.first, (difference.before, difference.after)
        shown = "-" if after is None else str(after)
        if before is not None and after is not None and before.seq != after.seq:
            shown += f", {(after.t_scene_ns - before.t_scene_ns) / NS_PER_MS:+.1f} ms"
        if difference.kind == "other command":
            shown += ", another stimulus"
        number = "new" if difference.number is None else f"#{difference.number}"
        yield (
            f"{_seconds(first, start_ns):10.3f} {first.event.frame_index:8}  {first.event.rule:16} "
            f"{number:>6}  {'-' if before is None else str(before):26} {shown}"
        )
    if len(differences) > SHOWN_DIFFERENCES:
        yield f"... and {len(differences) - SHOWN_DIFFERENCES} more before the first changed stimulus"


def _open_loop(comparison: Comparison, first: int) -> list[str]:
    trial = comparison.differences[first].first
    more = len(comparison.differences) - first - 1
    return [
        f"first changed stimulus: rule {trial.event.rule}, {_seconds(trial, comparison.start_ns):.3f} s, "
        f"frame {trial.event.frame_index}. What follows is open-loop and not to be believed: from here on "
        "the animal would have moved otherwise. "
        f"On the recorded inputs {more} more trials would have differed."
    ]


def _counts(comparison: Comparison, changed: str, open_loop: bool) -> Iterable[str]:
    note = " (whole session, so mostly open-loop)" if open_loop else ""
    for rule in sorted({t.event.rule for t in [*comparison.before, *comparison.after]}):
        cells = []
        for trials in (comparison.before, comparison.after):
            n = Counter(str(t.event.outcome) for t in trials if t.event.rule == rule)
            cells.append(", ".join(f"{n[outcome]} {outcome}" for outcome in OUTCOMES))
        yield f"rule {rule}: {cells[0]}; {changed}: {cells[1]}{note}"


def _seconds(trial: Trial, start_ns: int) -> float:
    return (trial.t_scene_ns - start_ns) / NS_PER_S
