"""Lines that are busy: what begins a stimulus waits for no other, and cuts none short.

Two actions on one line cannot both be carried out as configured: the second would end the first, or be ended
by it. So the second does not begin; its event is suppressed with the reason `busy`. What ends a stimulus
always passes, and frees the line. A withheld event keeps its line busy like a fired one, since nobody may
learn from a later event which of the two it was. Like the caps this is a function of the decisions before it
and their times alone: an action counts from its decision, as if the device carried it out to its end. It may
act later, since a command waits for its output until its deadline; `meetings` says where that matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rt_pose.clock import NS_PER_MS
from rt_pose.config.schema import OutputConfig
from rt_pose.decisions.action import NS_PER_US, ActionPlan, line_name
from rt_pose.decisions.rule import Rule


def length_ns(plan: ActionPlan) -> float:
    """Compute how long an action keeps its line busy.

    Parameters
    ----------
    plan
        The action.

    Returns
    -------
    float
        Its length, ns; infinite for a level that lasts until it is ended, 0 for what ends a stimulus and for
        a message.
    """
    if plan.ends or plan.action == "message":
        return 0.0
    if plan.action == "level" and plan.duration_us == 0:
        return math.inf
    last_us = (plan.count - 1) * plan.period_us
    return float((last_us + plan.ramp_up_us + plan.duration_us + plan.ramp_down_us) * NS_PER_US)


def meetings(rules: Sequence[Rule], outputs: Mapping[str, OutputConfig]) -> list[str]:
    """Find the actions that may meet on a line, so that the later one is suppressed.

    Parameters
    ----------
    rules
        The rules of a run.
    outputs
        The configured outputs by name, for the names of their lines.

    Returns
    -------
    list[str]
        One sentence for each rule that may meet itself, and for each pair that may meet.
    """
    found = []
    begin = [rule for rule in rules if length_ns(rule.plan) > 0.0]
    for i, rule in enumerate(begin):
        plan = rule.plan
        line = line_name(plan, outputs)
        if length_ns(plan) > rule.refractory_ns:
            found.append(
                f"{rule.name} may meet itself on {line}: its action may last longer than its refractory "
                "time; an event while the line is busy is suppressed (`busy`)."
            )
        elif rule.late == "fire" or length_ns(plan) + rule.deadline_ns > rule.refractory_ns:
            found.append(f"{rule.name} may meet itself on {line}: {_lateness(rule)}")
        found += [
            f"{rule.name} and {other.name} may meet on {line}: an event while the line is busy is suppressed "
            "(`busy`)."
            for other in begin[i + 1 :]
            if (other.plan.output, other.plan.line) == (plan.output, plan.line)
        ]
    return found


def _lateness(rule: Rule) -> str:
    """Why its refractory time, which counts from frame to frame, does not keep its actions apart."""
    if rule.late == "fire":
        return (
            "its refractory time counts from frame to frame, and with `late: fire` a command may come at any "
            "time after its frame; one that comes late acts into the time of the next."
        )
    apart_ms = (length_ns(rule.plan) + rule.deadline_ns) / NS_PER_MS
    return (
        "its refractory time counts from frame to frame, and a command may come as late as its deadline "
        f"({rule.deadline_ns / NS_PER_MS:g} ms); {apart_ms:g} ms keep its actions apart."
    )


class Lines:
    """Until when each line is busy. One object for all cameras, called in the loop's order."""

    def __init__(self) -> None:
        self._until_ns: dict[tuple[str, int], float] = {}

    def busy(self, plan: ActionPlan, t_ns: int) -> bool:
        """Check whether an action would begin while another goes on.

        Parameters
        ----------
        plan
            The action.
        t_ns
            Host time of the decision, ns.

        Returns
        -------
        bool
            Whether it would; what ends a stimulus, and a message, never does.
        """
        return length_ns(plan) > 0.0 and t_ns < self._until_ns.get((plan.output, plan.line), 0.0)

    def take(self, plan: ActionPlan, t_ns: int) -> None:
        """Take in an action that was decided on.

        Parameters
        ----------
        plan
            The action.
        t_ns
            Host time of the decision, ns.
        """
        if plan.ends:
            self._until_ns.pop((plan.output, plan.line), None)
        elif plan.action != "message":
            self._until_ns[plan.output, plan.line] = t_ns + length_ns(plan)

    def free(self) -> None:
        """Free every line: disarming ended what was going on."""
        self._until_ns.clear()
