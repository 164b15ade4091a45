"""Whoever watches a run cannot tell controls from stimuli, whatever the outputs do.

The same frames are decided on twice, with seeds that withhold other events of the rule. All that is published
must come out the same: topics, their order, every field with its size and value. One bit is excepted, which
says that an output has failed; it says so once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, cast

import msgspec
import numpy as np
import pytest
import zmq
from support.patience import PATIENCE_S

from rt_pose.clock import NS_PER_S, FakeClock, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import OutputConfig, PublishConfig, RunConfig
from rt_pose.decisions.decide import Decider
from rt_pose.decisions.rule import Rule
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.drivers import FoundDevice
from rt_pose.loop.closed_loop import ClosedLoop
from rt_pose.loop.commands import Commands
from rt_pose.loop.edges import EdgeInbox
from rt_pose.loop.frame_reporter import DecidedFrame, FrameReporter
from rt_pose.loop.housekeeping import Housekeeping, StatsRecords
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.loop.log import SinkFactory
from rt_pose.loop.publish import Publisher
from rt_pose.loop.stages import Channels, Stages
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.outputs.output_thread import Recovery
from rt_pose.package import TrackingSpec
from rt_pose.records import CommandRecord, EventRecord, NoSink, Record, Sink
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Ack, Command, FrameStamps, OutputInfo, Pose, StageStamps

MS = 1_000_000
FRAME_MS = 10
OUT, IN = 300.0, 100.0
STEPS = 60
SEEDS = (1, 2)
LAST = b"last"
"""Topic of a message behind those of a step."""


class TickingClock(FakeClock):
    """To the loop's thread it shows how much has been done since the frame came: each look takes 1 us."""

    def __init__(self) -> None:
        super().__init__(5 * MS)
        self.looks = 0
        self._owner = threading.get_ident()

    def now_ns(self) -> int:
        if threading.get_ident() != self._owner:
            return self._now_ns
        self.looks += 1
        return self._now_ns + 1000 * self.looks


class Device:
    """An output that echoes; the classes below do not."""

    Options: ClassVar[type] = dict

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.name, self.clock = name, clock

    @classmethod
    def find(cls) -> list[FoundDevice]:
        return []

    def open(self) -> OutputInfo:
        return OutputInfo(self.name, "test", "", 0.0, echoes=True, heartbeat_ms=1.0)

    def send(self, command: Command) -> Ack:
        now = self.clock.now_ns()
        return Ack(command.id, self.name, now, now, None, ok=True)

    def safe_state(self) -> None:
        pass

    def close(self) -> None:
        pass


class Refuses(Device):
    def send(self, command: Command) -> Ack:
        now = self.clock.now_ns()
        return Ack(command.id, self.name, now, now, None, ok=False, detail="interlock open")


class NeverAnswers(Device):
    def send(self, command: Command) -> Ack:
        return Ack(command.id, self.name, self.clock.now_ns(), None, None, ok=False, detail="no answer")


class Breaks(Device):
    def send(self, command: Command) -> Ack:
        raise OSError("the port is gone")


class Reports(Device):
    """Its device has something to say after each command."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        super().__init__(name, clock)
        self.sent: deque[int] = deque()

    def send(self, command: Command) -> Ack:
        self.sent.append(command.id)
        return super().send(command)

    def heartbeat(self, alive: bool) -> list[str]:
        return [f"it dropped line 0 in command {self.sent.popleft()}"] if self.sent else []


class RecordList(NoSink):
    def __init__(self, recorder: Sink) -> None:
        self.recorder = recorder
        self.records: list[Record] = []

    def send(self, record: Record) -> bool:
        self.records.append(record)
        self.recorder.send(record)
        return True


def run_config(seed: int) -> RunConfig:
    """Three rules that come true at once; only the first one withholds."""

    def rule(name: str, output: str, **more: Any) -> RuleConfig:
        do = ActionConfig(output=output, pulse="1 ms", line=more.pop("line", 0))
        return RuleConfig(name, "inside(nose, corner)", do, **more)

    return RunConfig(
        zones={"corner": ZoneConfig([IN, IN, 20.0])},
        outputs={"laser": OutputConfig("test"), "lamp": OutputConfig("test")},
        rules=[
            rule("blind", "laser", withhold=0.5),
            rule("same_output", "laser", line=1),
            rule("another_output", "lamp"),
        ],
        budget_ms=20.0,
        seed=seed,
    )


class Bench:
    """The loop without camera and network: decisions, outputs, publication and stats are the real ones."""

    def __init__(self, seed: int, laser: type[Device], attempts: int) -> None:
        self.clock = TickingClock()
        self.sinks = SinkFactory("ipc://@rt-pose-no-recorder", self.clock)  # nobody listens: all is refused
        self.log = RecordList(self.sinks.make(wait=False))
        config = run_config(seed)
        rules = RuleSet.of(config, ["nose"], {"laser": 0.0, "lamp": 0.0}, ["cam"])
        self.decider: Decider = rules.decider(0, 1)
        # Without inertia the filter follows each position at once and predicts no further movement.
        tracking = TrackingSpec([1e13], [1e-4], [1.0], [0.01], lost_ms=50.0, gate_chi2=1e12)
        self.tracker = CausalFilter(tracking, 1, 1)
        self.publisher = Publisher("tcp://127.0.0.1:*", "session", self.clock)
        devices: list[Any] = [laser("laser", self.clock), Device("lamp", self.clock)]
        recoveries = {"laser": Recovery(attempts, 1)}
        self.actuators = Actuators(
            [(device.open(), device) for device in devices], self.clock, recoveries=recoveries
        )
        ledger, anything = LatencyLedger(20.0), cast(Any, None)
        commands = Commands(rules.rules, self.actuators, self.publisher, self.clock)
        blind = any(rule.blind for rule in rules.rules)
        reporter = FrameReporter(self.publisher, self.log, [], ledger, self.clock, blind=blind)
        stages = Stages(LatestFrames([]), [], anything, {}, commands, reporter)
        edges = EdgeInbox([], self.clock)
        channels = Channels(deque(), self.actuators, self.publisher, self.log, Heartbeat(), edges)
        self.loop = ClosedLoop(stages, channels, rules, self.clock)
        self.reporter = reporter
        self.housekeeping = Housekeeping(
            self.loop,
            self.publisher,
            {},
            self.clock,
            PublishConfig(),
            StatsRecords(NoSink(), self.sinks.refused_shown),
            {"rules": [rule.name for rule in rules.rules]},
        )
        self.index = 0

    def frame(self, x: float) -> None:
        """One frame from its pose to its publication; the outputs answer before the next one."""
        self.clock.looks = 0
        t_ns = self.clock.now_ns()
        stamps = FrameStamps(self.index, t_ns, t_ns, t_ns)
        pose = Pose("cam", stamps, np.array([[[x, IN]]]), 0.01 * np.eye(2)[None, None], np.ones((1, 1)))
        track = self.tracker.step(pose)
        decisions = self.decider.decide(self.tracker, "cam", stamps, t_ns, True)
        self.index += 1
        sent = [self.loop.commands.send(event, rule, self.index) for event, rule in decisions]
        anything: Any = None
        frame = DecidedFrame(
            *(anything, anything, None, StageStamps(*(t_ns,) * 7), self.index, pose, track, decisions, sent)
        )
        self.reporter.report(frame)
        accepted = sum(command is not None and command.accepted for command in sent)
        wait_for(lambda: len(self.actuators.acks) >= accepted)
        self.clock.advance_ms(FRAME_MS)
        self.housekeeping()
        self.loop._housekeep()


def wait_for(condition: Callable[[], bool]) -> None:
    host = HostClock()
    end_ns = host.now_ns() + round(PATIENCE_S * NS_PER_S)
    while not condition():
        assert host.now_ns() < end_ns, f"waited {PATIENCE_S:g} s in vain"
        host.sleep_until_ns(host.now_ns() + MS // 5)


def subscriber_of(publisher: Publisher) -> zmq.Socket[bytes]:
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"")
    subscriber.setsockopt(zmq.RCVHWM, 100_000)
    subscriber.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
    subscriber.connect(publisher.address)
    wait_for(lambda: publisher.flush() or publisher.wanted("stats"))
    return subscriber


Published = list[tuple[bytes, dict[str, Any], list[bytes]]]


def publish(seed: int, laser: type[Device], attempts: int) -> tuple[Bench, Published, list[bool]]:
    """All that a subscriber gets of a run, and apart from it whether an output failed, as time goes on."""
    bench = Bench(seed, laser, attempts)
    subscriber = subscriber_of(bench.publisher)
    bench.actuators.start()
    messages: Published = []
    failed = []
    try:
        for _ in range(STEPS):
            for x in (OUT, OUT, IN, IN):
                bench.frame(x)
            bench.publisher.send(LAST.decode(), {})  # in time, so that nothing is dropped on the way
            while (parts := subscriber.recv_multipart())[0] != LAST:
                topic, raw, *buffer = parts
                header = msgspec.msgpack.decode(raw)
                if topic == b"stats":
                    failed.append(header["stats"].pop("output_failed"))
                messages.append((topic, header, buffer))
    finally:
        bench.actuators.stop()
        bench.loop.finish()
        subscriber.close()
        bench.publisher.close()
        bench.log.recorder.close()
    return bench, messages, failed


def outcomes(bench: Bench) -> list[str]:
    """What the log says of the events of the rule that withholds."""
    events = [record.event for record in bench.log.records if isinstance(record, EventRecord)]
    return [event.outcome for event in events if event.rule == "blind"]


@pytest.mark.parametrize(
    ("laser", "attempts", "expected"),
    [
        (Device, 0, {"acknowledged"}),
        (Refuses, 0, {"refused"}),
        (NeverAnswers, 0, {"unknown"}),
        (Breaks, 0, {"failed", "refused"}),
        (Breaks, 100_000, {"failed", "refused"}),
        (Reports, 0, {"acknowledged"}),
    ],
)
def test_controls_and_stimuli_look_alike(laser: type[Device], attempts: int, expected: set[str]) -> None:
    runs = [publish(seed, laser, attempts) for seed in SEEDS]
    (one, first, failed), (another, second, _) = runs
    assert outcomes(one) != outcomes(another), "they withhold different events"
    for bench, messages, latch in runs:
        assert outcomes(bench).count("fired") > 10 < outcomes(bench).count("withheld")
        shown = [header["event"] for topic, header, _ in messages if topic == b"event/blind/"]
        assert [event["outcome"] for event in shown] == ["decided"] * len(outcomes(bench))
        assert latch == sorted(latch), "it is said once and for all"
        refused = [header["stats"]["records_refused"] for topic, header, _ in messages if topic == b"stats"]
        assert 0 < refused[-1] < bench.sinks.refused()
        # Afterwards all is known.
        commands = [r.command for r in bench.log.records if isinstance(r, CommandRecord)]
        found = bench.loop.summary()["deliveries"]["blind"]
        assert sum(found.values()) == outcomes(bench).count("fired") < len(commands)
        assert {kind for kind, n in found.items() if n} <= expected
    assert failed[-1] is (laser is not Device)
    assert first == second
    assert {topic for topic, _, _ in first} > {b"pose/cam/", b"stats", b"ack/lamp/", b"event/blind/"}


def test_without_blinding_they_could_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees what it looks for."""
    monkeypatch.setattr(Rule, "blind", property(lambda rule: False))
    (_, first, _), (_, second, _) = (publish(seed, Device, 0) for seed in SEEDS)
    assert first != second
