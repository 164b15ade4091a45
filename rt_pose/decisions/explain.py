"""A rule in one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rt_pose.config.check import EVERY_CAMERA
from rt_pose.config.rules import BlockConfig, RuleConfig
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.decisions.action import ActionPlan, line_name
from rt_pose.decisions.rule import Rule
from rt_pose.rules.keypoint_name import individual_names


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
    yoked = rule.yoke_times_ns is not None or written.yoke is not None
    when = f"at the times at which it fired in session {written.yoke}" if yoked else _when(rule)
    aimed = "" if rule.aim is None else f" {rule.aim.says}"
    clauses = [f"{when}, {action(rule.plan, config.outputs)}{aimed}"]
    clauses += [] if yoked else _policy(rule)  # the other session's decided that
    deadline_ms = rule.deadline_ns / 1e6
    late = "not at all" if rule.late == "suppress" else "all the same"
    clauses.append(f"later than {deadline_ms:g} ms after the exposure {late}")
    blocks = [b.block for b in config.protocol if b.rules is None or rule.name in (*b.rules, b.trial_on)]
    if config.protocol and not rule.plan.ends:
        clauses.append(f"only in {_listed(blocks, 'block')}" if blocks else "but in no block of the protocol")
    if rule.views:
        clauses.append(f"judged in space, by the cameras {_joined(rule.views)} together ({rule.camera})")
    elif rule.camera not in EVERY_CAMERA:
        clauses.append(f"judged on camera {rule.camera}")
    elif len(config.cameras) > 1:
        clauses.append(f"judged on {rule.camera} of the {len(config.cameras)} cameras")
    clauses += _individuals(rule, config)
    if not written.enabled:
        clauses.append("switched off until `set` enables it")
    return f"{rule.name}: " + "; ".join(clauses) + "."


def _individuals(rule: Rule, config: RunConfig) -> list[str]:
    """Whom it is judged for, of several animals, and how sure it must be of them."""
    names, clauses = individual_names(config.individuals), []
    if rule.individual == "any":
        clauses.append("judged for any individual" + (" and any other" if rule.pair else ""))
    elif isinstance(rule.individual, int):
        named = " and ".join(names[who] for who in rule.named)
        clauses.append(f"judged for {named}")
        yoked = rule.yoke_times_ns is not None or rule.config.yoke is not None
        if rule.identity is not None and not yoked and not rule.plan.ends:
            who = f"each of {named}" if len(rule.named) > 1 else named
            clauses.append(
                f"not while it is less than {100 * rule.identity:g} % sure that {who} is still itself"
            )
    elif len(names) > 1:
        how = "with any other" if rule.pair else "by itself"
        clauses.append(f"judged for each of the {len(names)} individuals {how}")
    return clauses


def _when(rule: Rule) -> str:
    """What must come true, and for how long."""
    written = rule.config
    when = f"when {rule.condition.says}{_certainty(rule)}"
    if rule.hold_ns:
        when += f", for {written.hold} without a break"
    if written.after is not None:
        after = written.after
        many = f"{after.count} events" if after.count > 1 else "an event"
        since = f" at least {after.delay} and" if rule.after and rule.after.delay_ns else ""
        when += f",{since} at most {after.within} after {many} of {after.rule}"
    return when


def _policy(rule: Rule) -> list[str]:
    """How often it acts, and how often not."""
    written, clauses = rule.config, []
    if rule.repeat_ns is not None:
        clauses.append(f"again each {written.repeat} while it holds")
    if rule.refractory_ns or rule.refractory_jitter_ns:
        jitter = f" and up to {written.refractory_jitter} more" if rule.refractory_jitter_ns else ""
        clauses.append(f"not again for {written.refractory}{jitter}")
    if rule.withhold:
        balanced = f", exactly in each {written.withhold_block}" if written.withhold_block else ""
        clauses.append(
            f"{100 * rule.withhold:g} % of it withheld as controls{balanced}, unseen while it runs"
        )
    return clauses


def action(plan: ActionPlan, outputs: Mapping[str, OutputConfig]) -> str:
    """Describe what an output is asked to do.

    Parameters
    ----------
    plan
        The action.
    outputs
        The configured outputs by name, for the names of their lines.

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
        "aim": f"aims light for {long}",
    }
    what = "goes off" if plan.action == "level" and plan.ends else does[plan.action]
    return f"{plan.output if plan.action == 'aim' else line_name(plan, outputs)} {what}"


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


def _joined(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def explain_views(config: RunConfig) -> list[str]:
    """Describe the groups of views.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    list[str]
        One sentence for each group, in their order; empty without groups.
    """
    sentences = []
    for name, group in config.views.items():
        axes = "its axes are the calibration's" if group.up is None else "z is the height above its origin"
        sentences.append(
            f"views {name}: {_joined(list(group.camera_names))} place the animal in space, in mm, by "
            f"{group.calibration}; {axes}."
        )
    return sentences


def explain_protocol(config: RunConfig) -> list[str]:
    """Describe the blocks of the protocol.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    list[str]
        One sentence for each block, in their order; empty without a protocol.
    """
    sentences = []
    for number, block in enumerate(config.protocol, 1):
        if block.rules is None:
            who = "every rule may fire"
        else:
            who = f"{', '.join(block.rules)} may fire" if block.rules else "no rule may fire"
        ends = [block.time] if block.time is not None else []
        ends += [f"{block.events} events"] if block.events is not None else []
        ends += [f"{block.trials} trials"] if block.trials is not None else []
        until = f"ends after {' or '.join(ends)}" if ends else "ends by the order `block` or with the run"
        clauses = [who, until]
        if block.trial_on is not None:
            clauses.append(f"a trial begins {_cue(block.trial_on)}")
        if block.trial is not None:
            clauses.append(f"a trial without an event ends after {block.trial}")
        if block.inter_trial != BlockConfig.inter_trial:
            clauses.append(f"{block.inter_trial} between trials")
        sentences.append(f"block {number}, {block.block}: {'; '.join(clauses)}.")
    return sentences


def _cue(trial_on: str) -> str:
    return f"when {trial_on} goes on" if "(" in trial_on else f"with an event of {trial_on}"


def seed_warnings(config: RunConfig) -> list[str]:
    """Say what is drawn as in every other session whose configuration gives no seed.

    Balanced controls would stand at the same places in each of them, and whoever has seen one would know.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    list[str]
        At most one sentence.
    """
    drawn = [f"the balanced controls of {rule.name}" for rule in config.rules if rule.withhold_block]
    jitter = RuleConfig.refractory_jitter
    drawn += [f"the refractory times of {r.name}" for r in config.rules if r.refractory_jitter != jitter]
    drawn += ["the order of the blocks"] if config.protocol and config.protocol_order == "shuffled" else []
    if config.seed != RunConfig.seed or not drawn:
        return []
    return [
        f"seed {config.seed} draws {' and '.join(drawn)} as in every session with this seed; give each its "
        "own, e.g. `--seed 7`"
    ]
