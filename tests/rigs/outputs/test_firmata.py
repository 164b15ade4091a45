"""Lines of a Firmata board, well and ill. Not run on a device: the board follows the protocol's text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from serial.tools import list_ports
from support.firmata_board import FirmataBoard
from support.patience import PATIENCE_S, assert_below

import rigs
from rigs.outputs.firmata import FirmataOutput
from rigs.serial_link import DeviceFault
from rigs.timed_lines import Undelivered
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()


@pytest.fixture
def board() -> Iterator[FirmataBoard]:
    with FirmataBoard() as board:
        yield board


@pytest.fixture
def lines(board: FirmataBoard) -> Iterator[FirmataOutput]:
    made = make(port=board.port, pins=[13, 9, 4], pwm=[9], answer_ms=1000)
    yield made
    made.close()


@pytest.fixture
def hasty(board: FirmataBoard) -> Iterator[FirmataOutput]:
    """One that soon gives up."""
    made = make(port=board.port, pins=[13], answer_ms=250)
    yield made
    made.close()


def make(**options: Any) -> FirmataOutput:
    made = make_output("light", "firmata", options, DriverContext(HostClock()))
    assert isinstance(made, FirmataOutput)
    return made


def command(action: str = "level", line: int = 0, **changes: Any) -> Command:
    return Command(1, 1, "light", line, action, **changes)  # type: ignore[arg-type]


def beat_until(lines: FirmataOutput, done: Callable[[list[str]], bool], alive: bool = True) -> list[str]:
    """Heartbeats as the output's thread sends them, with patience."""
    reported: list[str] = []
    for _ in range(round(PATIENCE_S / 0.01)):
        reported += lines.heartbeat(alive)
        if done(reported):
            return reported
        threading.Event().wait(0.01)
    raise AssertionError(f"said no more than {reported}")


def test_the_board_says_what_it_is_and_the_driver_that_it_has_no_watchdog(lines: FirmataOutput) -> None:
    info = lines.open()
    assert info.detail.startswith("StandardFirmata.ino 2.5, pins 13, 9, 4, at /dev/pts/")
    assert "no watchdog on the board: where this computer dies, a line stays as it is" in info.detail
    assert info.lines == 3
    assert info.echoes
    assert "analog" in info.actions


def test_a_pulse(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()

    def lasted_ns() -> int:
        before_ns = lines._clock.now_ns()
        ack = lines.send(command("pulse", duration_us=20_000))
        assert ack.ok
        assert ack.t_sent_ns is not None
        assert ack.t_ack_ns is not None
        up = board.wait_for(13, 1, before_ns)
        assert up is not None
        down = board.wait_for(13, 0, up.t_ns)
        assert down is not None
        assert before_ns <= up.t_ns <= ack.t_ack_ns, "the echo comes after the effect"
        assert before_ns <= ack.t_sent_ns <= ack.t_ack_ns
        assert down.t_ns - up.t_ns >= 15 * NS_PER_MS
        return down.t_ns - up.t_ns

    assert_below(60 * NS_PER_MS, lasted_ns)


def test_an_amplitude_is_pwm_where_the_pin_can(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()
    assert lines.send(command(line=1, amplitude=0.5)).ok
    assert board.value(9) == 128
    assert lines.send(command(line=1)).ok
    assert board.value(9) == 255
    ack = lines.send(command(line=0, amplitude=0.5))
    assert not ack.ok
    assert ack.detail == "pin 13 is on or off; name it in `pwm` for an amplitude between"
    assert board.value(13) == 0


def test_the_safe_state_is_confirmed(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()
    assert all(lines.send(command(line=line)).ok for line in range(3))
    lines.safe_state()
    assert [board.value(pin) for pin in (13, 9, 4)] == [0, 0, 0]


def test_opening_and_closing_make_the_pins_low(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()
    assert lines.send(command()).ok
    lines.close()
    assert board.wait_for(13, 0) is not None


def test_where_the_loop_hangs_the_lines_go_off_here(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()
    beat_until(lines, lambda reported: True)
    assert lines.send(command()).ok
    assert beat_until(lines, bool, alive=False) == ["the loop does not turn: all lines were switched off"]
    assert board.value(13) == 0


@pytest.mark.parametrize("ill", ["silent", "deaf", "garbage"])
def test_a_board_that_stops_answering_fails_the_command_then_the_output(
    board: FirmataBoard, hasty: FirmataOutput, ill: str
) -> None:
    hasty.open()
    beat_until(hasty, lambda reported: True)
    board.ail(ill)
    ack = hasty.send(command())
    assert not ack.ok
    assert ack.t_sent_ns is not None
    assert ack.detail == "no answer within 250 ms; whether it acted is not known"
    with pytest.raises((DeviceFault, Undelivered), match="no answer"):
        beat_until(hasty, lambda reported: False)
    with pytest.raises(Undelivered, match="no answer within 250 ms"):
        hasty.safe_state()
    board.ail("well")
    hasty.open()
    assert hasty.send(command()).ok


def test_a_late_answer_is_an_undelivered_command_and_the_line_is_made_low(
    board: FirmataBoard, hasty: FirmataOutput
) -> None:
    hasty.open()
    board.ail("late", 600.0)
    ack = hasty.send(command())
    assert not ack.ok
    board.ail("well")
    up = board.wait_for(13, 1)
    assert up is not None
    assert board.wait_for(13, 0, up.t_ns) is not None


def test_a_pulled_cable_is_a_fault_at_once(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()
    assert lines.send(command()).ok
    board.unplug()
    with pytest.raises(DeviceFault, match="its port"):
        beat_until(lines, lambda reported: False)
    with pytest.raises(DeviceFault, match="its port"):
        lines.send(command())
    with pytest.raises(DeviceFault, match="its port"):
        lines.safe_state()
    lines.close()
    assert board.value(13) == 1, "a stock board keeps its line as it was"


def test_a_board_that_begins_again_is_a_fault(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()
    assert lines.send(command()).ok
    board.restart()
    with pytest.raises(DeviceFault, match="the board has begun again: its pins went low"):
        beat_until(lines, lambda reported: False)
    lines.open()
    assert lines.send(command(line=1, amplitude=0.5)).ok
    assert board.value(9) == 128


def test_what_the_board_says_is_told(board: FirmataBoard, lines: FirmataOutput) -> None:
    lines.open()
    board.say("Unknown pin mode")
    assert beat_until(lines, bool) == ["the board says: Unknown pin mode"]


def test_other_boards_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        FirmataBoard(version=(2, 3)) as old,
        pytest.raises(UserError, match=r"speaks Firmata 2\.3; 2\.5 is needed"),
    ):
        make(port=old.port).open()
    monkeypatch.setattr("rigs.firmata.OPEN_TIMEOUT_NS", 300 * NS_PER_MS)
    with FirmataBoard() as board:
        board.ail("silent")
        with pytest.raises(UserError, match="no answer within 0 s; is StandardFirmata on it"):
            make(port=board.port).open()
        monkeypatch.undo()
        board.ail("well")
        with pytest.raises(UserError, match="pin 1 of this board cannot be OUTPUT; those that can: 2, 3, 4"):
            make(port=board.port, pins=[1]).open()
        with pytest.raises(
            UserError, match="pin 4 of this board cannot be PWM; those that can: 3, 5, 6, 9, 10, 11"
        ):
            make(port=board.port, pins=[4], pwm=[4]).open()
        output = make(port=board.port)
        assert output.open().driver == "firmata"
        output.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "expected one of `serial` and `port`"),
        ({"port": "/dev/x", "pins": []}, "pins: expected different pins, at least one"),
        ({"port": "/dev/x", "pins": [3, 3]}, "pins: expected different pins"),
        ({"port": "/dev/x", "pins": [128]}, "pins: expected 0 to 127, got 128"),
        ({"port": "/dev/x", "pwm": [3]}, r"pwm: expected pins of `pins` \(\[13\]\), got 3"),
        ({"port": "/dev/x", "delay_ms": -1.0}, "delay_ms must be between 0 and 1000, got -1"),
        ({"port": "/dev/x", "answer_ms": 0}, "answer_ms must be between 1 and 1000, got 0"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=rf"outputs\.light\.options[.:] ?{expected}"):
        make(**options)


def test_boards_are_listed_with_what_mends_them(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system lists cannot be had without a board."""
    locked = tmp_path / "ttyACM0"
    locked.touch(mode=0o000)
    boards = [
        SimpleNamespace(serial_number="75", device="/dev/none", description="Arduino Uno", vid=0x2341),
        SimpleNamespace(serial_number="76", device=str(locked), description="Arduino Uno", vid=0x2341),
        SimpleNamespace(serial_number=None, device="/dev/ttyUSB7", description="CH340", vid=0x1A86),
        SimpleNamespace(serial_number=None, device="/dev/ttyS0", description="n/a", vid=None),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: boards)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may open everything
    found = FirmataOutput.find()
    assert [(d.serial, d.usable) for d in found] == [("75", True), ("76", False), ("", False)]
    assert "(if StandardFirmata is on it)" in found[0].description
    assert "sudo usermod -aG dialout $USER" in found[1].remedy
    assert found[2].remedy == "the board has no serial number; give `port: /dev/ttyUSB7`"
