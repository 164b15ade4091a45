"""Made-up sessions as if their outputs had run."""

from __future__ import annotations

import dataclasses

import msgspec

from rt_pose.records import AckRecord
from rt_pose.session.read import Session
from rt_pose.types import Ack


def delivered(session: Session, refused: int = 0, late: int = 0, unanswered: int = 0) -> Session:
    """The session as if its outputs had carried out all but these commands."""
    commands, acks = [], []
    for record in session.commands:
        number, output = record.command.id, record.command.output
        accepted = number != refused
        reason = "" if accepted else "interlock open"
        commands.append(msgspec.structs.replace(record, accepted=accepted, reason=reason))
        if number not in (refused, unanswered):
            detail = "not sent: late by 3 ms" if number == late else ""
            ack = Ack(number, output, None, None, None, ok=number != late, detail=detail)
            acks.append(AckRecord(t_ns=0, ack=ack))
    return dataclasses.replace(session, commands=commands, acks=acks)
