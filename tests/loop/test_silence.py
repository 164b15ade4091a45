"""A camera that delivers nothing is silent: the run is disarmed, and goes on with its next frames."""

from __future__ import annotations

import dataclasses
from collections import deque
from types import SimpleNamespace
from typing import Any

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.loop.capture import CaptureCounts
from rt_pose.loop.closed_loop import ClosedLoop
from rt_pose.loop.commands import Commands
from rt_pose.loop.control import Order
from rt_pose.loop.edges import EdgeInbox
from rt_pose.loop.frame_reporter import FrameReporter
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.loop.silence import LEAST_TURNS, SilenceMonitor, silence_limit_ns
from rt_pose.loop.stages import Channels, Stages
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.records import ControlRecord, NoticeRecord, Record
from rt_pose.session.stats_warnings import StatsWarnings
from rt_pose.types import CameraInfo, Trigger

TURN_NS = 50 * NS_PER_MS
LIMIT_NS = 1000 * NS_PER_MS
INFO = CameraInfo("top", "zmq", "", 64, 48, 1, rate_hz=60.0, hardware=True)


class Notebook:
    """A sink that keeps its records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def send(self, record: Record) -> bool:
        self.records.append(record)
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    def of(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]


def camera(name: str, captured: int = 1) -> Any:
    """A camera's thread, of which only the counts matter."""
    return SimpleNamespace(name=name, counts=CaptureCounts(captured=captured), start=lambda: None)


class Watched:
    """A monitor with a clock of its own, and what it told."""

    def __init__(self, *cameras: Any) -> None:
        self.latest, self.sink = LatestFrames([one.name for one in cameras]), Notebook()
        limits_ns = {one.name: LIMIT_NS for one in cameras}
        self.monitor = SilenceMonitor(cameras, limits_ns, self.latest, self.sink)
        self.now_ns = 10**12
        self.pass_turns(1)

    def pass_turns(self, count: int, turn_ns: int = TURN_NS) -> None:
        for _ in range(count):
            self.now_ns += turn_ns
            self.monitor.check(self.now_ns)

    @property
    def notices(self) -> list[str]:
        assert {(n.output, n.source) for n in self.sink.of(NoticeRecord)} <= {("top", "camera")}
        return [notice.text for notice in self.sink.of(NoticeRecord)]


def test_a_pause_is_a_fault_only_of_a_camera_that_runs_by_itself() -> None:
    line: Trigger = "line"
    assert silence_limit_ns(INFO, LIMIT_NS) == LIMIT_NS
    assert silence_limit_ns(dataclasses.replace(INFO, rate_hz=0.5), LIMIT_NS) == 6 * LIMIT_NS
    for other in (
        dataclasses.replace(INFO, rate_hz=None),
        dataclasses.replace(INFO, trigger=line),
        dataclasses.replace(INFO, exposure_source="recording"),
    ):
        assert silence_limit_ns(other, LIMIT_NS) == 0
    assert silence_limit_ns(INFO, 0) == 0


def test_it_is_told_once_and_again_when_frames_come() -> None:
    top = camera("top")
    watched = Watched(top)
    watched.pass_turns(20)
    assert watched.monitor.stats() == {"cameras_silent": {}, "silences": {}}
    watched.pass_turns(30)
    why = "no whole frame came for 1.1 s"
    assert watched.latest.silences == {"top": why}
    assert list(watched.latest.losses) == [("top", why)]
    assert watched.monitor.stats() == {"cameras_silent": {"top": why}, "silences": {"top": 1}}
    assert watched.notices == [f"silent: {why}"]
    top.counts.captured += 1
    watched.pass_turns(20)
    assert watched.notices[1:] == ["frames come again, after 2.5 s"]
    assert watched.monitor.stats() == {"cameras_silent": {}, "silences": {"top": 1}}
    watched.pass_turns(2)
    assert top.counts.silences == 2


def test_what_is_accounted_for_elsewhere_is_not_silent() -> None:
    """The first frame, a recording's end, a camera that is gone, and a program that was itself held up."""
    no_frame, ended, gone = (Watched(camera("top", captured)) for captured in (0, 1, 1))
    ended.latest.end("top")
    gone.latest.lose("top", "unplugged")
    for watched in (no_frame, ended, gone):
        watched.pass_turns(100)
        assert (watched.latest.silences, watched.notices) == ({}, [])
    held_up = Watched(camera("top"))
    held_up.pass_turns(LEAST_TURNS, turn_ns=10 * LIMIT_NS)
    assert held_up.latest.silences == {}


def test_one_that_is_then_found_to_be_gone_is_not_silent_besides() -> None:
    top = camera("top")
    watched = Watched(top)
    watched.pass_turns(30)
    watched.latest.lose("top", "unplugged")
    assert (watched.latest.silences, watched.latest.lost) == ({}, {"top": "unplugged"})
    top.counts.losses += 1
    watched.latest.regain("top")
    watched.pass_turns(20)
    assert watched.latest.silences == {}
    assert len(watched.notices) == 1


def test_a_group_does_not_wait_for_a_silent_camera() -> None:
    latest = LatestFrames(["a", "b"])
    latest.fall_silent("b", "no whole frame came for 1.0 s")
    latest.losses.clear()
    frame: Any = SimpleNamespace(
        frame=SimpleNamespace(camera="a", stamps=SimpleNamespace(t_arrival_ns=1, t_exposure_ns=1)), slot=0
    )
    latest.put(frame)
    assert latest.take(10.0, group_s=60.0) == [frame]


def test_the_loop_disarms_and_logs_it_as_an_input() -> None:
    anything: Any = SimpleNamespace(flush=lambda: None)
    clock, sink, latest = HostClock(), Notebook(), LatestFrames(["top"])
    actuators = Actuators([], clock)
    reporter = FrameReporter(anything, sink, [], LatencyLedger(20.0), clock)
    top = camera("top")
    stages = Stages(latest, [top], anything, {}, Commands([], actuators, anything, clock), reporter)
    channels = Channels(deque(), actuators, anything, sink, Heartbeat(), EdgeInbox([], clock))
    monitor = SilenceMonitor([top], {"top": NS_PER_MS}, latest, sink)
    loop = ClosedLoop(stages, channels, RuleSet.of(RunConfig(), [], {}), clock, silence=monitor)
    loop.apply(Order("arm"))
    begin_ns = clock.now_ns()
    for turn in range(LEAST_TURNS + 2):
        monitor.check(begin_ns - (LEAST_TURNS - turn) * NS_PER_MS)
    assert loop.armed
    loop.run(0.06)
    assert not loop.armed
    (disarmed,) = [control for control in sink.of(ControlRecord) if control.do == "disarm"]
    assert disarmed.origin.startswith("camera 'top' is silent: no whole frame came for")
    assert top.counts.silences == 1


def test_the_terminal_says_both_also_of_a_silence_between_two_stats() -> None:
    said: list[str] = []
    warnings = StatsWarnings(RunConfig())
    quiet = {
        "output_faults": {},
        "last_failure": "",
        "output_failed": False,
        "notices": {},
        "cameras_lost": {},
        "cameras_silent": {},
        "silences": {},
        "drift": {},
    }
    now = quiet | {"cameras_silent": {"top": "no whole frame came for 1.0 s"}, "silences": {"top": 1}}
    for stats in (quiet, now, now, quiet | {"silences": {"top": 1}}, quiet | {"silences": {"top": 2}}):
        said.extend(warnings.compare(stats, None))
    assert [line.partition(";")[0] for line in said] == [
        "camera 'top' is silent: no whole frame came for 1.0 s",
        "camera 'top' delivers again",
        "camera 'top' was silent for a moment",
    ]
