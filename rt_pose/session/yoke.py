"""Yoked playback: a rule fires at the times at which its namesake gave a stimulus in another session.

The times are read before the run starts and become part of its configuration, so that the session replays
without the other one.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from pathlib import Path

from rt_pose.clock import NS_PER_S
from rt_pose.config.rules import RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.rig_time import RigTime
from rt_pose.delivery import Delivery, deliveries
from rt_pose.errors import UserError, nearest
from rt_pose.records import EventRecord, GroupRecord, Observation
from rt_pose.session.read import Session

log = logging.getLogger(__name__)


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


NOT_GIVEN: tuple[Delivery, ...] = ("failed", "refused", "cut")
"""What became of commands that gave the animal nothing; one that was never answered may have acted."""


def effect_times_s(session: Session, rule: str) -> list[float]:
    """Get the times at which a rule's stimuli were expected to act.

    Parameters
    ----------
    session
        A session.
    rule
        Name of one of its rules.

    Returns
    -------
    list[float]
        Scene time since the first frame, s, ascending; of the fired events whose command was sent.
    """
    became = deliveries(session.commands, session.acks)
    effects: defaultdict[int, list[int]] = defaultdict(list)
    for record in _fired(session, rule):
        if became.get(record.event.id, ("unknown", ""))[0] not in NOT_GIVEN:
            effects[record.seq].append(record.event.t_effect_ns - record.event.t_cause_ns)
    time = RigTime(session.info.semantics)
    places: dict[int, tuple[int, int]] = {}
    """By observation, its scene time and its place on the rig."""
    times = []
    for item in session.inputs:
        if isinstance(item, Observation):
            now_ns = time.advance(item.camera, item.stamps)
            places[item.seq] = item.stamps.t_scene_ns, now_ns
        elif isinstance(item, GroupRecord) and (used := [places[seq] for seq in item.used if seq in places]):
            now_ns = max(used)[1]  # a group of views decides at the newest frame that it has used
        else:
            continue
        times += [(now_ns + effect_ns) / NS_PER_S for effect_ns in effects[item.seq]]
    return sorted(times)


def _fired(session: Session, rule: str) -> list[EventRecord]:
    return [r for r in session.events if r.event.rule == rule and r.event.outcome == "fired"]


def _with_times(rule: RuleConfig, session: Session) -> RuleConfig:
    names = [other["name"] for other in session.info.config.get("rules", [])]
    if rule.name not in names:
        hint = nearest(rule.name, names)
        raise UserError(f"rule '{rule.name}': yoke: session {rule.yoke} has no rule of that name{hint}")
    times, fired = effect_times_s(session, rule.name), len(_fired(session, rule.name))
    if len(times) < fired:
        log.warning(
            "rule '%s': yoke: %d of the %d events that fired in session %s gave the animal nothing, and are "
            "left out: their commands were refused or failed",
            *(rule.name, fired - len(times), fired, rule.yoke),
        )
    return dataclasses.replace(rule, yoke_times_s=times)
