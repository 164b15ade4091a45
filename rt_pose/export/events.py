"""What a session's rules decided, and what went out to its outputs, on the time base of the export."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.delivery import deliveries
from rt_pose.session.individuals import individuals_of, name_of
from rt_pose.session.read import Session
from rt_pose.types import Command

EVENTS, STIMULI = "rule_events", "stimuli"
"""Names of the two tables."""
ACTED = ("acknowledged", "unknown")
"""Deliveries of commands that were carried out, or may have been."""


@dataclass
class RuleEvent:
    """A rule came true. Times in s; NaN where one is not known."""

    t_s: float
    """Of the exposure that caused it."""
    camera: str
    frame: int
    """The camera's own count."""
    rule: str
    individual: str
    """Name of the one that it came true for; empty where there is one."""
    outcome: str
    reason: str
    probability: float
    """NaN for a rule that compares the mean."""
    value: float
    block: str
    trial: int
    decided_s: float
    """When it was judged."""
    effect_s: float
    """When its command was expected to act."""
    deadline_met: bool
    delivery: str
    """What became of its command (`rt_pose.delivery`); empty where there was none."""

    @property
    def text(self) -> str:
        """For people: rule, individual, outcome and reason."""
        because = f" ({self.reason})" if self.reason else ""
        whose = f" of {self.individual}" if self.individual else ""
        return f"{self.rule}{whose}: {self.outcome}{because}"


@dataclass
class Stimulus:
    """A command that an output carried out, or may have. Times in s; NaN where one is not known."""

    t_s: float
    """Its effect, as well as is known."""
    duration_s: float
    """NaN for one without an end of its own."""
    output: str
    line: int
    action: str
    amplitude: float
    rule: str
    """Empty for one that an operator asked for."""
    sent_s: float
    timed_by: str
    """device: its clock told the effect; sent: the write and the output's delay; asked: the command and that
    delay, since no answer was logged."""
    delivery: str
    message: str


def rule_events(session: Session, zero_ns: int) -> list[RuleEvent]:
    """Collect the events.

    Parameters
    ----------
    session
        The session.
    zero_ns
        Host time at which the export's times begin.

    Returns
    -------
    list[RuleEvent]
        In order of time.
    """
    delivered = deliveries(session.commands, session.acks)
    asked = {one.command.event_id: one.command.id for one in session.commands}
    names = individuals_of(session)
    found = [
        RuleEvent(
            t_s=(event.t_cause_ns - zero_ns) / NS_PER_S,
            camera=event.camera,
            frame=event.frame_index,
            rule=event.rule,
            individual=name_of(names, event.individual),
            outcome=event.outcome,
            reason=event.reason,
            probability=np.nan if event.probability is None else event.probability,
            value=event.value,
            block=event.block,
            trial=event.trial,
            decided_s=(event.t_judged_ns - zero_ns) / NS_PER_S,
            effect_s=(event.t_effect_ns - zero_ns) / NS_PER_S,
            deadline_met=event.deadline_met,
            delivery=delivered[asked[event.id]][0] if event.id in asked else "",
        )
        for event in (record.event for record in session.events)
    ]
    return sorted(found, key=lambda event: event.t_s)


def stimuli(session: Session, zero_ns: int) -> list[Stimulus]:
    """Collect what outputs were asked to do and did, by rules and by operators.

    Parameters
    ----------
    session
        The session.
    zero_ns
        Host time at which the export's times begin.

    Returns
    -------
    list[Stimulus]
        In order of time; commands to stop are none.
    """
    delivered = deliveries(session.commands, session.acks)
    acks = {record.ack.command_id: record.ack for record in session.acks}
    rules = {record.event.id: record.event.rule for record in session.events}
    found = []
    for record in session.commands:
        command = record.command
        kind, ack = delivered[command.id][0], acks.get(command.id)
        if kind not in ACTED or command.action == "stop":
            continue
        info = session.info.outputs.get(command.output)
        delay_ns = 0 if info is None else round(info.delay_ms * NS_PER_MS)
        sent_ns = None if ack is None else ack.t_sent_ns
        effect_ns = None if ack is None else ack.t_effect_ns
        # One that was never answered may have happened all the same: it stands where it was asked for.
        begun_ns, timed_by = (record.t_ns, "asked") if sent_ns is None else (sent_ns, "sent")
        if effect_ns is not None:
            timed_by = "device"
        at_ns = begun_ns + delay_ns if effect_ns is None else effect_ns
        found.append(
            Stimulus(
                t_s=(at_ns - zero_ns) / NS_PER_S,
                duration_s=_duration_s(command),
                output=command.output,
                line=command.line,
                action=command.action,
                amplitude=command.amplitude,
                rule="" if command.event_id is None else rules.get(command.event_id, ""),
                sent_s=np.nan if sent_ns is None else (sent_ns - zero_ns) / NS_PER_S,
                timed_by=timed_by,
                delivery=kind,
                message=command.message,
            )
        )
    return sorted(found, key=lambda stimulus: stimulus.t_s)


def _duration_s(command: Command) -> float:
    """From the first onset to the last end."""
    if not command.duration_us:
        return np.nan
    return (command.duration_us + max(command.count - 1, 0) * command.period_us) / 1e6
