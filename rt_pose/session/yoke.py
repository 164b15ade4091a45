"""Yoked playback: a rule fires at the times at which its namesake fired in another session.

The times are read before the run starts and become part of its configuration, so that the session replays
without the other one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rt_pose.clock import NS_PER_S
from rt_pose.config.rules import RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.rig_time import RigTime
from rt_pose.errors import UserError, nearest
from rt_pose.records import Observation
from rt_pose.session.read import Session


def with_yoke_times(config: RunConfig) -> RunConfig:
    """Fill in the times of yoked rules.

    Parameters
    ----------
    config
        The run.

    Returns
    -------
    RunConfig
        The run with the times of its yoked rules.

    Raises
    ------
    UserError
        Where a session cannot be read or has no rule of that name.
    """
    sessions = {rule.yoke: Session.read(Path(rule.yoke)) for rule in config.rules if rule.yoke is not None}
    rules = [rule if rule.yoke is None else _with_times(rule, sessions[rule.yoke]) for rule in config.rules]
    return dataclasses.replace(config, rules=rules)


def effect_times_s(session: Session, rule: str) -> list[float]:
    """Get the times at which a rule's fired events were expected to act.

    Parameters
    ----------
    session
        A session.
    rule
        Name of one of its rules.

    Returns
    -------
    list[float]
        Scene time since the first frame, s, ascending.
    """
    effects = {
        record.seq: (record.event.t_effect_ns - record.event.t_cause_ns)
        for record in session.events
        if record.event.rule == rule and record.event.outcome == "fired"
    }
    time = RigTime(session.info.semantics)
    times = []
    for item in session.inputs:
        if not isinstance(item, Observation):
            continue
        now_ns = time.advance(item.camera, item.stamps)
        if item.seq in effects:
            times.append((now_ns + effects[item.seq]) / NS_PER_S)
    return sorted(times)


def _with_times(rule: RuleConfig, session: Session) -> RuleConfig:
    names = [other["name"] for other in session.info.config.get("rules", [])]
    if rule.name not in names:
        hint = nearest(rule.name, names)
        raise UserError(f"rule '{rule.name}': yoke: session {rule.yoke} has no rule of that name{hint}")
    return dataclasses.replace(rule, yoke_times_s=effect_times_s(session, rule.name))
