"""The output of ZeroMQ messages against a real PULL socket."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest
from support.patience import PATIENCE_S
from support.peers import Puller

import rigs
from rigs.outputs import zmq_push
from rigs.outputs.zmq_push import ZmqPush
from rigs.timed_lines import Undelivered
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Ack, Command

rigs.register()


def make(**options: Any) -> ZmqPush:
    made = make_output("valve", "zmq_push", options, DriverContext(HostClock()))
    assert isinstance(made, ZmqPush)
    return made


def pulse(number: int = 1) -> Command:
    return Command(number, number, "valve", 1, "pulse", duration_us=20_000)


@pytest.mark.parametrize("form", ["msgpack", "json"])
def test_each_command_is_a_map_of_its_fields(form: str) -> None:
    decode = msgspec.json.decode if form == "json" else msgspec.msgpack.decode
    with Puller() as puller:
        output = make(address=puller.address, format=form)
        output.open()
        assert output.send(pulse()).ok
        output.safe_state()
        output.close()
        first, command, last = (decode(m) for m in puller.wait_for(lambda all_: len(all_) == 3))
    assert first == last == {"action": "safe", "output": "valve"}
    assert (command["line"], command["action"], command["duration_us"]) == (1, "pulse", 20_000)


def test_that_nobody_pulls_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq_push, "CONNECT_MS", 50)
    with pytest.raises(UserError, match=r"nobody pulls at tcp://127\.0\.0\.1:9; start the program"):
        make(address="tcp://127.0.0.1:9").open()
    with pytest.raises(UserError, match=r"expected tcp://HOST:PORT, got 'localhost'"):
        make(address="localhost").open()


def test_a_program_that_goes_is_noticed_and_one_that_comes_back_gets_nothing_old() -> None:
    clock = HostClock()
    with Puller() as puller:
        output = make(address=puller.address)
        output.open()
        assert output.send(pulse()).ok
        puller.wait_for(lambda all_: len(all_) == 2)
    ack = send_until(output, clock, lambda ack: not ack.ok)
    assert (ack.t_sent_ns, ack.detail.startswith("nobody pulls at")) == (None, True)
    with pytest.raises(Undelivered):
        output.safe_state()
    with Puller(puller.address) as again:
        send_until(output, clock, lambda ack: ack.ok)
        (only,) = again.wait_for(lambda all_: len(all_) == 1)
    assert msgspec.msgpack.decode(only)["id"] == 99, "what had failed is never sent later"
    output.close()


def send_until(output: ZmqPush, clock: HostClock, done: Any) -> Ack:
    """Commands until their ack will do, with patience."""
    end_ns = clock.now_ns() + round(PATIENCE_S * NS_PER_S)
    while clock.now_ns() < end_ns:
        ack = output.send(pulse(99))
        if done(ack):
            return ack
        threading.Event().wait(0.01)
    raise AssertionError(f"not within {PATIENCE_S:g} s")


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(UserError, match="delay_ms must be between 0 and 1000, got -1"):
        make(delay_ms=-1.0)
