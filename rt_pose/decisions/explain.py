"""A rule in one plain sentence."""

from __future__ import annotations

from rt_pose.config.schema import RunConfig
from rt_pose.decisions.action import ActionPlan
from rt_pose.decisions.rule import Rule


def explain(rule: Rule, config: RunConfig) -> str:
    """Describe a rule: what makes it fire, what it does, and what suppresses it.

    Parameters
    ----------
    rule
        The rule, bound.
    config
        The configuration it is of, for the blocks of the protocol.

    Returns
    -------
    str
        One sentence.
    """
    written = rule.config
    if rule.yoke_times_ns is not None or written.yoke is not None:
        when = f"at the times at which it fired in session {written.yoke}"
    else:
        when = f"when {rule.condition.says}{_certainty(rule)}"
        if rule.hold_ns:
            when += f", for {written.hold} without a break"
    clauses = [f"{when}, {action(rule.plan)}"]
    if rule.refractory_ns:
        clauses.append(f"not again for {written.refractory}")
    if rule.withhold:
        clauses.append(f"{100 * rule.withhold:g} % of it withheld as controls, unseen while it runs")
    deadline_ms = rule.deadline_ns / 1e6
    late = "not at all" if rule.late == "suppress" else "all the same"
    clauses.append(f"later than {deadline_ms:g} ms after the exposure {late}")
    blocks = [b.block for b in config.protocol if b.rules is None or rule.name in b.rules]
    if config.protocol and not rule.plan.ends:
        clauses.append(f"only in {_listed(blocks, 'block')}" if blocks else "but in no block of the protocol")
    if rule.individual != "each":
        who = "any individual" if rule.individual == "any" else f"individual {rule.individual}"
        clauses.append(f"judged for {who}")
    if not written.enabled:
        clauses.append("switched off until `set` enables it")
    return f"{rule.name}: " + "; ".join(clauses) + "."


def action(plan: ActionPlan) -> str:
    """Describe what an output is asked to do.

    Parameters
    ----------
    plan
        The action.

    Returns
    -------
    str
        A clause, without a full stop.
    """
    long = _time(plan.duration_us)
    does = {
        "pulse": f"gives a pulse of {long}",
        "train": f"gives {plan.count} pulses of {long}, one each {_time(plan.period_us)}",
        "level": f"goes on{f' for {long}' if plan.duration_us else ''}",
        "analog": f"rises to {plan.amplitude:g} for {long}",
        "message": f"sends '{plan.message}'",
        "stop": "ends what it is doing",
    }
    what = "goes off" if plan.action == "level" and plan.ends else does[plan.action]
    return f"{plan.output} line {plan.line} {what}"


def _certainty(rule: Rule) -> str:
    written = rule.config
    if written.probability is None:
        until = "" if rule.release is None else f" (until {rule.release.says})"
        return f" by the predicted mean{until}"
    certainty = f" with a probability of at least {100 * written.probability:g} %"
    if written.release is not None:
        certainty += f" (until it falls below {100 * float(written.release):g} %)"
    return certainty


def _time(us: int) -> str:
    return f"{us / 1e6:g} s" if us >= 1_000_000 else f"{us / 1e3:g} ms"


def _listed(names: list[str], what: str) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(dict.fromkeys(names))}"
