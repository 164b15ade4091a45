"""The board of JSON lines: every field arrives, and what goes wrong is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.json_board import JsonBoard
from support.patience import wait_until

import rigs
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext, Output, WatchedOutput, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
AIM = Command(7, 7, "galvo", 0, "aim", duration_us=5000, amplitude=0.5, x=1.25, y=-3.5)


@pytest.fixture
def board() -> Iterator[JsonBoard]:
    with JsonBoard() as made:
        yield made


def opened(board: JsonBoard, **options: object) -> Output:
    given = {"port": board.port, "answer_ms": 4000, **options}
    output = make_output("galvo", "serial_json", given, DriverContext(HostClock()))
    output.open()
    return output


def test_every_field_of_a_command_arrives(board: JsonBoard) -> None:
    output = opened(board)
    ack = output.send(AIM)
    output.close()
    assert ack.ok
    assert ack.t_device_us is not None
    assert ack.t_sent_ns is not None
    assert ack.t_ack_ns is not None
    assert ack.t_ack_ns >= ack.t_sent_ns
    (found,) = [one for one in board.received if one["action"] == "aim"]
    assert (found["x"], found["y"], found["duration_us"], found["amplitude"]) == (1.25, -3.5, 5000, 0.5)


def test_it_is_safe_from_the_first_to_the_last(board: JsonBoard) -> None:
    output = opened(board)
    output.send(AIM)
    output.close()
    wait_until(lambda: len(board.actions()) >= 3)
    assert board.actions() == ["safe", "aim", "safe"]


def test_heartbeats_come_only_while_all_is_well(board: JsonBoard) -> None:
    output = opened(board)
    assert isinstance(output, WatchedOutput)
    output.heartbeat(True)
    output.heartbeat(False)
    output.send(AIM)
    assert [one["action"] for one in board.received] == ["safe", "heartbeat", "aim"]
    output.close()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("silent", "no answer within 250 ms; whether it acted is not known"),
        ("garbled", "no answer within 250 ms (3 lines could not be read)"),
        ("slow", "no answer within 250 ms"),
        ("unwilling", "the door is open"),
    ],
)
def test_what_goes_wrong_is_said(mode: str, expected: str) -> None:
    with JsonBoard(mode) as board:
        output = opened(board, answer_ms=250)
        ack = output.send(AIM)
        assert not ack.ok
        assert expected in ack.detail
        output.close()


def test_an_answer_that_comes_late_is_not_taken_for_the_next_command() -> None:
    with JsonBoard("slow") as board:
        output = opened(board, answer_ms=250)
        assert not output.send(AIM).ok
        board.mode = ""
        second = output.send(Command(8, 8, "galvo", 0, "aim", duration_us=10, x=0.0, y=0.0))
        assert second.ok or "no answer" in second.detail
        third = output.send(Command(9, 9, "galvo", 0, "aim", duration_us=10, x=0.0, y=0.0))
        assert (third.command_id, third.ok) == (9, True)
        output.close()


def test_a_board_that_was_unplugged_raises(board: JsonBoard) -> None:
    output = opened(board)
    board.unplug()
    with pytest.raises(OSError, match=r"fail|error|Input"):
        output.send(AIM)
    output.close()


def test_what_the_board_cannot_do_is_not_sent(board: JsonBoard) -> None:
    output = opened(board, actions=["aim"])
    ack = output.send(Command(1, 1, "galvo", 0, "pulse", duration_us=10))
    assert not ack.ok
    assert "takes no pulse" in ack.detail
    output.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "expected one of `serial` and `port`"),
        ({"port": "/dev/ttyX", "answer_ms": 0}, "answer_ms must be between 1 and 10000"),
        ({"port": "/dev/ttyX", "actions": ["aims"]}, "actions"),
        ({"port": "/dev/ttyX", "baud": 0}, "baud must be more than 0"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make_output("galvo", "serial_json", options, DriverContext(HostClock()))
