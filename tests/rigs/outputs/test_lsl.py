"""Markers of the Lab Streaming Layer, read back by a real inlet."""

from __future__ import annotations

from typing import Any

import pylsl
import pytest
from support.patience import PATIENCE_S
from support.peers import LslTaker

import rigs
from rigs.lsl_clock import LONGEST_AGE_S, to_host_ns, to_lsl_s
from rigs.outputs.lsl import LslMarkers
from rt_pose import extras
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
CLOCK = HostClock()


def make(**options: Any) -> LslMarkers:
    made = make_output("laser", "lsl", options, DriverContext(CLOCK))
    assert isinstance(made, LslMarkers)
    return made


def test_markers_are_texts_with_the_time_of_their_command() -> None:
    output = make(stream="test-markers")
    with LslTaker("test-markers") as taker:
        info = output.open()
        assert output._outlet.wait_for_consumers(PATIENCE_S)
        assert (info.serial, info.echoes, info.lines) == ("test-markers", False, None)
        before_ns = CLOCK.now_ns()
        acks = [
            output.send(Command(5, 5, "laser", 2, "pulse", duration_us=5000)),
            output.send(Command(6, 6, "laser", 0, "message", message="Wasser {line}")),
        ]
        after_ns = CLOCK.now_ns()
        taker.wait_for(lambda all_: len(all_) == 2)
        (inlet,) = taker.inlets.values()
        described = inlet.info(PATIENCE_S)
    output.close()
    assert all(ack.ok for ack in acks)
    (first, first_s), (second, second_s) = taker.contents
    assert (first, second) == (["laser/2/pulse"], ["Wasser {line}"])
    assert to_lsl_s(before_ns, CLOCK) - 1e-3 <= first_s <= second_s <= to_lsl_s(after_ns, CLOCK) + 1e-3
    assert (described.type(), described.channel_format()) == ("Markers", pylsl.cf_string)
    assert described.nominal_srate() == pylsl.IRREGULAR_RATE
    assert described.get_channel_labels() == ["command"]


def test_numbers_go_out_as_text() -> None:
    """A number that is pushed into a stream of texts would arrive as so many NULs."""
    output = make(stream="test-numbers", text="{line}")
    with LslTaker("test-numbers") as taker:
        output.open()
        assert output._outlet.wait_for_consumers(PATIENCE_S)
        output.send(Command(1, 1, "laser", 5, "level"))
        assert taker.wait_for(bool)[0][0] == ["5"]
    output.close()


def test_a_marker_that_nobody_takes_has_failed() -> None:
    output = make(stream="test-alone")
    output.open()
    ack = output.send(Command(1, 1, "laser", 0, "pulse", duration_us=5000))
    assert (ack.ok, ack.t_sent_ns) == (False, None)
    assert ack.detail == "no program takes the LSL stream 'test-alone': no marker"
    output.close()
    output = make(stream="test-alone", needs_recorder=False)
    output.open()
    assert output.send(Command(1, 1, "laser", 0, "pulse", duration_us=5000)).ok
    output.close()


def test_times_are_mapped_to_and_fro() -> None:
    now_ns = CLOCK.now_ns()
    for t_ns in (now_ns, now_ns - NS_PER_S, now_ns - 5 * NS_PER_S):
        assert abs(to_host_ns(to_lsl_s(t_ns, CLOCK), CLOCK) - t_ns) < NS_PER_MS
    before_s = pylsl.local_clock()
    now_s = to_lsl_s(CLOCK.now_ns(), CLOCK)
    assert before_s - 1e-3 <= now_s <= pylsl.local_clock() + 1e-3


@pytest.mark.parametrize("stamp", [float("nan"), float("inf"), -float("inf"), 1e300, 0.0, -1.0])
def test_a_stamp_that_is_none_counts_as_now(stamp: float) -> None:
    before_ns = CLOCK.now_ns()
    assert before_ns <= to_host_ns(stamp, CLOCK) <= CLOCK.now_ns()


def test_nothing_comes_from_the_future_or_from_long_ago() -> None:
    for offset_s in (0.5, -LONGEST_AGE_S - 1.0):
        before_ns = CLOCK.now_ns()
        assert before_ns <= to_host_ns(pylsl.local_clock() + offset_s, CLOCK) <= CLOCK.now_ns()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"stream": ""}, r"outputs\.laser\.options\.stream: expected the name of a stream"),
        ({"text": ""}, r"options\.text: expected a text"),
        ({"text": "{rule}"}, "the name of a field and no more; got 'rule'"),
        ({"delay_ms": -1.0}, "delay_ms must be between"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make(**options)


def test_without_the_library_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "lsl", ("no_such_module",))
    with pytest.raises(UserError, match=r"the driver lsl needs no_such_module.*pip install 'rt-pose\[lsl\]'"):
        make().open()
    (found,) = LslMarkers.find()
    assert (found.usable, found.remedy) == (False, "pip install 'rt-pose[lsl]'")
