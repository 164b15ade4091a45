"""Sync signals: pulses and codes go out, each becomes a record, and rules are not in their way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from support.patience import PATIENCE_S

from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.config.check import SHORTEST_CODE_NS, check_run
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, RunConfig
from rt_pose.config.sync import FramePulsesConfig, SyncCodeConfig, SyncConfig
from rt_pose.decisions.rule import make_rules
from rt_pose.errors import UserError
from rt_pose.loop.sync import FIRST_ID, MOST_WAITING, NO_ANSWER, SyncPlan, SyncSignals, plan_sync
from rt_pose.outputs.actuators import EMERGENCY, Actuators
from rt_pose.outputs.barcode import LONGEST_MS, LONGEST_PULSE_MS, PULSES, find_codes
from rt_pose.records import Record, SyncRecord
from rt_pose.types import Ack, Command, OutputInfo

CLOCK = HostClock()
RULE = RuleConfig("near", "x(nose) < 5", ActionConfig("box", "5 ms", line="laser"))


class Box:
    """An output that stamps what it is asked, or fails."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.fails = False

    def open(self) -> OutputInfo:
        return OutputInfo("box", "box", "1", 0.5, True, lines=4, actions=["pulse", "stop"])

    def send(self, command: Command) -> Ack:
        if self.fails:
            raise OSError("unplugged")
        self.commands.append(command)
        t_ns = CLOCK.now_ns()
        return Ack(command.id, "box", t_ns, t_ns + 1000, 7, ok=True, t_effect_ns=t_ns + 500)

    def safe_state(self) -> None:
        pass

    def close(self) -> None:
        pass


class ListSink:
    """Keeps records."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def send(self, record: Record) -> bool:
        self.records.append(record)
        return True

    def close(self) -> None:
        pass


class Bench:
    """Sync signals on a box, and the loop's side of them."""

    def __init__(self, sync: SyncConfig) -> None:
        self.box, self.sink = Box(), ListSink()
        self.actuators = Actuators([(self.box.open(), self.box)], CLOCK)  # type: ignore[list-item]
        self.signals = SyncSignals(plan(sync), self.actuators, CLOCK)
        self.actuators.start()

    def drain(self) -> list[SyncRecord]:
        """What the loop does between frames; every record so far."""
        while self.actuators.acks:
            assert self.signals.take(self.actuators.acks.popleft(), self.sink)
        self.signals.drain(self.sink)
        return self.sink.records

    def until(self, condition: Callable[[list[SyncRecord]], bool]) -> list[SyncRecord]:
        """Drain until it holds, with patience."""
        tick = threading.Event()
        for _ in range(round(PATIENCE_S / 0.005)):
            if condition(self.drain()):
                return self.sink.records
            tick.wait(0.005)
        raise AssertionError(f"{len(self.sink.records)} records")


def config(sync: SyncConfig, **changes: Any) -> RunConfig:
    lines = ["laser", "shutter", "code", "frames"]
    values = {
        "cameras": {"top": CameraConfig("simulated"), "side": CameraConfig("simulated")},
        "outputs": {"box": OutputConfig("box", lines=lines)},
        "rules": [RULE],
        "sync": sync,
    }
    return RunConfig(**(values | changes))


def plan(sync: SyncConfig) -> SyncPlan:
    wanted = config(sync)
    check_run(wanted)
    return plan_sync(wanted, make_rules(wanted, ["nose"], {"box": 0.0}), [Box().open()])


@pytest.fixture
def frames() -> Iterator[Bench]:
    bench = Bench(SyncConfig(frames=FramePulsesConfig("box", "frames", every=3)))
    yield bench
    bench.actuators.stop()


def test_every_nth_frame_of_its_camera_has_a_pulse(frames: Bench) -> None:
    for index in range(10, 20):
        frames.signals.mark("top", index)
        frames.signals.mark("side", index)
        records = frames.until(lambda records, n=1 + (index - 10) // 3: len(records) == n)  # type: ignore[misc]
    assert [record.index for record in records] == [10, 13, 16, 19]
    assert [(r.camera, r.output, r.line, r.ok) for r in records] == [("top", "box", 3, True)] * 4
    for record in records:
        assert record.t_asked_ns <= record.t_sent_ns < record.t_effect_ns < record.t_ack_ns <= record.t_ns
    assert [(c.action, c.duration_us, c.event_id) for c in frames.box.commands] == [("pulse", 2000, None)] * 4
    assert frames.signals.counts() == {"pulses": 4, "failed": 0}


def test_answers_to_commands_of_rules_are_left_to_them(frames: Bench) -> None:
    assert not frames.signals.take(Ack(1, "box", 1, 2, None, ok=True), frames.sink)
    assert frames.sink.records == []
    frames.signals.mark("top", 0)
    frames.until(lambda records: len(records) == 1)
    assert frames.box.commands[0].id == FIRST_ID


def test_pulses_go_on_while_disarmed_and_stop_in_an_emergency(frames: Bench) -> None:
    frames.actuators.disarm()
    frames.signals.mark("top", 0)
    assert frames.until(lambda records: len(records) == 1)[0].ok
    frames.actuators.emergency()
    for index in (1, 2, 3):
        frames.signals.mark("top", index)
    lost = frames.until(lambda records: len(records) == 2)[1]
    assert (lost.index, lost.ok, lost.detail, lost.t_sent_ns) == (3, False, EMERGENCY, None)
    frames.actuators.release()
    for index in (4, 5, 6):
        frames.signals.mark("top", index)
    assert frames.until(lambda records: len(records) == 3)[2].ok


def test_what_an_output_fails_is_recorded_and_counted(frames: Bench) -> None:
    frames.box.fails = True
    frames.signals.mark("top", 0)
    record = frames.until(lambda records: len(records) == 1)[0]
    assert (record.ok, record.index) == (False, 0)
    assert "unplugged" in record.detail
    assert frames.signals.counts() == {"pulses": 1, "failed": 1}


def test_a_pulse_that_is_never_answered_is_recorded_at_the_end(frames: Bench) -> None:
    frames.signals.mark("top", 0)
    frames.signals.drain(frames.sink, ended=True)
    assert [record.detail for record in frames.sink.records] == [NO_ANSWER]


@pytest.mark.alone
def test_a_code_says_the_present_second() -> None:
    bench = Bench(SyncConfig(code=SyncCodeConfig("box", "code", every="4 s")))
    begin_s = CLOCK.utc_ns() // NS_PER_S
    bench.signals.start()
    records = bench.until(lambda records: len(records) >= PULSES)
    bench.signals.stop()
    bench.actuators.stop()
    assert [record.place for record in records[:PULSES]] == list(range(PULSES))
    assert {(r.line, r.signal, r.index, r.ok) for r in records[:PULSES]} == {(2, "code", None, True)}
    sent_s = np.array([record.t_effect_ns for record in records[:PULSES]]) / NS_PER_S
    (found,) = find_codes(sent_s)
    assert begin_s <= found.number <= begin_s + 1
    assert {record.code for record in records[:PULSES]} == {found.number}


def test_codes_end_at_once() -> None:
    bench = Bench(SyncConfig(code=SyncCodeConfig("box", "code")))
    bench.signals.start()
    bench.until(lambda records: len(records) > 2)
    begin_ns = CLOCK.now_ns()
    bench.signals.stop()
    assert CLOCK.now_ns() - begin_ns < NS_PER_S  # of the four that a code lasts
    bench.actuators.stop()
    bench.drain()
    assert len(bench.sink.records) < PULSES


def test_a_code_is_over_before_the_next_begins() -> None:
    assert LONGEST_MS * NS_PER_MS < SHORTEST_CODE_NS
    assert LONGEST_PULSE_MS == 20  # as the check of `sync.code.pulse` has it


@pytest.mark.parametrize(
    ("sync", "message"),
    [
        (
            SyncConfig(frames=FramePulsesConfig("bux")),
            "sync.frames.output: there is no output 'bux', did you mean",
        ),
        (
            SyncConfig(frames=FramePulsesConfig("box", 3, every=0)),
            "sync.frames.every: expected 1 or more, got 0",
        ),
        (
            SyncConfig(frames=FramePulsesConfig("box", 3, pulse="2")),
            "sync.frames.pulse: expected a length of time",
        ),
        (
            SyncConfig(frames=FramePulsesConfig("box", 3, camera="tip")),
            "there is no camera 'tip', did you mean 'top'",
        ),
        (SyncConfig(code=SyncCodeConfig("box", 2, every="2 s")), "sync.code.every: expected 4 s to 60 min"),
        (
            SyncConfig(code=SyncCodeConfig("box", 2, pulse="25 ms")),
            "sync.code.pulse: expected 10 us to 20 ms",
        ),
        (
            SyncConfig(frames=FramePulsesConfig("box", "frame")),
            "sync.frames: line: output 'box' has no line 'frame'",
        ),
        (SyncConfig(frames=FramePulsesConfig("box", 7)), "names 4 lines"),
        (SyncConfig(frames=FramePulsesConfig("box", 0)), "box line laser serves rule 'near' already"),
        (
            SyncConfig(FramePulsesConfig("box", 3), SyncCodeConfig("box", "frames")),
            "box line frames serves sync.frames already",
        ),
    ],
)
def test_what_cannot_be_says_why(sync: SyncConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(sync)


def test_without_signals_there_is_nothing() -> None:
    assert not plan(SyncConfig()).any


def test_pulses_do_not_take_the_place_of_stimuli() -> None:
    """However slow an output is, its queue has room for rules' commands."""
    bench = Bench(SyncConfig(frames=FramePulsesConfig("box", "frames")))
    go_on, busy = threading.Event(), threading.Event()

    def wait(command: Command) -> Ack:
        busy.set()
        go_on.wait(PATIENCE_S)
        return Ack(command.id, "box", 1, 2, None, ok=True)

    bench.box.send = wait  # type: ignore[method-assign]
    bench.signals.mark("top", 0)
    assert busy.wait(PATIENCE_S)
    for index in range(1, 40):
        bench.signals.mark("top", index)
    assert [bench.actuators.submit(Command(i, i, "box", 0, "pulse", 5000)) for i in range(1, 15)] == [""] * 14
    go_on.set()
    bench.actuators.stop()
    while bench.actuators.acks:
        bench.signals.take(bench.actuators.acks.popleft(), bench.sink)
    bench.signals.drain(bench.sink)
    reasons = [record.detail for record in bench.sink.records if not record.ok]
    assert reasons.count(f"{MOST_WAITING} commands are waiting for the output already") == 37
