"""The LSL input on real streams: markers, a channel with a threshold, and senders that err."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pylsl import StreamInfo, StreamOutlet, local_clock
from support.patience import PATIENCE_S, wait_until

import rigs
from rigs.inputs.lsl import GONE, LslInput
from rigs.lsl_clock import to_lsl_s
from rt_pose import extras
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, ReportingInput, make_input
from rt_pose.errors import UserError
from rt_pose.types import Edge

rigs.register()
CLOCK = HostClock()


def make(**options: Any) -> LslInput:
    made = make_input("lick", "lsl", {"wait_s": PATIENCE_S} | options, DriverContext(CLOCK))
    assert isinstance(made, LslInput)
    return made


def outlet(name: str, kind: str = "string", channels: int = 1, source: str | None = None) -> StreamOutlet:
    source = name if source is None else source
    return StreamOutlet(StreamInfo(name, "Markers", channels, 0.0, kind, source))


class Started:
    """An open input and what it delivers."""

    def __init__(self, line: LslInput) -> None:
        self.found: list[Edge] = []
        self._more = threading.Condition()
        self.line, self.info = line, line.open()
        line.start(self)

    def __call__(self, edge: Edge) -> None:
        with self._more:
            self.found.append(edge)
            self._more.notify_all()

    def states(self, count: int) -> list[bool]:
        with self._more:
            assert self._more.wait_for(lambda: len(self.found) >= count, PATIENCE_S), self.found
            return [edge.on for edge in self.found]


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Started] = []

    def begin(**options: Any) -> Started:
        started.append(Started(make(**options)))
        return started[-1]

    yield begin
    for each in started:
        each.line.close()


def test_markers_switch_the_line_and_others_do_not(start: Any) -> None:
    out = outlet("test-in-markers")
    got = start(stream="test-in-markers", on_marker="poke in", off_marker="poke out")
    assert got.info.serial == "test-in-markers"
    assert "its clock known within" in got.info.detail
    for text in ("other", "poke in", "poke in", b"\xff\xfe", "poke out", "", "poke in"):
        out.push_sample([text])
    assert got.states(3) == [True, False, True]


def test_a_marker_without_an_end_is_a_moment(start: Any) -> None:
    out = outlet("test-in-moment")
    got = start(stream="test-in-moment", on_marker="lick")
    out.push_sample(["lick"])
    out.push_sample(["lick"])
    assert got.states(4) == [True, False, True, False]
    assert got.found[0].t_ns == got.found[1].t_ns


def test_a_channel_crosses_a_threshold_with_hysteresis(start: Any) -> None:
    out = outlet("test-in-analog", "float32", 2)
    got = start(stream="test-in-analog", channel=1, threshold=2.5, hysteresis=1.0)
    for value in (0.0, 2.4, float("nan"), 2.5, 3.0, 1.6, 1.4, 2.4, 9.0, 1.5, float("-inf")):
        out.push_sample([100.0, value])
    assert got.states(4) == [True, False, True, False]


def test_an_edge_bears_the_time_of_its_sample(start: Any) -> None:
    out = outlet("test-in-times")
    got = start(stream="test-in-times", on_marker="on", off_marker="off")
    now_ns = CLOCK.now_ns()
    now_s = to_lsl_s(now_ns, CLOCK)
    out.push_sample(["on"], now_s - 2.0)
    out.push_sample(["off"], now_s - 1.0)
    got.states(2)
    for edge, ago_ms in zip(got.found, (2000, 1000), strict=True):
        # Far from the time of the arrival; how near the sender's clock is known depends on the network.
        assert abs(edge.t_ns - (now_ns - ago_ms * NS_PER_MS)) < 50 * NS_PER_MS


def test_stamps_that_cannot_be_are_not_believed(start: Any) -> None:
    out = outlet("test-in-bad-times")
    got = start(stream="test-in-bad-times", on_marker="on")
    before_ns = CLOCK.now_ns()
    stamps = (local_clock() + 100.0, 1.0, float("inf"), 1e300, local_clock() - 3600.0)
    for stamp in stamps:
        out.push_sample(["on"], stamp)
    got.states(2 * len(stamps))
    times = [edge.t_ns for edge in got.found]
    assert times == sorted(times)
    assert before_ns <= times[0]
    assert times[-1] <= CLOCK.now_ns()


def test_what_was_sent_before_the_start_is_past() -> None:
    out = outlet("test-in-before")
    line = make(stream="test-in-before", on_marker="on", off_marker="off")
    line.open()
    out.push_sample(["on"])
    wait_until(line._inlet.samples_available)
    edges: list[Edge] = []
    line.start(edges.append)
    out.push_sample(["off"])
    threading.Event().wait(0.3)
    line.close()
    assert edges == [], "the line was never on for us"


def test_a_stream_that_ends_is_told_and_its_line_stays_until_it_is_back(start: Any) -> None:
    out = outlet("test-in-lost")  # with a source's identifier, for which LSL itself would wait in silence
    got = start(stream="test-in-lost", on_marker="on", off_marker="off")
    assert isinstance(got.line, ReportingInput)
    out.push_sample(["on"])
    assert got.states(1) == [True]
    del out
    wait_until(lambda: got.line.notices)
    assert list(got.line.notices) == ["the stream is gone; its line stays as it was until it is back"]
    again = outlet("test-in-lost")

    def push_off() -> bool:
        again.push_sample(["off"])
        return len(got.found) > 1

    wait_until(push_off)
    assert got.states(2) == [True, False], "no edge of our own making"
    assert got.line.notices[-1] == "the stream is back"


def test_a_stream_whose_machine_does_not_answer_is_lost(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """LSL asks the sender's clock every two seconds: to whoever waits for less, it does not answer."""
    monkeypatch.setattr("rigs.inputs.lsl.SILENT_NS", 200 * NS_PER_MS)
    out = outlet("test-in-pulled")
    got = start(stream="test-in-pulled", on_marker="on", off_marker="off")
    wait_until(lambda: len(got.line.notices) > 1)
    assert list(got.line.notices)[:2] == [GONE, "the stream is back"]
    assert got.found == []
    del out


def test_a_stream_that_is_not_there_names_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rigs.lsl_streams.SEARCH_S", 0.3)
    there = outlet("test-in-\x1b[31mthere")
    with pytest.raises(
        UserError, match=r"no LSL stream 'test-in-no' within 0\.2 s; there are: .*is its program"
    ):
        make(stream="test-in-no", on_marker="x", wait_s=0.2).open()
    descriptions = [device for device in LslInput.find() if "there" in device.serial]
    assert [device.serial for device in descriptions] == ["test-in-?[31mthere"], "nothing steers the terminal"
    assert descriptions[0].description.startswith("Markers, 1 channel")
    del there


def test_of_streams_with_one_name_the_source_is_wanted() -> None:
    both = [outlet("test-in-two", source=source) for source in ("left", "right")]
    line = make(stream="test-in-two", source_id="right", on_marker="x")
    assert line.open().serial == "test-in-two"
    line.close()
    del both


def test_a_stream_of_another_kind_is_refused() -> None:
    texts, numbers = outlet("test-in-texts"), outlet("test-in-numbers", "int32")
    with pytest.raises(UserError, match=r"'test-in-texts' is one of texts; give `on_marker`"):
        make(stream="test-in-texts", threshold=1.0).open()
    with pytest.raises(UserError, match=r"'test-in-numbers' is one of numbers; give `threshold`"):
        make(stream="test-in-numbers", on_marker="1").open()
    with pytest.raises(UserError, match=r"options\.channel: .*has the channels 0 to 0, got 3"):
        make(stream="test-in-numbers", threshold=1.0, channel=3).open()
    del texts, numbers


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"on_marker": "x"}, r"inputs\.lick\.options\.stream: expected the name of a stream"),
        ({"stream": "a"}, "expected one of `on_marker`"),
        ({"stream": "a", "on_marker": "x", "threshold": 1.0}, "expected one of `on_marker`"),
        ({"stream": "a'b", "on_marker": "x"}, "cannot search for a name with an apostrophe"),
        (
            {"stream": "a", "threshold": 1.0, "off_marker": "x"},
            r"options\.off_marker: only a stream",
        ),
        ({"stream": "a", "threshold": 1.0, "hysteresis": -1.0}, "expected 0 or more, got -1"),
        ({"stream": "a", "threshold": 1.0, "channel": -1}, "expected 0 or more, got -1"),
        ({"stream": "a", "on_marker": "x", "wait_s": -1.0}, "expected 0 to 600"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make(**options)


def test_without_the_library_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "lsl", ("no_such_module",))
    with pytest.raises(UserError, match=r"the driver lsl needs no_such_module.*pip install 'rt-pose\[lsl\]'"):
        make(stream="a", on_marker="x").open()
    assert [(d.usable, d.remedy) for d in LslInput.find()] == [(False, "pip install 'rt-pose[lsl]'")]
