"""The driver of the TTL box against the box itself, well and in every way ill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from serial.tools import list_ports

import rigs
from rigs.firmware import protocol
from rigs.firmware.link import BoxFault
from rigs.firmware.simulate import SimulatedBox
from rigs.outputs.serial_ttl import SerialTtl, to_message
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
pytestmark = pytest.mark.alone  # the box answers in time, or the driver gives up
HIGH = 65535


@pytest.fixture
def box() -> Iterator[SimulatedBox]:
    with SimulatedBox() as box:
        yield box


@pytest.fixture
def ttl(box: SimulatedBox) -> Iterator[SerialTtl]:
    made = make({"port": box.port})
    yield made
    made.close()


def make(options: dict[str, Any]) -> SerialTtl:
    made = make_output("laser", "serial_ttl", options, DriverContext(HostClock()))
    assert isinstance(made, SerialTtl)
    return made


def level(number: int = 1, line: int = 0, **changes: Any) -> Command:
    return Command(number, number, "laser", line, "level", **changes)


def beat_until(ttl: SerialTtl, done: Callable[[list[str]], bool], alive: bool = True) -> list[str]:
    """Heartbeats as the output's thread sends them, until what was said will do; 5 s at most."""
    messages: list[str] = []
    for _ in range(500):
        messages += ttl.heartbeat(alive)
        if done(messages):
            return messages
        threading.Event().wait(0.01)
    raise AssertionError(f"said no more than {messages}")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Command(1, 1, "o", 2, "pulse", 5000), protocol.Pulse(9, 2, HIGH, 5000)),
        (Command(1, 1, "o", 0, "train", 5000, 20_000, 7, 0.5), protocol.Train(9, 0, 32768, 5000, 20_000, 7)),
        (Command(1, 1, "o", 0, "level", 0, amplitude=0.0), protocol.Level(9, 0, 0, 0)),
        (
            Command(1, 1, "o", 0, "analog", 3, ramp_up_us=1, ramp_down_us=2),
            protocol.Analog(9, 0, HIGH, 1, 3, 2),
        ),
        (Command(1, 1, "o", 3, "stop"), protocol.Stop(9, 3)),
        (Command(1, 1, "o", 0, "message", message="x"), None),
    ],
)
def test_commands_on_the_wire(command: Command, message: protocol.Message | None) -> None:
    assert to_message(command, 9) == message


def test_an_ack_says_when_the_line_rose_on_the_hosts_clock(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl.open()
    ack = ttl.send(level())
    up = box.wait_for(0, high=True)
    assert up is not None
    assert ack.ok
    assert ack.t_effect_ns is not None
    assert ack.t_sent_ns is not None
    assert ack.t_ack_ns is not None
    assert abs(ack.t_effect_ns - up.t_ns) < 20 * NS_PER_MS
    assert ack.t_sent_ns <= ack.t_ack_ns


def test_what_the_box_refuses_is_said(ttl: SerialTtl) -> None:
    info = ttl.open()
    assert info.lines == 4
    assert "message" not in info.actions
    ack = ttl.send(level(line=7))
    assert (ack.ok, ack.detail, ack.t_effect_ns) == (False, "no such line", None)
    assert ttl.send(Command(1, 1, "laser", 0, "message", message="x")).detail == "a TTL box takes no message"


def test_without_a_living_loop_the_box_drops_its_line(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl.open()
    beat_until(ttl, lambda messages: True)
    assert ttl.send(level()).ok
    assert "the loop does not turn" in beat_until(ttl, bool, alive=False)[0]
    assert box.wait_for(0, high=False) is not None
    messages = beat_until(ttl, bool)
    assert messages == ["it received nothing for 70 ms; it dropped line 0"]


def test_heartbeats_keep_the_line_up(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl = make({"port": box.port, "watchdog_ms": 400, "answer_ms": 300})
    ttl.open()
    assert ttl.send(level()).ok
    for _ in range(60):
        ttl.heartbeat(True)
        threading.Event().wait(0.01)
    assert box.level(0) == HIGH
    ttl.close()
    assert box.wait_for(0, high=False) is not None, "closing leaves nothing high"


def test_a_long_watchdog_is_no_silence(box: SimulatedBox) -> None:
    ttl = make({"port": box.port, "watchdog_ms": 5000})
    info = ttl.open()
    for _ in range(4):
        ttl.heartbeat(True)
        threading.Event().wait(info.heartbeat_ms / 1000)
    assert ttl.heartbeat(True) == []
    ttl.close()


def test_the_safe_state_is_confirmed(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl.open()
    assert ttl.send(level()).ok
    ttl.safe_state()
    assert box.wait_for(0, high=False) is not None


def test_an_interlock_is_told_when_it_opens_and_closes(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl.open()
    assert ttl.send(level(line=1)).ok
    box.order("interlock open")
    assert beat_until(ttl, bool)[0].startswith("its interlock is open")
    assert ttl.send(level()).detail == "interlock open"
    box.order("interlock closed")
    assert "its interlock is closed again" in beat_until(ttl, lambda messages: "again" in " ".join(messages))
    assert ttl.send(level()).ok


@pytest.mark.parametrize("ill", ["silent", "deaf"])
def test_a_box_that_stops_answering_fails_the_command_then_the_output(
    box: SimulatedBox, ttl: SerialTtl, ill: str
) -> None:
    ttl.open()
    beat_until(ttl, lambda messages: True)
    box.order(ill)
    threading.Event().wait(0.05)
    ack = ttl.send(level())
    assert not ack.ok
    assert ack.t_sent_ns is not None
    assert ack.detail == "no answer within 40 ms; whether it acted is not known"
    with pytest.raises(BoxFault, match="no message came from the box for 500 ms"):
        beat_until(ttl, lambda messages: False)
    with pytest.raises(BoxFault, match="did not confirm its safe state within 100 ms"):
        ttl.safe_state()


def test_a_box_that_talks_garbage_is_told(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl.open()
    beat_until(ttl, lambda messages: True)
    box.order("garbage")
    messages: list[str] = []
    with pytest.raises(BoxFault, match="no message came"):
        beat_until(ttl, lambda new: messages.extend(new) or False)
    assert any("cannot be read" in text for text in messages)


def test_an_answer_that_comes_late_is_told_and_the_box_stays_in_use(
    box: SimulatedBox, ttl: SerialTtl
) -> None:
    ttl.open()
    box.order("late 120")
    threading.Event().wait(0.05)
    ack = ttl.send(level())
    assert not ack.ok
    assert "no answer within 40 ms" in ack.detail
    messages = beat_until(ttl, lambda messages: any("late" in text for text in messages))
    assert any("an answer came late" in text for text in messages)
    box.order("well")
    beat_until(ttl, lambda messages: True)
    threading.Event().wait(0.2)
    assert ttl.send(level(2)).ok


def test_a_pulled_cable_is_a_fault_at_once(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl.open()
    assert ttl.send(level()).ok
    box.order("pull")
    with pytest.raises(BoxFault, match="its port"):
        beat_until(ttl, lambda messages: False)
    with pytest.raises(BoxFault, match="its port"):
        ttl.send(level(2))
    with pytest.raises(BoxFault, match="its port"):
        ttl.safe_state()
    ttl.close()
    assert box.wait_for(0, high=False) is not None, "the box's own watchdog"


def test_a_box_that_was_reset_is_a_fault_and_is_greeted_again(box: SimulatedBox, ttl: SerialTtl) -> None:
    ttl.open()
    beat_until(ttl, lambda messages: True)
    assert ttl.send(level()).ok
    box.order("restart")
    assert box.wait_for(0, high=False) is not None
    with pytest.raises(BoxFault, match="the box has begun again: its lines went low"):
        ttl.send(level(2))
    assert box.level(0) == 0
    with pytest.raises(BoxFault, match="the box has begun again"):
        beat_until(ttl, bool)  # and nothing untrue is told before
    ttl.safe_state()
    ttl.open()
    beat_until(ttl, lambda messages: True)
    assert ttl.send(level(3)).ok


def test_another_firmware_is_refused(box: SimulatedBox, ttl: SerialTtl, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol, "VERSION", 99)
    wanted = "implements version 1 of the protocol, this program version 99; flash"
    with pytest.raises(UserError, match=wanted):
        ttl.open()
    monkeypatch.setattr(protocol, "VERSION", 1)
    monkeypatch.setattr(protocol, "NAME", "other-box")
    with pytest.raises(UserError, match="expected the firmware 'other-box', got 'rt-pose-ttl'"):
        ttl.open()
    monkeypatch.undo()
    assert ttl.open().serial == box.port, "what failed half-way can be opened again"


def test_a_port_where_no_box_answers(box: SimulatedBox, ttl: SerialTtl, monkeypatch: Any) -> None:
    monkeypatch.setattr("rigs.outputs.serial_ttl.OPEN_TIMEOUT_S", 0.3)
    box.order("silent")
    with pytest.raises(UserError, match=r"no answer within 0\.3 s; is rigs/firmware/ttl_box\.ino flashed"):
        ttl.open()


def test_a_port_that_is_not_there_or_taken(box: SimulatedBox, ttl: SerialTtl) -> None:
    with pytest.raises(UserError, match=r"the port /dev/none cannot be opened .*dialout"):
        make({"port": "/dev/none"}).open()
    ttl.open()
    with pytest.raises(UserError, match=r"does another program hold it"):
        make({"port": box.port}).open()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "expected one of `serial` and `port`"),
        ({"serial": "1", "port": "/dev/x"}, "expected one of `serial` and `port`"),
        ({"port": "/dev/x", "delay_ms": -1.0}, "delay_ms must be between 0 and 1000"),
        ({"port": "/dev/x", "watchdog_ms": 5}, "watchdog_ms must be between 20 and 10000"),
        ({"port": "/dev/x", "answer_ms": 70}, r"answer_ms must be between 1 and watchdog_ms \(70\), got 70"),
        ({"port": "/dev/x", "baud": 0}, "baud must be more than 0"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make(options)


def test_boards_are_found_by_serial_number_in_any_socket(
    box: SimulatedBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the operating system lists cannot be had without a board; the box that is opened is real."""
    boards = [
        SimpleNamespace(serial_number="7573", device="/dev/none", description="Arduino Uno", vid=0x2341),
        SimpleNamespace(serial_number="9461", device=box.port, description="Teensy 4.0", vid=0x16C0),
        SimpleNamespace(serial_number=None, device="/dev/ttyUSB7", description="CH340", vid=0x1A86),
        SimpleNamespace(serial_number=None, device="/dev/ttyS0", description="n/a", vid=None),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: boards)
    found = SerialTtl.find()
    assert [(d.serial, d.usable) for d in found] == [("7573", True), ("9461", True), ("", False)]
    assert found[2].remedy == "the board has no serial number; give `port: /dev/ttyUSB7`"
    ttl = make({"serial": "9461"})
    assert ttl.open().serial == "9461"
    ttl.close()
    with pytest.raises(UserError, match=r"no board with the serial number '9462', did you mean '9461'\?"):
        make({"serial": "9462"}).open()
