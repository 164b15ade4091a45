"""Input lines of the TTL box against the box itself: stamps, order, what is lost, a port that is shared."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.patience import PATIENCE_S, wait_until

import rigs
from rigs.firmware import protocol
from rigs.firmware.simulate import SimulatedBox
from rigs.inputs.serial_ttl import SerialTtlInput
from rigs.outputs.serial_ttl import SerialTtl
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.contracts.inputs import EdgeCollector
from rt_pose.drivers import DriverContext, ReportingInput, make_input, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
OLD_FIRMWARE = Path(__file__).resolve().parents[2] / "fixtures" / "firmware_without_inputs"
SLACK_NS = 100 * NS_PER_MS
"""How far a map of the clocks may be off where answers take long, on a machine that is busy."""
PATIENT = {"watchdog_ms": 5000, "answer_ms": 4000}
"""Of outputs that are no matter here."""


@pytest.fixture
def box() -> Iterator[SimulatedBox]:
    with SimulatedBox() as box:
        yield box


@pytest.fixture
def context() -> DriverContext:
    return DriverContext(HostClock())


@pytest.fixture
def lick(box: SimulatedBox, context: DriverContext) -> Iterator[SerialTtlInput]:
    made = make(context, port=box.port, debounce_ms=0.0)
    yield made
    made.close()


def make(context: DriverContext, name: str = "lick", **options: Any) -> SerialTtlInput:
    made = make_input(name, "serial_ttl", options, context)
    assert isinstance(made, SerialTtlInput)
    return made


def test_edges_have_the_boxs_time_on_the_hosts_clock(box: SimulatedBox, lick: SerialTtlInput) -> None:
    edges = EdgeCollector()
    info = lick.open()
    assert (info.driver, info.serial, info.on) == ("serial_ttl", box.port, False)
    assert info.detail.startswith("input line 0 of 2, debounced 0 ms")
    lick.start(edges)
    box.order("input 0 6 20000")
    made, found = box.wait_for_inputs(6), edges.wait_for(6)
    assert [edge.on for edge in found] == [True, False] * 3
    for real, edge in zip(made, found, strict=True):
        assert abs(edge.t_ns - real.t_ns) < SLACK_NS
        assert edge.t_device_us is not None
        assert abs(edge.t_device_us % 2**32 - real.t_ns // 1000 % 2**32) < SLACK_NS // 1000
    assert lick.lost == 0
    assert isinstance(lick, ReportingInput)


def test_edges_wait_for_nothing_while_many_come(box: SimulatedBox, lick: SerialTtlInput) -> None:
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    box.order("input 0 400 2000")
    wait_until(lambda: len(edges.found) + lick.lost == 400)
    assert lick.lost < 100, "only where nobody took them off the port for long"
    assert [edge.on for edge in edges.found] == [i % 2 == 0 for i in range(len(edges.found))]
    times = [edge.t_ns for edge in edges.found]
    assert times == sorted(times)


def test_edges_too_fast_for_the_line_are_counted(box: SimulatedBox, lick: SerialTtlInput) -> None:
    """300 edges in 30 ms, and the box sends one each half a millisecond: all are delivered or counted."""
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    box.order("input 0 301 100")
    box.wait_for_inputs(301)
    wait_until(lambda: len(edges.found) + lick.lost == 301)
    assert lick.lost > 0
    assert edges.found[-1].on, "the last level is known whatever was lost"
    assert [edge.on for edge in edges.found] == [i % 2 == 0 for i in range(len(edges.found))], "in turn"


def test_bounces_are_no_edges_and_their_end_counts(box: SimulatedBox, context: DriverContext) -> None:
    lick = make(context, port=box.port, debounce_ms=200.0)
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    box.order("input 0 5 3000")  # goes on and bounces four times within 12 ms
    made = box.wait_for_inputs(5)
    (on,) = edges.wait_for(1)
    assert abs(on.t_ns - made[0].t_ns) < SLACK_NS, "an edge is not delayed"
    threading.Event().wait(0.25)
    box.order("input 0 2 5000")  # off, and on again within the debounce time: over at its end
    found = edges.wait_for(3)
    assert [edge.on for edge in found] == [True, False, True]
    assert found[2].t_ns - found[1].t_ns >= 199 * NS_PER_MS
    lick.close()
    assert lick.lost == 0


def test_a_level_at_the_start_is_known_and_may_be_inverted(box: SimulatedBox, context: DriverContext) -> None:
    box.order("input 1 1 0")
    box.wait_for_inputs(1)
    line, inverted = make(context, port=box.port, line=1), make(context, "door", port=box.port, invert=True)
    assert line.open().on
    assert inverted.open().on
    edges = EdgeCollector()
    inverted.start(edges)
    box.order("input 0 1 0")
    (off,) = edges.wait_for(1)
    assert (off.input, off.on) == ("door", False)
    line.close()
    inverted.close()


def test_what_happens_between_opening_and_start_is_one_edge_at_most(
    box: SimulatedBox, lick: SerialTtlInput
) -> None:
    edges = EdgeCollector()
    assert not lick.open().on
    box.order("input 0 3 1000")
    wait_until(lambda: lick._messages.qsize() >= 3)
    lick.start(edges)
    assert edges.wait_for(1)[0].on
    threading.Event().wait(0.15)
    assert len(edges.found) == 1
    assert lick.lost == 0


def test_one_port_serves_an_output_and_two_inputs(box: SimulatedBox, context: DriverContext) -> None:
    output = make_output("laser", "serial_ttl", {"port": box.port, **PATIENT}, context)
    lick, door = make(context, port=box.port), make(context, "door", port=box.port, line=1)
    output.open()
    edges, others = EdgeCollector(), EdgeCollector()
    lick.open()
    door.open()
    lick.start(edges)
    door.start(others)
    assert output.send(Command(1, 1, "laser", 0, "level")).ok
    box.order("input 0 1 0")
    box.order("input 1 1 0")
    assert edges.wait_for(1)[0].input == "lick"
    assert others.wait_for(1)[0].input == "door"
    output.close()
    assert box.wait_for(0, high=False) is not None, "closing the output leaves nothing high"
    box.order("input 0 1 0")
    assert not edges.wait_for(2)[1].on, "and the inputs keep the port"
    lick.close()
    door.close()


def test_asking_for_an_input_does_not_feed_the_outputs_watchdog(
    box: SimulatedBox, context: DriverContext
) -> None:
    options = {"port": box.port, "watchdog_ms": 500, "answer_ms": 400}
    output = make_output("laser", "serial_ttl", options, context)
    assert isinstance(output, SerialTtl)
    output.open()
    lick = make(context, port=box.port)
    lick.open()
    lick.start(EdgeCollector())
    assert output.send(Command(1, 1, "laser", 0, "level")).ok
    up = box.wait_for(0, high=True)
    down = box.wait_for(0, high=False)
    assert up is not None
    assert down is not None, "no heartbeat came, whatever the input asked"
    assert down.t_ns - up.t_ns >= 499 * NS_PER_MS
    lick.close()
    output.close()


def test_an_output_that_is_opened_again_leaves_the_input_in_use(
    box: SimulatedBox, context: DriverContext
) -> None:
    """Its hello makes the box forget who asked for edges; the input asks again, and nothing is lost."""
    output = make_output("laser", "serial_ttl", {"port": box.port, **PATIENT}, context)
    output.open()
    lick = make(context, port=box.port, debounce_ms=0.0)
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    wait_until(lambda: lick._count is not None)
    output.open()
    box.order("input 0 3 10000")
    wait_until(lambda: len(edges.found) + lick.lost == 3)
    assert edges.found[-1].on
    assert not lick.notices
    lick.close()
    output.close()


def test_a_place_is_taken_once(box: SimulatedBox, context: DriverContext, lick: SerialTtlInput) -> None:
    lick.open()
    with pytest.raises(UserError, match=r"inputs\.other: inputs\.lick has the input line 0 of this device"):
        make(context, "other", port=box.port).open()
    with pytest.raises(UserError, match=r"inputs\.slow\.options: baud is 9600, but 500000 of another driver"):
        make(context, "slow", port=box.port, line=1, baud=9600).open()
    with pytest.raises(UserError, match="does another program hold it"):
        make(DriverContext(HostClock()), "elsewhere", port=box.port, line=1).open()


def test_a_line_that_the_box_does_not_have(box: SimulatedBox, context: DriverContext) -> None:
    with pytest.raises(UserError, match=r"no input line 5: it has 2 input lines, from 0 \(`INPUTS`"):
        make(context, port=box.port, line=5).open()


def test_an_older_firmware_is_an_output_still_and_says_that_it_has_no_inputs() -> None:
    with SimulatedBox(source=OLD_FIRMWARE) as box:
        for beside in (False, True):
            context = DriverContext(HostClock())
            output = make_output("laser", "serial_ttl", {"port": box.port, **PATIENT}, context)
            if beside:
                output.open()
            with pytest.raises(UserError, match=r"its firmware has no input lines; flash rigs/firmware/"):
                make(context, port=box.port).open()
            if not beside:
                output.open()
            assert output.send(Command(1, 1, "laser", 0, "pulse", 1000)).ok
            output.close()


def test_an_older_host_is_told_nothing_of_inputs(box: SimulatedBox) -> None:
    """Its messages are those of before, and the box sends it none that it would not know."""
    import serial

    from rigs.firmware.framing import Deframer, frame

    assert protocol.VERSION == 1
    with serial.Serial(box.port, timeout=0.3) as port:
        port.write(frame(protocol.Input(5, 0, 0)))
        port.read(64)
        port.write(frame(protocol.Hello(1, 1, 500)))
        box.order("input 0 10 2000")
        box.wait_for_inputs(10)
        port.write(frame(protocol.Heartbeat(2)))
        deframer, codes = Deframer(), list[int]()

        def read() -> bool:
            codes.extend(m.CODE for m in deframer.feed(port.read(200)))
            return 0x83 in codes

        wait_until(read)
        assert codes == [0x81, 0x83]


def test_a_box_that_begins_again_is_told_and_its_clock_is_learnt_anew(
    box: SimulatedBox, lick: SerialTtlInput
) -> None:
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    box.order("input 0 1 0")
    edges.wait_for(1)
    box.order("restart")
    wait_until(lambda: any("has begun again" in text for text in lick.notices))
    box.order("input 0 1 0")
    real = box.wait_for_inputs(2)[1]
    off = edges.wait_for(2)[1]
    assert not off.on
    assert abs(off.t_ns - real.t_ns) < SLACK_NS
    assert off.t_device_us is not None
    assert off.t_device_us < 60 * 10**6


@pytest.mark.parametrize("ill", ["silent", "deaf", "garbage"])
def test_a_box_that_does_not_answer_is_told_once_and_mended_when_it_does(
    box: SimulatedBox, lick: SerialTtlInput, ill: str
) -> None:
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    wait_until(lambda: lick._count is not None)
    box.order(ill)
    threading.Event().wait(0.05)
    box.order("input 0 3 1000")  # three edges that nobody hears of
    wait_until(lambda: lick.notices)
    assert list(lick.notices) == [
        "the box has not answered for 500 ms; its line stays as it was until the box answers again"
    ]
    assert not edges.found
    box.order("well")
    assert edges.wait_for(1)[0].on
    wait_until(lambda: lick.lost == 2)
    assert lick.notices[-1] == "the box answers again"


def test_a_box_that_answers_late_loses_nothing(box: SimulatedBox, lick: SerialTtlInput) -> None:
    edges = EdgeCollector()
    lick.open()
    lick.start(edges)
    box.order("late 300")
    box.order("input 0 4 20000")
    made, found = box.wait_for_inputs(4), edges.wait_for(4)
    for real, edge in zip(made, found, strict=True):
        assert abs(edge.t_ns - real.t_ns) < 220 * NS_PER_MS, "its own time, and not that of its late arrival"
    assert lick.lost == 0


def test_a_cable_that_is_pulled_is_told_and_another_socket_will_do(
    box: SimulatedBox, context: DriverContext, tmp_path: Path
) -> None:
    link = tmp_path / "ttl"
    link.symlink_to(box.port)
    lick, edges = make(context, port=str(link)), EdgeCollector()
    lick.open()
    lick.start(edges)
    box.order("input 0 1 0")
    edges.wait_for(1)
    box.order("pull")
    wait_until(lambda: lick.notices)
    assert "port" in lick.notices[0]
    with SimulatedBox() as again:
        link.unlink()
        link.symlink_to(again.port)
        wait_until(lambda: "the box answers again" in lick.notices)
        assert not edges.wait_for(2)[1].on, "the new box's line is off"
        again.order("input 0 1 0")
        assert edges.wait_for(3)[2].on
        lick.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "expected one of `serial` and `port`"),
        ({"serial": "1", "port": "/dev/x"}, "expected one of `serial` and `port`"),
        ({"port": "/dev/x", "line": 8}, "line must be between 0 and 7, got 8"),
        ({"port": "/dev/x", "debounce_ms": -1.0}, "debounce_ms must be between 0 and 1000, got -1"),
        ({"port": "/dev/x", "baud": 0}, "baud must be more than 0"),
    ],
)
def test_options_that_cannot_be_meant(context: DriverContext, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=rf"inputs\.lick\.options: {expected}"):
        make(context, **options)


def test_a_port_where_nothing_answers(
    box: SimulatedBox, lick: SerialTtlInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rigs.inputs.serial_ttl.OPEN_TIMEOUT_S", 0.3)
    box.order("silent")
    with pytest.raises(UserError, match=r"no answer within 0\.3 s; is rigs/firmware/ttl_box\.ino flashed"):
        lick.open()
    monkeypatch.setattr("rigs.inputs.serial_ttl.OPEN_TIMEOUT_S", PATIENCE_S)
    box.order("well")
    assert lick.open().name == "lick", "what failed half-way can be opened again"
