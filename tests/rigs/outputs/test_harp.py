"""Outputs of a Harp board, well and ill. Not run on a device: the board follows the protocol's text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.harp_board import HarpBoard
from support.patience import assert_below

import rigs
from rigs.harp import OUTPUTS
from rigs.outputs.harp import HarpOutput
from rigs.serial_link import DeviceFault
from rigs.timed_lines import Undelivered
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
DO0, VALVE = OUTPUTS.index("DO0"), OUTPUTS.index("SupplyPort0")


@pytest.fixture
def board() -> Iterator[HarpBoard]:
    with HarpBoard() as board:
        yield board


@pytest.fixture
def lines(board: HarpBoard) -> Iterator[HarpOutput]:
    made = make(port=board.port, outputs=["DO0", "SupplyPort0"], watchdog_ms=5000, answer_ms=4000)
    yield made
    made.close()


@pytest.fixture
def hasty(board: HarpBoard) -> Iterator[HarpOutput]:
    """One that soon gives up, as its board does."""
    made = make(port=board.port, outputs=["DO0", "SupplyPort0"], watchdog_ms=500, answer_ms=400)
    yield made
    made.close()


def make(**options: Any) -> HarpOutput:
    made = make_output("valve", "harp", options, DriverContext(HostClock()))
    assert isinstance(made, HarpOutput)
    return made


def command(action: str = "level", line: int = 0, **changes: Any) -> Command:
    return Command(1, 1, "valve", line, action, **changes)  # type: ignore[arg-type]


def send_heartbeats(lines: HarpOutput, times: int, alive: bool = True) -> list[str]:
    """Heartbeats as the output's thread sends them, 20 ms apart."""
    reported: list[str] = []
    for _ in range(times):
        reported += lines.heartbeat(alive)
        threading.Event().wait(0.02)
    return reported


def test_it_finds_out_what_the_board_is(lines: HarpOutput) -> None:
    info = lines.open()
    assert info.detail.startswith("Behavior, firmware 3.2, DO0, SupplyPort0, watchdog 5000 ms, at /dev/pts/")
    assert "not run on a device" in info.detail
    assert (info.lines, info.echoes, info.heartbeat_ms) == (2, True, 125.0)
    assert info.actions == ["pulse", "train", "level", "stop"]


def test_a_pulse_bears_the_boards_time_on_the_hosts_clock(board: HarpBoard, lines: HarpOutput) -> None:
    lines.open()

    def off_ns() -> int:
        """By how much the times of a pulse are not those that they should be, at most."""
        before_ns = lines._clock.now_ns()
        ack = lines.send(command("pulse", duration_us=30_000))
        assert ack.ok
        up = board.wait_for(DO0, True, before_ns)
        assert up is not None
        down = board.wait_for(DO0, False, up.t_ns)
        assert down is not None
        assert ack.t_effect_ns is not None
        assert ack.t_device_us is not None
        assert ack.t_ack_ns is not None
        assert before_ns <= ack.t_effect_ns <= ack.t_ack_ns
        assert down.t_ns - up.t_ns >= 28 * NS_PER_MS
        return max(
            abs(ack.t_effect_ns - up.t_ns),
            abs(ack.t_device_us * 1000 - up.t_ns),
            down.t_ns - up.t_ns - 40 * NS_PER_MS,
        )

    assert_below(20 * NS_PER_MS, off_ns)


def test_a_pulse_ends_by_the_boards_own_clock_where_this_computer_is_gone(board: HarpBoard) -> None:
    lines = make(port=board.port, watchdog_ms=5000, answer_ms=400)
    lines.open()
    assert lines.send(command("pulse", duration_us=50_000)).ok
    board.ail("deaf")
    up = board.wait_for(DO0, True)
    down = board.wait_for(DO0, False)
    assert up is not None
    assert down is not None
    assert 48 * NS_PER_MS <= down.t_ns - up.t_ns < 2000 * NS_PER_MS, "and not by its watchdog, of 5 s"
    lines.close()


def test_heartbeats_hold_a_level_and_the_board_drops_it_without_them(
    board: HarpBoard, hasty: HarpOutput
) -> None:
    hasty.open()
    assert hasty.send(command(line=1)).ok
    send_heartbeats(hasty, 30)
    last_ns = hasty._clock.now_ns()
    send_heartbeats(hasty, 1)
    down = board.wait_for(VALVE, False)
    assert down is not None
    assert down.t_ns - last_ns >= 499 * NS_PER_MS


def test_where_the_loop_hangs_the_lines_go_off_at_once(board: HarpBoard, lines: HarpOutput) -> None:
    lines.open()
    send_heartbeats(lines, 1)
    assert lines.send(command()).ok
    assert send_heartbeats(lines, 1, alive=False) == ["the loop does not turn: all lines were switched off"]
    assert not board.is_high(DO0)


def test_what_is_made_low_stays_low_whatever_heartbeats_come(board: HarpBoard, lines: HarpOutput) -> None:
    lines.open()
    end = threading.Event()

    def beats() -> None:
        while not end.is_set():
            lines.heartbeat(True)
            end.wait(0.002)

    assert lines.send(command()).ok
    thread = threading.Thread(target=beats)
    thread.start()
    try:
        for _ in range(20):
            assert lines.send(command()).ok
            lines.safe_state()
            made_safe_ns = lines._clock.now_ns()
            threading.Event().wait(0.02)
            assert board.wait_for(DO0, True, made_safe_ns, timeout_s=0) is None
    finally:
        end.set()
        thread.join()


def test_an_amplitude_is_refused(lines: HarpOutput) -> None:
    lines.open()
    ack = lines.send(command(amplitude=0.5))
    assert (ack.ok, ack.detail) == (False, "an output of this board is high or low: leave `amplitude` out")
    assert lines.send(command("analog", duration_us=1000)).detail == "this output takes no analog"


@pytest.mark.parametrize("ill", ["silent", "deaf", "garbage"])
def test_a_board_that_stops_answering_fails_the_command_then_the_output(
    board: HarpBoard, hasty: HarpOutput, ill: str
) -> None:
    hasty.open()
    send_heartbeats(hasty, 1)
    board.ail(ill)
    ack = hasty.send(command())
    assert not ack.ok
    assert ack.detail == "no answer within 400 ms; whether it acted is not known"
    with pytest.raises((DeviceFault, Undelivered), match="no answer"):
        send_heartbeats(hasty, 100)
    with pytest.raises(Undelivered, match="no answer within 400 ms"):
        hasty.safe_state()
    assert not board.is_high(DO0) or board.wait_for(DO0, False), "the board's own watchdog"
    board.ail("well")
    hasty.open()
    assert hasty.send(command()).ok


def test_a_heartbeats_answer_is_not_taken_for_a_commands(board: HarpBoard, lines: HarpOutput) -> None:
    lines.open()
    assert lines.send(command(line=1)).ok
    board.ail("late", 40.0)
    lines.heartbeat(True)  # holds line 1
    threading.Event().wait(0.01)
    asked_ns = lines._clock.now_ns()
    ack = lines.send(command(line=0))
    assert ack.ok
    assert ack.t_device_us is not None
    assert ack.t_device_us >= asked_ns // 1000 - 1000, "the time of this command, not of the heartbeat"
    lines.heartbeat(True)
    threading.Event().wait(0.01)
    board.refuses = True
    assert not lines.send(command(line=0)).ok, "the heartbeat was obeyed, the command was not"


def test_an_answer_that_comes_late_is_not_taken_for_the_next_commands(
    board: HarpBoard, hasty: HarpOutput
) -> None:
    hasty.open()
    board.ail("late", 600.0)
    assert not hasty.send(command()).ok
    board.ail("well")
    asked_ns = hasty._clock.now_ns()
    ack = hasty.send(command())
    assert ack.ok
    assert ack.t_device_us is not None
    assert ack.t_device_us >= asked_ns // 1000 - 1000


def test_a_pulled_cable_is_a_fault_and_the_board_drops_its_line(board: HarpBoard, hasty: HarpOutput) -> None:
    hasty.open()
    assert hasty.send(command()).ok
    board.unplug()
    with pytest.raises(DeviceFault, match="its port"):
        send_heartbeats(hasty, 100)
    with pytest.raises(DeviceFault, match="its port"):
        hasty.safe_state()
    hasty.close()
    assert board.wait_for(DO0, False) is not None


def test_a_board_that_was_reset_is_a_fault_and_its_pulses_stay_pulses(
    board: HarpBoard, lines: HarpOutput
) -> None:
    lines.open()
    assert lines.send(command(line=1)).ok
    board.restart()
    with pytest.raises(DeviceFault, match="the board has begun again: its outputs went low"):
        lines.send(command(line=0))
    assert board._enabled >> DO0 & 1, "what went high ends by the board's own clock"
    with pytest.raises(DeviceFault, match="the board has begun again"):
        send_heartbeats(lines, 10)
    lines.safe_state()
    lines.open()
    send_heartbeats(lines, 1)
    assert lines.send(command(line=0)).ok


def test_what_the_board_refuses_is_said(board: HarpBoard, lines: HarpOutput) -> None:
    lines.open()
    board.refuses = True
    ack = lines.send(command())
    assert (ack.ok, ack.detail) == (False, "the board refused to write its register 34")


def test_other_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        HarpBoard(who=1280) as camera,
        pytest.raises(UserError, match=r"a Behavior board \(1216\), got Harp device 1280"),
    ):
        make(port=camera.port).open()
    monkeypatch.setattr("rigs.outputs.harp.OPEN_TIMEOUT_NS", 300 * NS_PER_MS)
    with HarpBoard() as board:
        board.ail("silent")
        output = make(port=board.port)
        with pytest.raises(UserError, match="no answer within 0 s; is it a Harp device"):
            output.open()
        monkeypatch.undo()
        board.ail("well")
        assert output.open().driver == "harp"
        output.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "expected one of `serial` and `port`"),
        (
            {"port": "/dev/x", "outputs": ["D00"]},
            "outputs: the board has no output 'D00', did you mean 'DO0'",
        ),
        ({"port": "/dev/x", "outputs": []}, "outputs: expected different outputs, at least one"),
        ({"port": "/dev/x", "outputs": ["DO0", "DO0"]}, "outputs: expected different outputs"),
        ({"port": "/dev/x", "watchdog_ms": 5}, "watchdog_ms must be between 20 and 10000"),
        (
            {"port": "/dev/x", "answer_ms": 300},
            r"answer_ms must be between 1 and watchdog_ms \(200\), got 300",
        ),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=rf"outputs\.valve\.options[.:] ?{expected}"):
        make(**options)
