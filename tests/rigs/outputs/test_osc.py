"""The output of OSC messages against python-osc's own server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.patience import assert_below
from support.peers import OscServer, beat_until_fault

import rigs
from rigs.outputs.osc import OscOutput, encode_osc
from rigs.timed_lines import Undelivered
from rt_pose import extras
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()


def make(**options: Any) -> OscOutput:
    made = make_output("synth", "osc", options, DriverContext(HostClock()))
    assert isinstance(made, OscOutput)
    return made


@pytest.fixture
def server() -> Iterator[OscServer]:
    with OscServer() as peer:
        yield peer


def command(action: Any, **fields: Any) -> Command:
    return Command(1, 1, "synth", fields.pop("line", 0), action, **fields)


def test_each_command_is_one_message_with_times_in_ms(server: OscServer) -> None:
    output = make(port=server.port)
    info = output.open()
    assert (info.lines, info.actions) == (None, [])
    commands = [
        command("pulse", line=3, duration_us=5000),
        command("train", duration_us=5000, period_us=20_500, count=7, amplitude=0.5),
        command("level", duration_us=0),
        command("analog", ramp_up_us=1000, duration_us=2000, ramp_down_us=3000),
        command("message", message="reward"),
        command("aim", line=1, duration_us=2000, x=1.25, y=-3.5, amplitude=0.5),
        command("stop", line=2),
    ]
    assert all(output.send(each).ok for each in commands)
    output.safe_state()
    output.close()
    assert server.wait_for(lambda all_: len(all_) == 9) == [
        ("/rt-pose/safe",),
        ("/rt-pose/pulse", 3, 5.0, 1.0),
        ("/rt-pose/train", 0, 5.0, 20.5, 7, 0.5),
        ("/rt-pose/level", 0, 0.0, 1.0),
        ("/rt-pose/analog", 0, 1.0, 2.0, 3.0, 1.0),
        ("/rt-pose/message", "reward"),
        ("/rt-pose/aim", 1, 1.25, -3.5, 2.0, 0.5),
        ("/rt-pose/stop", 2),
        ("/rt-pose/safe",),
    ]


def test_open_ephys_gets_a_pulse_as_on_and_off(server: OscServer) -> None:
    output = make(port=server.port, preset="open_ephys", lines=2)
    info = output.open()
    assert (info.lines, "analog" in info.actions) == (2, False)
    server.wait_for(lambda all_: all_ == [("/ttl", 1, 0), ("/ttl", 2, 0)])

    def off_ms() -> float:
        """By how much its length is another than 30 ms, as the server's thread finds them."""
        before = len(server.contents)
        ack = output.send(command("pulse", line=1, duration_us=30_000))
        server.wait_for(lambda all_: len(all_) == before + 2)
        (up_ns, up), (down_ns, down) = server.received[before:]
        assert (up, down) == (("/ttl", 2, 1), ("/ttl", 2, 0))
        assert ack.ok
        assert ack.t_sent_ns is not None
        assert down_ns - ack.t_sent_ns >= 30 * NS_PER_MS
        return abs((down_ns - up_ns) / NS_PER_MS - 30)

    assert_below(30.0, off_ms)
    before = len(server.contents)
    output.send(command("level"))
    output.safe_state()
    assert server.wait_for(lambda all_: len(all_) == before + 3)[before:] == [
        ("/ttl", 1, 1),
        ("/ttl", 1, 0),
        ("/ttl", 2, 0),
    ]
    output.close()


def test_a_peer_that_goes_during_a_train_is_a_fault_of_the_output() -> None:
    with OscServer() as server:
        output = make(port=server.port, preset="open_ephys", lines=1)
        output.open()
        output.send(command("train", duration_us=2000, period_us=10_000, count=1000))
        server.wait_for(lambda all_: len(all_) > 4)
    with pytest.raises(Undelivered, match=f"nobody takes datagrams at 127.0.0.1:{server.port}"):
        beat_until_fault(output)
    with pytest.raises(UserError, match="start the other program first"):
        make(port=server.port).open()
    output.close()


def test_other_numbers_than_pythons_are_refused_by_the_library() -> None:
    for value in (np.float32(1), np.int64(1), np.bool_(True)):
        with pytest.raises(ValueError, match="type"):
            encode_osc("/x", [value])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"address": "ttl"}, r"options\.address: expected an OSC address such as /rt-pose, got 'ttl'"),
        ({"address": "/a b"}, "expected an OSC address"),
        ({"address": "/a/"}, "expected an OSC address"),
        ({"address": "/a*"}, "expected an OSC address"),
        ({"lines": 257}, r"options\.lines: expected 1 to 256, got 257"),
        ({"port": -1}, "expected 1 to 65535"),
        ({"preset": "max"}, "open_ephys"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make(**options)


def test_without_the_library_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "osc", ("no_such_module",))
    with pytest.raises(UserError, match=r"the driver osc needs no_such_module.*pip install 'rt-pose\[osc\]'"):
        make().open()
    (found,) = OscOutput.find()
    assert (found.usable, found.remedy) == (False, "pip install 'rt-pose[osc]'")
