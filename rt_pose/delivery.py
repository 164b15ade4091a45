"""What became of the commands of fired events: a decision is not yet a stimulus.

    event     a rule came true: fired, withheld or suppressed
    command   what a fired event asks of its output
    delivery  what became of that command:
        acknowledged  the device echoed it; where nothing echoes, its driver's write succeeded
        failed        its driver failed while it was being sent
        refused       it was not taken: by the device (an open interlock), by a full queue, by an output that
                      had failed before, or because it was late
        unknown       it was sent and never answered: whether it acted is not known
        cut           it was still waiting when the run ended, or when the operator disarmed or stopped

A command that was cut did not become a stimulus either, but no output failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from rt_pose.records import AckRecord, CommandRecord
from rt_pose.types import Ack

Delivery = Literal["acknowledged", "failed", "refused", "unknown", "cut"]
DELIVERIES: tuple[Delivery, ...] = get_args(Delivery)
FAILURES: tuple[Delivery, ...] = ("failed", "refused", "unknown")
"""Deliveries by which an output failed its command."""
NOT_SENT = "not sent: "
"""How the reasons of the outputs' threads begin."""
CUT_REASONS = ("disarmed", "the run ended", "emergency stop")
"""How the reasons go on, or are, where the operator or the end of the run is one."""
NO_ANSWER = "no answer was logged"


def delivery_of(ack: Ack) -> Delivery:
    """Tell what became of a command that its output took.

    Parameters
    ----------
    ack
        The output's answer.

    Returns
    -------
    Delivery
        The delivery.
    """
    if ack.ok:
        return "acknowledged"
    if ack.t_ack_ns is not None:
        return "refused"
    if ack.t_sent_ns is not None:
        return "unknown"
    if not ack.detail.startswith(NOT_SENT):
        return "failed"
    return delivery_of_refusal(ack.detail)


def delivery_of_refusal(reason: str) -> Delivery:
    """Tell what became of a command that its output did not take.

    Parameters
    ----------
    reason
        Why it was not taken.

    Returns
    -------
    Delivery
        `cut` where it was the operator's doing, else `refused`.
    """
    return "cut" if reason.removeprefix(NOT_SENT).startswith(CUT_REASONS) else "refused"


def deliveries(
    commands: Iterable[CommandRecord], acks: Iterable[AckRecord]
) -> dict[int, tuple[Delivery, str]]:
    """Tell what became of every command of a log.

    Parameters
    ----------
    commands
        The commands.
    acks
        The answers of the outputs.

    Returns
    -------
    dict[int, tuple[Delivery, str]]
        Delivery and its reason, by the id of the command, which is that of its event. The reason is empty
        where the output gave none.
    """
    answers = {record.ack.command_id: record.ack for record in acks}
    found: dict[int, tuple[Delivery, str]] = {}
    for record in commands:
        key, ack = record.command.id, answers.get(record.command.id)
        if not record.accepted:
            found[key] = (delivery_of_refusal(record.reason), record.reason)
        elif ack is None:
            found[key] = ("unknown", NO_ANSWER)
        else:
            found[key] = (delivery_of(ack), ack.detail)
    return found


def count_failures(counts: Mapping[str, int]) -> int:
    """Count the commands that an output failed.

    Parameters
    ----------
    counts
        Commands by delivery.

    Returns
    -------
    int
        Those failed, refused, and of unknown delivery.
    """
    return sum(counts.get(kind, 0) for kind in FAILURES)


def add_up(by_rule: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up the deliveries of several rules.

    Parameters
    ----------
    by_rule
        Commands by delivery, of each rule.

    Returns
    -------
    dict[str, int]
        Commands by delivery, in the order of `DELIVERIES`.
    """
    total: Counter[str] = Counter()
    for counts in by_rule:
        total.update(counts)
    return {kind: total[kind] for kind in DELIVERIES}


def format_counts(counts: Mapping[str, int]) -> str:
    """Format deliveries such as `4 acknowledged, 2 refused`.

    Parameters
    ----------
    counts
        Commands by delivery.

    Returns
    -------
    str
        Those of which there are any; empty for none.
    """
    return ", ".join(f"{counts[kind]} {kind}" for kind in DELIVERIES if counts.get(kind))


def format_failures(by_rule: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Say of each rule how many of its stimuli did not come.

    Parameters
    ----------
    by_rule
        Commands by delivery, of each rule.

    Returns
    -------
    list[str]
        A sentence for each rule of which some did not.
    """
    sentences = []
    for rule, counts in by_rule.items():
        missing = sum(counts.values()) - counts.get("acknowledged", 0)
        if missing:
            sentences.append(
                f"rule '{rule}': {missing} of {sum(counts.values())} commands were not acknowledged: "
                f"{format_counts({**counts, 'acknowledged': 0})}"
            )
    return sentences
