"""The output to Open Ephys' Network Events, against a server that answers as its documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.patience import assert_below, wait_until
from support.peers import OpenEphysServer, beat_until_fault

import rigs
from rigs.outputs.open_ephys import NOT_ACQUIRING, OpenEphys
from rigs.timed_lines import Undelivered
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
CLOCK = HostClock()


@pytest.fixture
def server() -> Iterator[OpenEphysServer]:
    with OpenEphysServer() as peer:
        yield peer


@pytest.fixture
def output(server: OpenEphysServer) -> Iterator[OpenEphys]:
    made = make(port=server.port, lines=3, answer_ms=4000)
    yield made
    made.close()


@pytest.fixture
def hasty(server: OpenEphysServer) -> Iterator[OpenEphys]:
    """One that soon gives up."""
    made = make(port=server.port, lines=3, answer_ms=500)
    yield made
    server.answers.set()
    made.close()


def make(**options: Any) -> OpenEphys:
    made = make_output("ephys", "open_ephys", options, DriverContext(CLOCK))
    assert isinstance(made, OpenEphys)
    return made


def command(action: Any, line: int = 0, **fields: Any) -> Command:
    return Command(1, 1, "ephys", line, action, **fields)


def ttl(requests: list[str]) -> list[str]:
    return [request for request in requests if request.startswith("TTL")]


def test_opening_switches_all_lines_off(server: OpenEphysServer, output: OpenEphys) -> None:
    info = output.open()
    assert (info.lines, info.detail, info.echoes) == (3, "acquiring", True)
    assert ttl(server.contents) == [f"TTL Line={line} State=0" for line in (1, 2, 3)]


def test_a_pulse_is_an_event_on_and_an_event_off(server: OpenEphysServer, output: OpenEphys) -> None:
    output.open()

    def lasted_ns() -> int:
        before = len(ttl(server.contents))
        ack = output.send(command("pulse", 2, duration_us=40_000))
        assert ack.ok
        assert ack.t_sent_ns is not None
        assert ack.t_ack_ns is not None
        assert ack.t_sent_ns <= ack.t_ack_ns
        wait_until(lambda: len(server.events) == before + 2)
        assert ttl(server.contents)[before:] == ["TTL Line=3 State=1", "TTL Line=3 State=0"]
        up, down = server.events[-2:]
        assert down[0] - up[0] >= 40 * NS_PER_MS
        return down[0] - up[0]

    assert_below(80 * NS_PER_MS, lasted_ns)


def test_the_safe_state_asks_only_for_lines_that_may_be_on(
    server: OpenEphysServer, output: OpenEphys
) -> None:
    output.open()
    output.send(command("level", 1))
    before = len(ttl(server.contents))
    output.safe_state()
    output.safe_state()
    assert ttl(server.contents)[before:] == ["TTL Line=2 State=0"]


def test_a_message_is_a_request_of_its_own(server: OpenEphysServer, output: OpenEphys) -> None:
    output.open()
    ack = output.send(command("message", message="StartRecord CreateNewDir=1"))
    assert (ack.ok, ack.detail) == (True, "StartedRecording")
    assert server.contents[-1] == "StartRecord CreateNewDir=1"
    ack = output.send(command("message", message="StartRecrod"))
    assert (ack.ok, ack.detail) == (False, "Network Events knows no 'StartRecrod'")
    assert ack.t_ack_ns is not None


def test_an_event_that_goes_into_no_recording_has_failed(server: OpenEphysServer, output: OpenEphys) -> None:
    server.acquiring = False
    assert "not acquiring yet" in output.open().detail
    ack = output.send(command("pulse", duration_us=1000))
    assert (ack.ok, ack.detail) == (False, NOT_ACQUIRING)
    server.acquiring = True
    assert output.send(command("pulse", duration_us=1000)).ok


def test_without_an_answer_the_command_fails_in_time_and_the_socket_recovers(
    server: OpenEphysServer, hasty: OpenEphys
) -> None:
    hasty.open()
    server.answers.clear()
    before_ns = CLOCK.now_ns()
    ack = hasty.send(command("level"))
    took_ms = (CLOCK.now_ns() - before_ns) / NS_PER_MS
    assert (ack.ok, ack.t_ack_ns) == (False, None)
    assert ack.t_sent_ns is not None
    assert ack.detail == "no answer within 500 ms; whether it acted is not known"
    assert took_ms < 5000, "it does not wait for the answer"
    server.answers.set()
    server.wait_for(lambda all_: ttl(all_)[-1] == "TTL Line=1 State=0")
    assert hasty.heartbeat(True) == [], "what may have gone on was switched off, so that the output is well"
    assert hasty.send(command("pulse", 1, duration_us=1000)).ok


def test_a_gui_that_hangs_is_a_fault_of_the_output(server: OpenEphysServer, hasty: OpenEphys) -> None:
    hasty.open()
    server.answers.clear()
    assert not hasty.send(command("level")).ok
    with pytest.raises(Undelivered, match=r"no answer within|nobody answers"):
        beat_until_fault(hasty)
    with pytest.raises(Undelivered):
        hasty.safe_state()
    server.answers.set()
    assert hasty.open().lines == 3
    assert hasty.send(command("level")).ok
    assert server.level(1) == 1
    hasty.close()
    assert server.level(1) == 0, "closing leaves nothing on"


def test_a_gui_that_was_started_again_is_found_again() -> None:
    with OpenEphysServer() as first:
        output = make(port=first.port, lines=1, answer_ms=1000)
        output.open()
        assert output.send(command("pulse", duration_us=1000)).ok
    with OpenEphysServer(first.port) as second:
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 300 * NS_PER_MS)
        output.open()
        assert output.send(command("level")).ok
        assert second.level(1) == 1
        output.close()


def test_a_hung_loop_switches_the_lines_off(server: OpenEphysServer, output: OpenEphys) -> None:
    output.open()
    output.heartbeat(True)
    output.send(command("level"))
    assert server.level(1) == 1
    assert output.heartbeat(False) == ["the loop does not turn: all lines were switched off"]
    assert server.level(1) == 0


def test_a_plugin_of_the_older_form_is_told(server: OpenEphysServer, output: OpenEphys) -> None:
    server.old = True
    with pytest.raises(UserError, match="it is of an older form; update the plugin"):
        output.open()


def test_where_nobody_answers() -> None:
    with pytest.raises(
        UserError, match=r"nobody answers at tcp://127\.0\.0\.1:9; is the Open Ephys GUI running"
    ):
        make(port=9, answer_ms=20).open()
    with pytest.raises(UserError, match=r"options\.host: no address tcp://"):
        make(host="a b", answer_ms=20).open()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"lines": 0}, r"options\.lines: expected 1 to 256, got 0"),
        ({"port": 70000}, "expected 1 to 65535"),
        ({"answer_ms": 1}, "expected 10 to 10000"),
        ({"delay_ms": 2000.0}, "delay_ms must be between"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make(**options)
