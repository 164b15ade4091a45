"""A pin of a Firmata board as an input. Not run on a device: the board follows the protocol's text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.firmata_board import FirmataBoard
from support.patience import wait_until

import rigs
from rigs.inputs.firmata import FirmataInput
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.contracts.inputs import EdgeCollector
from rt_pose.drivers import DriverContext, make_input, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()


@pytest.fixture
def board() -> Iterator[FirmataBoard]:
    with FirmataBoard() as board:
        yield board


@pytest.fixture
def context() -> DriverContext:
    return DriverContext(HostClock())


def make(context: DriverContext, name: str = "lick", **options: Any) -> FirmataInput:
    made = make_input(name, "firmata", options, context)
    assert isinstance(made, FirmataInput)
    return made


@pytest.fixture
def lick(board: FirmataBoard, context: DriverContext) -> Iterator[FirmataInput]:
    made = make(context, port=board.port, debounce_ms=0.0)
    yield made
    made.close()


def test_edges_come_with_the_time_of_their_arrival(board: FirmataBoard, lick: FirmataInput) -> None:
    edges, clock = EdgeCollector(), HostClock()
    info = lick.open()
    assert not info.on
    assert "edges have the time of their arrival" in info.detail
    lick.start(edges)
    for number in range(4):
        before_ns = clock.now_ns()
        board.set_level(7, number % 2 == 0)
        edge = edges.wait_for(number + 1)[number]
        assert edge.on == (number % 2 == 0)
        assert before_ns <= edge.t_ns <= clock.now_ns()
        assert edge.t_device_us is None


def test_the_level_at_the_start_and_inversion(board: FirmataBoard, context: DriverContext) -> None:
    board.set_level(9, True)
    line, inverted = (
        make(context, port=board.port, pin=9),
        make(context, "door", port=board.port, invert=True),
    )
    assert line.open().on
    assert inverted.open().on
    line.close()
    inverted.close()


def test_bounces_are_no_edges_and_their_end_counts(board: FirmataBoard, context: DriverContext) -> None:
    lick, edges = make(context, port=board.port, debounce_ms=80.0), EdgeCollector()
    lick.open()
    lick.start(edges)
    board.bounce(7, True, False, True, False)
    on, off = edges.wait_for(2)
    assert (on.on, off.on) == (True, False)
    assert off.t_ns - on.t_ns >= 79 * NS_PER_MS
    threading.Event().wait(0.2)
    assert len(edges.found) == 2
    lick.close()


def test_one_board_serves_an_output_and_inputs(board: FirmataBoard, context: DriverContext) -> None:
    output = make_output("light", "firmata", {"port": board.port, "pins": [13], "answer_ms": 1000}, context)
    output.open()
    lick, door = make(context, port=board.port), make(context, "door", port=board.port, pin=2)
    edges, others = EdgeCollector(), EdgeCollector()
    lick.open()
    door.open()
    lick.start(edges)
    door.start(others)
    assert output.send(Command(1, 1, "light", 0, "level")).ok
    assert board.value(13) == 1
    board.set_level(7, True)
    board.set_level(2, True)
    assert edges.wait_for(1)[0].input == "lick"
    assert others.wait_for(1)[0].input == "door"
    with pytest.raises(UserError, match=r"inputs\.lick has the pin 7 of this device already"):
        make(context, "again", port=board.port).open()
    with pytest.raises(UserError, match="for another kind of device"):
        make_input("ttl", "serial_ttl", {"port": board.port, "baud": 57_600}, context).open()
    for one in (output, lick, door):
        one.close()
    assert board.value(13) == 0


def test_a_board_that_falls_silent_is_told_once_and_mended(board: FirmataBoard, lick: FirmataInput) -> None:
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    board.ail("silent")
    board.set_level(7, True)
    wait_until(lambda: lick.notices)
    assert lick.notices[0].startswith("the board has not answered for 1 s")
    assert not edges.found
    board.ail("well")
    assert edges.wait_for(1)[0].on
    wait_until(lambda: "the board answers again" in lick.notices)


def test_another_socket_will_do(board: FirmataBoard, context: DriverContext, tmp_path: Path) -> None:
    link = tmp_path / "board"
    link.symlink_to(board.port)
    lick, edges = make(context, port=str(link)), EdgeCollector()
    lick.open()
    lick.start(edges)
    board.unplug()
    wait_until(lambda: lick.notices)
    assert "port" in lick.notices[0]
    with FirmataBoard() as again:
        again.set_level(7, True)
        link.unlink()
        link.symlink_to(again.port)
        assert edges.wait_for(1)[0].on
        lick.close()


def test_a_pin_that_is_none(board: FirmataBoard, context: DriverContext) -> None:
    with pytest.raises(UserError, match="pin 1 of this board cannot be INPUT; those that can: 2, 3"):
        make(context, port=board.port, pin=1).open()
    with pytest.raises(UserError, match="pin must be between 0 and 127, got 200"):
        make(context, port=board.port, pin=200)
