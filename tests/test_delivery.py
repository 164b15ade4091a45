"""What became of a command, told from the very answers that outputs' threads give."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rt_pose.clock import HostClock
from rt_pose.delivery import (
    DELIVERIES,
    add_up,
    count_failures,
    deliveries,
    delivery_of,
    delivery_of_refusal,
    format_counts,
    format_failures,
)
from rt_pose.outputs.actuators import Actuators
from rt_pose.outputs.output_thread import QUEUE_COMMANDS
from rt_pose.records import AckRecord, CommandRecord
from rt_pose.types import Ack, Command, OutputInfo


def command(number: int, deadline_ns: int | None = None) -> Command:
    return Command(number, number, "laser", 0, "pulse", 1000, t_deadline_ns=deadline_ns)


class Gate:
    """An output that holds its first command until `opened`, so that others wait behind it."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def send(self, sent: Command) -> Ack:
        self.entered.set()
        self.opened.wait(10.0)
        return Ack(sent.id, "laser", 1, 2, None, ok=True)

    def safe_state(self) -> None:
        pass

    def close(self) -> None:
        pass


class Broken(Gate):
    def send(self, sent: Command) -> Ack:
        raise OSError("unplugged")


def started(device: Any) -> Actuators:
    actuators = Actuators([(OutputInfo("laser", "test", "", 0.0, echoes=True), device)], HostClock())
    actuators.start()
    return actuators


@pytest.mark.parametrize(
    "cut", [Actuators.disarm, Actuators.emergency, Actuators.stop], ids=["disarm", "emergency", "end"]
)
def test_what_waits_when_the_operator_or_the_end_comes_is_cut(cut: Callable[[Actuators], Any]) -> None:
    gate = Gate()
    actuators = started(gate)
    for number in (1, 2):
        assert actuators.submit(command(number)) == ""
        gate.entered.wait(10.0)
    threading.Timer(0.2, gate.opened.set).start()
    cut(actuators)
    refusal = actuators.submit(command(3)) if cut is Actuators.emergency else ""
    actuators.stop()
    found = {ack.command_id: delivery_of(ack) for ack in actuators.acks}
    assert found == {1: "acknowledged", 2: "cut"}
    if refusal:
        assert delivery_of_refusal(refusal) == "cut"


def test_what_an_output_fails_is_a_failure() -> None:
    gate = Gate()
    actuators = started(gate)
    actuators.submit(command(0))
    gate.entered.wait(10.0)
    refusals = [actuators.submit(command(n, deadline_ns=1)) for n in range(1, QUEUE_COMMANDS + 2)]
    assert {delivery_of_refusal(refusal) for refusal in refusals if refusal} == {"refused"}
    gate.opened.set()
    while len(actuators.acks) <= QUEUE_COMMANDS:
        threading.Event().wait(0.01)
    actuators.stop()
    late = [ack for ack in actuators.acks if ack.command_id]
    assert {delivery_of(ack) for ack in late} == {"refused"}
    assert all("late by" in ack.detail for ack in late)

    actuators = started(Broken())
    actuators.submit(command(1))
    while not actuators.acks:
        threading.Event().wait(0.01)
    assert delivery_of(actuators.acks[0]) == "failed"
    assert delivery_of_refusal(actuators.submit(command(2))) == "refused"
    actuators.stop()


@pytest.mark.parametrize(
    ("ack", "delivery"),
    [
        (Ack(1, "laser", 5, 6, None, ok=True), "acknowledged"),
        (Ack(1, "laser", 5, None, None, ok=True), "acknowledged"),
        (Ack(1, "laser", 5, 6, None, ok=False, detail="interlock open"), "refused"),
        (Ack(1, "laser", 5, None, None, ok=False, detail="no answer within 40 ms"), "unknown"),
        (Ack(1, "laser", None, None, None, ok=False, detail="the output is not open"), "failed"),
    ],
)
def test_what_a_driver_answers(ack: Ack, delivery: str) -> None:
    assert delivery_of(ack) == delivery


def test_every_command_of_a_log_has_a_delivery() -> None:
    commands = [
        CommandRecord(
            t_ns=n, seq=n, command=command(n), accepted=n != 2, reason="queue full" if n == 2 else ""
        )
        for n in (1, 2, 3)
    ]
    acks = [AckRecord(t_ns=9, ack=Ack(1, "laser", 5, 6, None, ok=True))]
    found = deliveries(commands, acks)
    assert found == {
        1: ("acknowledged", ""),
        2: ("refused", "queue full"),
        3: ("unknown", "no answer was logged"),
    }


def test_counts_in_words() -> None:
    one, two = {"acknowledged": 4, "refused": 2}, {"acknowledged": 1, "cut": 3}
    total = add_up([one, two])
    assert list(total) == list(DELIVERIES)
    assert (count_failures(total), format_counts(total)) == (2, "5 acknowledged, 2 refused, 3 cut")
    assert format_counts(add_up([])) == ""
    assert format_failures({"reach": one, "turn": two, "rest": {"acknowledged": 9}}) == [
        "rule 'reach': 2 of 6 commands were not acknowledged: 2 refused",
        "rule 'turn': 3 of 4 commands were not acknowledged: 3 cut",
    ]
