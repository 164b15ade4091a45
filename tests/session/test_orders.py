"""Orders from the command line to a real control socket."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

import rigs
from rt_pose.cli.main import main
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext, OperatedInput, make_input
from rt_pose.errors import UserError
from rt_pose.loop.control import Control, ControlSocket
from rt_pose.session.orders import arguments, send_order
from rt_pose.types import Edge

rigs.register()


def test_an_order_is_answered_or_says_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    unsafe: list[str] = []
    control = Control(ControlSocket("tcp://127.0.0.1:*"), deque(), dict, dict, lambda: 10, lambda: unsafe)
    control.start()
    try:
        assert send_order(control.address, "emergency")["ok"]
        assert [order.do for order in control.inbox] == ["emergency"]
        assert main(["order", "emergency", "--connect", control.address]) == 0
        assert capsys.readouterr().out == "emergency: done\n"
        unsafe.append("output 'laser': gone")
        assert main(["order", "emergency", "--connect", control.address]) == 2
        assert "order emergency: output 'laser': gone" in capsys.readouterr().err
        with pytest.raises(UserError, match=r"unknown order 'amr', did you mean 'arm'\?"):
            send_order(control.address, "amr")
    finally:
        control.stop()


def test_nobody_there() -> None:
    with pytest.raises(
        UserError, match=r"the key file .*control-9\.json.* is not there; does a run of yours"
    ):
        send_order("tcp://127.0.0.1:9", "arm")
    with pytest.raises(UserError, match="cannot connect to 'nowhere'"):
        send_order("nowhere", "arm")


@pytest.mark.parametrize(
    ("words", "args"),
    [
        ("arm", {}),
        ("block stim", {"name": "stim"}),
        ("set rules.a.probability 0.9", {"parameter": "rules.a.probability", "value": 0.9}),
        ("set rules.a.enabled false", {"parameter": "rules.a.enabled", "value": False}),
        ("mark the door was open", {"text": "the door was open"}),
        ("input cue press", {"name": "cue", "state": "press"}),
    ],
)
def test_words_behind_an_order(words: str, args: dict[str, Any]) -> None:
    do, *rest = words.split()
    assert arguments(do, rest) == args


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("arn", "unknown order 'arn', did you mean 'arm'?"),
        ("arm now", "order arm: expected nothing behind it, got now"),
        ("block", "expected order block NAME; got nothing"),
        ("set rules.a.enabled", "expected order set PARAMETER VALUE"),
        ("set rules.a.enabled maybe", "expected true, false or a number, got 'maybe'"),
        ("mark", "expected order mark TEXT"),
        ("mark " + 10_001 * "a", "mark: text: expected at most 10000 bytes of text, got 10001"),
    ],
)
def test_words_that_cannot_be_meant(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["order", *words.split(), "--connect", "tcp://127.0.0.1:9"]) == 2
    assert expected in capsys.readouterr().err


def test_what_an_order_is_about_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rt_pose.loop.control.ANSWER_TIMEOUT_S", 0.05)
    control = Control(ControlSocket("tcp://127.0.0.1:*"), deque(), dict, dict, lambda: 10, list)
    control.start()
    try:
        assert main(["order", "block", "stim", "--connect", control.address]) == 2, "no loop takes it"
        (order,) = control.inbox
        assert (order.do, order.args) == ("block", {"name": "stim"})
    finally:
        control.stop()


def test_the_status_of_a_run_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    status = {"armed": True, "events": {"reach": {"fired": 2}}}
    control = Control(ControlSocket("tcp://127.0.0.1:*"), deque(), lambda: status, dict, lambda: 10, list)
    control.start()
    try:
        assert main(["order", "status", "--connect", control.address]) == 0
        assert capsys.readouterr().out == 'armed   true\nevents  {"reach":{"fired":2}}\n'
    finally:
        control.stop()


def test_an_input_is_switched_over_the_control_socket_without_the_loop(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = make_input("cue", "key", {"mode": "toggle"}, DriverContext(HostClock()))
    assert isinstance(line, OperatedInput)
    edges: list[Edge] = []
    line.open()
    line.start(edges.append)
    socket, orders = ControlSocket("tcp://127.0.0.1:*"), deque[Any]()
    control = Control(socket, orders, dict, dict, lambda: 10, list, inputs={"cue": line})
    control.start()
    try:
        assert main(["order", "input", "cue", "on", "--connect", control.address]) == 0
        assert capsys.readouterr().out == "input: done\n"
        assert main(["order", "input", "cue", "press", "--connect", control.address]) == 0
        assert main(["order", "input", "cue", "--connect", control.address]) == 2
        assert "expected order input NAME on, off or press; got cue" in capsys.readouterr().err
        assert main(["order", "input", "cur", "on", "--connect", control.address]) == 2
        assert "no input 'cur' that the operator switches, did you mean 'cue'?" in capsys.readouterr().err
        assert main(["order", "input", "cue", "of", "--connect", control.address]) == 2
        assert "input: expected on, off or press, got 'of'" in capsys.readouterr().err
        for name in (None, 7):
            with pytest.raises(UserError, match="that the operator switches; there are: cue"):
                send_order(control.address, "input", {"name": name, "state": "on"})
        assert not orders
    finally:
        control.stop()
        line.close()
    assert [edge.on for edge in edges] == [True, False]
