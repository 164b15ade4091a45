"""Caps on the actions of a line: pulses in a minute, share of time on.

They are applied within the decision, from the decisions before it and their times alone, so that replay
suppresses the same events. An action counts from the time of its decision, as if it ran to its end, whether
or not the device carries it out, and also where it is withheld: what disarming cuts short is counted too
much, never too little, and a later `cap` does not tell which events were controls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.config.build import duration_ns
from rt_pose.config.schema import LimitsConfig, RunConfig
from rt_pose.decisions.action import NS_PER_US, ActionPlan
from rt_pose.errors import UserError

MINUTE_NS = 60 * NS_PER_S
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cap:
    """The limits of one output, in the loop's units."""

    pulses: int | None = None
    on_ns: int | None = None
    """Longest time on within `window_ns`."""
    window_ns: int = MINUTE_NS


@dataclass(slots=True)
class _Line:
    begins: Times = field(default_factory=lambda: np.empty(0, np.int64))
    """Beginnings of pulses, in order, also of those to come."""
    on: Times = field(default_factory=lambda: np.empty((0, 2), np.int64))
    """(n, 2) from and to of the times on, in order, apart from one another."""


class Limits:
    """Counts the actions of all lines. One object for all cameras, called in the loop's order."""

    def __init__(self, caps: dict[str, Cap]) -> None:
        """Begin with no actions.

        Parameters
        ----------
        caps
            The caps by output name.
        """
        self._caps = {name: cap for name, cap in caps.items() if cap != Cap()}
        self._lines: dict[tuple[str, int], _Line] = {}

    def exceeded(self, plan: ActionPlan, t_ns: int) -> bool:
        """Check whether an action would exceed a cap of its line; the count does not change.

        Parameters
        ----------
        plan
            The action.
        t_ns
            Host time at which it would begin, ns.

        Returns
        -------
        bool
            Whether it would. What ends a stimulus, and a message, never does.
        """
        cap = self._caps.get(plan.output)
        if cap is None or plan.ends or plan.action == "message":
            return False
        asked = _with(self._line(plan), plan, t_ns)
        too_many = cap.pulses is not None and _most_in_window(asked.begins, MINUTE_NS) > cap.pulses
        return too_many or (cap.on_ns is not None and _longest_in_window(asked.on, cap.window_ns) > cap.on_ns)

    def count(self, plan: ActionPlan, t_ns: int) -> None:
        """Count an action that was decided on.

        Parameters
        ----------
        plan
            The action.
        t_ns
            Host time of the decision, ns.
        """
        cap = self._caps.get(plan.output)
        if cap is None or plan.action == "message":
            return
        line = self._line(plan)
        asked = _cut(line, t_ns) if plan.ends else _with(line, plan, t_ns)
        before_ns = t_ns - max(MINUTE_NS, cap.window_ns)
        self._lines[plan.output, plan.line] = _Line(
            asked.begins[asked.begins > before_ns], asked.on[asked.on[:, 1] > before_ns]
        )

    def _line(self, plan: ActionPlan) -> _Line:
        return self._lines.get((plan.output, plan.line)) or _Line()


def make_limits(config: RunConfig, plans: dict[str, ActionPlan]) -> Limits:
    """Make the caps of a configuration.

    Parameters
    ----------
    config
        The run's configuration.
    plans
        The actions of the rules by name.

    Returns
    -------
    Limits
        The caps, with no actions counted.

    Raises
    ------
    UserError
        Where a cap is not valid, or forbids every action of a rule.
    """
    caps = {
        name: _cap(output.limits, f"configuration: outputs.{name}.limits")
        for name, output in config.outputs.items()
    }
    for rule, plan in plans.items():
        _check_possible(rule, plan, caps)
    return Limits(caps)


def _cap(limits: LimitsConfig, where: str) -> Cap:
    pulses, duty = limits.max_pulses_per_minute, limits.max_duty
    if pulses is not None and pulses < 1:
        raise UserError(f"{where}.max_pulses_per_minute: expected 1 or more, got {pulses}")
    if duty is not None and not 0.0 < duty <= 1.0:
        raise UserError(f"{where}.max_duty: expected more than 0, at most 1, got {duty}")
    window_ns = duration_ns(limits.duty_window, f"{where}.duty_window")
    if not NS_PER_S <= window_ns <= 3600 * NS_PER_S:
        raise UserError(f"{where}.duty_window: expected 1 s to 60 min, got {limits.duty_window!r}")
    if duty is None:
        return Cap(pulses)
    return Cap(pulses, round(duty * window_ns), window_ns)


def _check_possible(rule: str, plan: ActionPlan, caps: dict[str, Cap]) -> None:
    cap = caps.get(plan.output, Cap())
    where = f"rule '{rule}': do"
    if cap.on_ns is not None and plan.action == "level" and not plan.ends and plan.duration_us == 0:
        raise UserError(
            f"{where}: output '{plan.output}' has a max_duty, so its levels need an end; add `at_most: 10 s`"
        )
    if Limits(caps).exceeded(plan, 0):
        raise UserError(
            f"{where}: a single {plan.action} exceeds outputs.{plan.output}.limits: it could never fire"
        )


def _with(line: _Line, plan: ActionPlan, t_ns: int) -> _Line:
    begins = t_ns + np.arange(plan.count, dtype=np.int64) * (plan.period_us * NS_PER_US)
    length_ns = (plan.ramp_up_us + plan.duration_us + plan.ramp_down_us) * NS_PER_US
    on = np.stack((begins, begins + length_ns), axis=1)
    return _Line(np.sort(np.concatenate((line.begins, begins))), _union(np.concatenate((line.on, on))))


def _cut(line: _Line, t_ns: int) -> _Line:
    """The line without what was to come after `t_ns`."""
    on = line.on[line.on[:, 0] < t_ns]
    return _Line(line.begins[line.begins <= t_ns], np.minimum(on, t_ns))


def _union(on: Times) -> Times:
    """Spans in order, those that touch made one."""
    on = on[np.argsort(on[:, 0], kind="stable")]
    reach = np.maximum.accumulate(on[:, 1])
    first = np.ones(len(on), bool)
    first[1:] = on[1:, 0] > reach[:-1]
    last = np.roll(first, -1)
    last[-1] = True
    return np.stack((on[first, 0], reach[last]), axis=1)


def _most_in_window(times: Times, window_ns: int) -> int:
    """The greatest number of `times` within any window (t - window, t]."""
    counts = np.arange(1, len(times) + 1) - np.searchsorted(times, times - window_ns, side="right")
    return int(counts.max(initial=0))


def _longest_in_window(on: Times, window_ns: int) -> int:
    """The longest time on (ns) within any window.

    Time on within a sliding window is greatest where the window begins with a span or ends with one.
    """
    before = np.concatenate(([0], np.cumsum(on[:, 1] - on[:, 0])))

    def on_until(t: Times) -> Times:
        i = np.searchsorted(on[:, 0], t, side="right")
        over = np.maximum(0, on[np.maximum(i - 1, 0), 1] - t)
        return before[i] - np.where(i > 0, over, 0)

    begins, ends = on[:, 0], on[:, 1]
    lengths = (on_until(begins + window_ns) - on_until(begins), on_until(ends) - on_until(ends - window_ns))
    return int(np.concatenate(lengths).max(initial=0))
