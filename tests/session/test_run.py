"""Whole runs: supervisor, loop and recorder as processes, on the simulated rig and on files."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.hanging_camera import hangs_in_close, hangs_in_stop
from support.live_run import OrderSender, ScriptedObserver, config, run, send_orders
from support.patience import wait_until
from support.programs import install as programs_begin_warm
from support.small_disk import mounted
from support.tiny_package import make_tiny_package

import rigs
from rt_pose.audit.replay import replay
from rt_pose.cli.main import main
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import (
    CameraConfig,
    CropConfig,
    InputConfig,
    LimitsConfig,
    OutputConfig,
    ProcessorConfig,
    PublishConfig,
    RecordConfig,
)
from rt_pose.errors import ExitCode, UserError
from rt_pose.session.folder import SessionFolder
from rt_pose.session.loop_link import LoopLink, stop_signals
from rt_pose.session.read import KILLED, Session
from rt_pose.session.run import RunResult, run_session

KEYPOINTS = 3
RIG = (
    *("--publish.address", "tcp://127.0.0.1:*", "--publish.control", "tcp://127.0.0.1:*"),
    *("--engine.threads", "1", "--engine.precision", "float32"),
)
"""Of a program: ports of its own, and an engine that is not chosen by a race."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=KEYPOINTS)
    return path


def child(name: str) -> int:
    """The process id of one of our spawned children."""
    (found,) = [p for p in multiprocessing.active_children() if p.name == name]
    assert found.pid is not None
    return found.pid


PROCESSOR = Path(__file__).resolve().parents[2] / "examples" / "processor.py"


@pytest.fixture(scope="module")
def finished(package: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    out = tmp_path_factory.mktemp("finished") / "session"
    own = {"left": ProcessorConfig(f"{PROCESSOR}:LeftOf", {"x": 1000.0, "least": -1.0})}
    return out, run(config(package, record=RecordConfig(video=True), processors=own, seconds=2.5), out)


def test_a_processor_is_handed_poses_and_its_calls_lie_beside_the_log(
    finished: tuple[Path, RunResult],
) -> None:
    out, result = finished
    session = Session.read(out)
    found = session.info.processors["left"]
    calls = [json.loads(line) for line in (out / "processors" / "left.jsonl").read_text().splitlines()]
    assert found["calls"] == len(calls) > 3
    assert found["calls"] + found["skipped"] <= result.summary["cameras"]["top"]["processed"]
    assert (found["camera"], found["exceptions"], found["ended"]) == ("top", 0, True)
    assert {call["frame"] for call in calls} <= {track.index for track in session.tracks}
    assert not any("returned" in call for call in calls), "it returns the pose as it is"
    times = np.load(out / "processors" / "left-saved.npy")
    first, last = (anchor.t_utc_ns / 1e9 for anchor in session.info.anchors)
    assert len(times) > 0
    assert first < times[0] < last


def test_a_run_leaves_a_whole_session(finished: tuple[Path, RunResult]) -> None:
    out, result = finished
    assert (result.ok, result.status) == (True, "complete")
    session = Session.read(out)
    info = json.loads((out / "session.json").read_text())
    assert info["status"] == "complete"
    assert len(info["anchors"]) == 2
    assert info["engine"]["precision"] in ("float32", "bf16")
    assert session.cut == ""
    assert session.end is not None
    counts = result.summary["cameras"]["top"]
    assert len(session.observations) == len(session.tracks) == counts["processed"] > 20
    assert len(session.frames) == len(session.truths) == counts["captured"]
    assert counts["captured"] == counts["processed"] + counts["superseded"] + counts["left_at_end"]
    assert (out / "top.mkv").is_file()
    assert (result.warnings, session.info.certificate.mode) == ([], "off"), "no certificate is wanted here"


def test_all_stamps_are_there_and_in_order(finished: tuple[Path, RunResult]) -> None:
    for seen in Session.read(finished[0]).observations:
        stamps = seen.stamps
        stages = [
            getattr(seen.stages, name)
            for name in (
                "t_taken_ns",
                "t_preprocessed_ns",
                "t_inferred_ns",
                "t_pose_ns",
                "t_tracked_ns",
                "t_judged_ns",
                "t_decided_ns",
                "t_published_ns",
            )
        ]
        assert stamps.t_exposure_ns is not None
        order = [stamps.t_exposure_ns, stamps.t_arrival_ns, *stages]
        assert order == sorted(order)


def test_every_fired_event_has_a_command_and_an_ack(finished: tuple[Path, RunResult]) -> None:
    session = Session.read(finished[0])
    fired = [e.event.id for e in session.events if e.event.outcome == "fired"]
    assert fired
    assert [c.command.event_id for c in session.commands] == fired
    assert sorted(a.ack.command_id for a in session.acks) == sorted(fired)
    assert all(a.ack.ok and a.ack.t_ack_ns >= a.ack.t_sent_ns for a in session.acks)
    total = finished[1].summary["events"]
    assert len(session.events) == sum(sum(counts.values()) for counts in total.values())


def test_replay_is_identical(finished: tuple[Path, RunResult]) -> None:
    result = replay(finished[0])
    assert result.identical, result.differences
    assert result.same_environment
    assert result.events > 0
    assert result.tracks == result.observations > 20


@pytest.mark.parametrize("changed", ["observation", "control", "event"])
def test_replay_notices_a_changed_log(
    finished: tuple[Path, RunResult], changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.read(finished[0])
    if changed == "observation":
        middle = session.observations[len(session.observations) // 2]
        xy = middle.xy.array().copy()
        xy[0, 0, 0] += 1e-9
        middle.xy = type(middle.xy).of(xy)
    elif changed == "control":
        session.controls.clear()
    else:
        session.events.pop(len(session.events) // 2)
    monkeypatch.setattr(Session, "read", lambda path: session)
    assert not replay(finished[0]).identical


def test_the_folder_is_never_written_over(package: Path, finished: tuple[Path, RunResult]) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished[0].iterdir()}
    with pytest.raises(UserError, match="exists already"):
        run(config(package), finished[0])
    assert {file: file.stat().st_mtime_ns for file in finished[0].iterdir()} == before


def test_nothing_is_written_where_something_cannot_be_opened(package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = config(package, rules=[RuleConfig("r", "speed(k9) > 1", ActionConfig("stimulus", "5 ms"))])
    with pytest.raises(UserError) as raised:
        run(wrong, tmp_path / "file" / "session")
    assert "unknown keypoint 'k9'" in str(raised.value)
    assert "cannot write into" in str(raised.value)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_is_known_at_start_is_said_together_before_anything_begins(
    package: Path, tmp_path: Path
) -> None:
    with socket.socket() as taken, mounted(tmp_path / "disk", "size=1m") as disk:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        wanted = config(package, publish=PublishConfig("tcp://127.0.0.1:*", address))
        with pytest.raises(UserError) as raised:
            run(wanted, disk / "session")
        assert list(disk.iterdir()) == []
    room, port = str(raised.value).split("\n")
    assert "at least 32 MiB are needed, 1 MiB are free" in room
    assert port.startswith(f"publish.control: {address} is in use by process {os.getpid()}")


def begin(package: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """The program in a process group of its own, once frames go through."""
    command = [sys.executable, "-m", "rt_pose.cli", "run", "--camera", "sim", "--model", str(package)]
    program = subprocess.Popen([*command, *RIG, *options, "--out", str(out)], start_new_session=True)
    tick = threading.Event()
    while not (out / "log.mcap").is_file() or (out / "log.mcap").stat().st_size < 20_000:
        assert program.poll() is None
        tick.wait(0.05)
    return program


def test_a_signal_ends_the_program_in_order(package: Path, tmp_path: Path) -> None:
    """A closed terminal: to the whole process group, as a terminal does it."""
    out = tmp_path / "session"
    program = begin(package, out)
    os.killpg(program.pid, signal.SIGHUP)
    assert program.wait(timeout=60) == 0
    info = json.loads((out / "session.json").read_text())
    assert info["status"] == "complete"
    assert info["summary"]["reason"] == "stop ordered (SIGHUP)"
    assert Session.read(out).end is not None
    assert (out / "report.html").is_file()


def test_each_signal_that_ends_a_program_is_the_loops_order_to_stop() -> None:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs, stop_signals(LoopLink(ours)):
        for sent in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), sent)
            assert theirs.recv() == ("stop", sent.name)


@pytest.mark.alone
def test_a_run_that_was_put_aside_goes_on(package: Path, tmp_path: Path) -> None:
    """Ctrl-Z and `fg`: nobody turned meanwhile, and nobody is to blame."""
    out = tmp_path / "session"
    program = begin(package, out, "--safety.kill_after", "1500 ms", "--report", "false")
    os.killpg(program.pid, signal.SIGSTOP)
    threading.Event().wait(2.0)  # longer than `kill_after`
    os.kill(program.pid, signal.SIGCONT)  # the supervisor wakes first, and knows of no turn for 2 s
    threading.Event().wait(0.4)
    os.killpg(program.pid, signal.SIGCONT)
    size = (out / "log.mcap").stat().st_size
    tick = threading.Event()
    while (out / "log.mcap").stat().st_size < size + 40_000:
        assert program.poll() is None
        tick.wait(0.05)
    tick.wait(0.7)  # with the second of that growth again longer than `kill_after`
    os.killpg(program.pid, signal.SIGINT)
    assert program.wait(timeout=60) == 0
    assert json.loads((out / "session.json").read_text())["status"] == "complete"


def test_a_second_ctrl_c_leaves_a_session_that_says_so(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_pose.session.supervision.INTERRUPTED_END_S", 0.5)

    def give_up(_: dict[str, Any]) -> None:
        os.kill(child("rt-pose-loop"), signal.SIGSTOP)  # it hangs: the first Ctrl-C does nothing
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(0.5)

    with pytest.raises(KeyboardInterrupt):
        run(config(package, seconds=30.0), tmp_path / "session", ScriptedObserver(give_up))
    info = json.loads((tmp_path / "session" / "session.json").read_text())
    assert info["status"] == "interrupted before its end"
    assert "the loop died with its outputs open; they were made safe" in info["warnings"]


def test_a_stop_before_the_first_frame_leaves_nothing(package: Path, tmp_path: Path) -> None:
    class Impatient(ScriptedObserver):
        def ready(self, description: dict[str, Any]) -> None:
            self.description = description
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config(package), tmp_path / "session", Impatient())
    assert not (tmp_path / "session").exists()


def test_a_run_that_waits_for_start_and_is_disarmed_meanwhile(package: Path, tmp_path: Path) -> None:
    """No frame is taken before `start` comes over the control socket."""
    talk = OrderSender("disarm", "status", "start")
    result = run(config(package, start_on="control", seconds=1.0), tmp_path / "session", talk)
    assert talk.answers["status"]["status"]["frames"]["captured"] == 0
    assert talk.answers["start"]["ok"] is True
    assert result.ok
    assert result.summary["cameras"]["top"]["processed"] > 3
    assert all(counts["fired"] == 0 for counts in result.summary["events"].values())
    controls = [(c.do, c.origin) for c in Session.read(tmp_path / "session").controls]
    assert controls == [("arm", "configuration"), ("disarm", "control"), ("start", "control")]


def test_every_frame_of_a_recording(package: Path, tmp_path: Path) -> None:
    from support.clip import write_clip

    video = write_clip(tmp_path / "clip.avi", frames=40, rate_hz=1000)
    cameras = {"top": CameraConfig("video", {"path": str(video), "skip_when_late": False})}
    result = run(config(package, cameras=cameras, seconds=None, frames="every"), tmp_path / "session")
    counts = result.summary["cameras"]["top"]
    assert (counts["captured"], counts["processed"], counts["superseded"]) == (40, 40, 0)


def test_a_recorder_killed_costs_the_recording_not_the_run(package: Path, tmp_path: Path) -> None:
    def kill_and_go_on(description: dict[str, Any]) -> None:
        wait_until(lambda: (tmp_path / "session" / "log.mcap").stat().st_size > 20_000)
        os.kill(child("rt-pose-recorder"), signal.SIGKILL)
        wait_until(lambda: any("the recorder died" in w for w in watch.warnings))
        seen = watch.last["frames"]["processed"]
        wait_until(lambda: watch.last["frames"]["processed"] > seen + 10)
        send_orders(description, "stop")

    watch = ScriptedObserver(kill_and_go_on)
    result = run(config(package, seconds=60.0), tmp_path / "session", watch)
    assert (result.ok, result.exit_code) == (False, ExitCode.INCOMPLETE)
    assert any("the recorder died" in w for w in result.warnings)
    assert result.summary["records_refused"] > 0
    assert any("did not reach the recorder" in w for w in result.warnings)
    session = Session.read(tmp_path / "session")
    processed = result.summary["cameras"]["top"]["processed"]
    held = len(session.observations)
    assert 0 < held < processed
    said = f"{processed - held} of {processed} observations and "
    assert result.status.startswith(f"incomplete: {said}")
    assert session.info.missing == result.missing
    assert json.loads((tmp_path / "session" / "session.json").read_text())["warnings"] == result.warnings


def test_a_loop_killed_ends_the_recorder_and_leaves_the_log(package: Path, tmp_path: Path) -> None:
    watch = ScriptedObserver(lambda _: os.kill(child("rt-pose-loop"), signal.SIGKILL))
    result = run(config(package, seconds=30.0), tmp_path / "session", watch)
    assert not result.ok
    assert result.status == "the loop died (exit code -9)"
    session = Session.read(tmp_path / "session")
    last_message = watch.last["frames"]["processed"]
    assert len(session.observations) >= last_message - 60, "of a second in 60 frames more is missing"
    assert session.end is None
    assert replay(tmp_path / "session").identical


class StopsTheLoop(ScriptedObserver):
    """Takes the loop's processor away before it is told to begin."""

    def ready(self, description: dict[str, Any]) -> None:
        super().ready(description)
        os.kill(child("rt-pose-loop"), signal.SIGSTOP)


def test_a_loop_that_hangs_before_its_first_word_is_killed(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_pose.session.watchdog.START_TIMEOUT_S", 1.0)
    monkeypatch.setattr("rt_pose.session.supervision.RECORDER_END_S", 1.0)  # nobody told it whom to follow
    result = run(config(package), tmp_path / "session", StopsTheLoop())
    assert result.status.startswith("the loop hung: no word of a start for ")
    assert json.loads((tmp_path / "session" / "session.json").read_text())["status"] == result.status


@pytest.mark.parametrize(
    ("register", "status", "warning"),
    [
        (hangs_in_stop, "the loop hung: its end was not reached for ", "it is killed"),
        (hangs_in_close, "complete", "the loop hung: its process did not end for "),
    ],
)
def test_a_camera_that_does_not_stop_cannot_hold_up_the_end(
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    register: Callable[[], None],
    status: str,
    warning: str,
) -> None:
    monkeypatch.setattr("rt_pose.session.watchdog.END_TIMEOUT_S", 4.0)
    run_config = config(package, seconds=1.0)
    result = run_session(run_config, tmp_path / "session", register, HostClock(), ScriptedObserver())
    assert result.status.startswith(status)
    assert any(warning in w for w in result.warnings), result.warnings
    assert len(Session.read(tmp_path / "session").observations) > 5


def test_orders_arm_and_disarm_and_a_cap_holds_meanwhile(package: Path, tmp_path: Path) -> None:
    answers: dict[str, Any] = {}

    def counted(outcome: str) -> int:
        return int(watch.last["events"]["pressed"][outcome])

    def talk(description: dict[str, Any]) -> None:
        answers.update(send_orders(description, "status", "start", "arm"))
        wait_until(lambda: counted("fired") >= 2)
        suppressed = counted("suppressed")
        wait_until(lambda: counted("suppressed") > suppressed + 1)
        answers.update(send_orders(description, "disarm", "stop"))

    limits = LimitsConfig(max_pulses_per_minute=2, max_duty=0.5)
    outputs = {"stimulus": OutputConfig("simulated", {"world": "w"}, limits=limits)}
    rules = [RuleConfig("pressed", "line(lever)", ActionConfig("stimulus", "5 ms"))]
    lever = {"lever": InputConfig("simulated", {"period_ms": 200.0, "on_ms": 60.0})}
    capped = config(package, armed_at_start=False, outputs=outputs, inputs=lever, rules=rules, seconds=60.0)
    watch = ScriptedObserver(talk)
    result = run(capped, tmp_path / "session", watch)
    assert result.summary["reason"] == "stop ordered (control)"
    assert {do: answer["ok"] for do, answer in answers.items()} == {
        "status": True, "start": False, "arm": True, "disarm": True, "stop": True
    }  # fmt: skip
    assert answers["status"]["status"]["armed"] is False
    session = Session.read(tmp_path / "session")
    assert [(c.do, c.origin) for c in session.controls] == [
        ("start", "control"), ("arm", "control"), ("disarm", "control"), ("stop", "control")
    ]  # fmt: skip
    armed_ns = session.controls[1].t_ns
    before = [e.event for e in session.events if e.t_ns < armed_ns]
    assert {event.outcome for event in before} == {"suppressed"}
    assert "disarmed" in {event.reason for event in before}
    assert sum(counts["fired"] for counts in result.summary["events"].values()) == 2
    assert "cap" in {e.event.reason for e in session.events}
    assert replay(tmp_path / "session").identical


def test_a_camera_that_fails_in_mid_run_closes_a_valid_session(package: Path, tmp_path: Path) -> None:
    from support.clip import write_clip

    video = write_clip(tmp_path / "clip.avi", frames=50, codec="mjpeg")
    raw = bytearray(video.read_bytes())
    at = len(raw) // 2
    raw[at : at + len(raw) // 4] = bytes(len(raw) // 4)  # same length, same index: it opens, and breaks later
    video.write_bytes(raw)
    cameras = {"top": CameraConfig("video", {"path": str(video)})}
    result = run(config(package, cameras=cameras, seconds=None), tmp_path / "session")
    assert not result.ok
    assert result.status.startswith("camera 'top' failed")
    session = Session.read(tmp_path / "session")
    assert session.cut == ""
    assert session.end is not None
    assert len(session.observations) > 0
    assert replay(tmp_path / "session").identical


def test_a_recordings_end_ends_the_run(package: Path, tmp_path: Path) -> None:
    from support.clip import write_clip

    video = write_clip(tmp_path / "clip.avi", frames=30, rate_hz=50)
    cameras = {"top": CameraConfig("video", {"path": str(video)})}
    rules = [RuleConfig("r", "not speed(k0) > 5", ActionConfig("stimulus", "5 ms"))]
    result = run(config(package, cameras=cameras, rules=rules, seconds=None), tmp_path / "session")
    assert (result.ok, result.summary["reason"]) == (True, "the recording ended")
    (warning,) = result.warnings
    assert "frames of 64x48, the package was trained on" in warning
    counts = result.summary["cameras"]["top"]
    assert counts["captured"] + counts["device_gaps"] == 30
    assert Session.read(tmp_path / "session").events == [], "of what is not known `not` does not hold"
    assert replay(tmp_path / "session").identical


@pytest.mark.alone
def test_several_cameras_share_a_call_and_replay_bit_for_bit(package: Path, tmp_path: Path) -> None:
    """Two views of one world, one of them followed by a window."""
    cameras = {
        "left": CameraConfig("simulated", {"rate_hz": 60, "world": "w"}),
        "right": CameraConfig(
            "simulated", {"rate_hz": 60, "world": "w"}, CropConfig(200, 200, margin_px=4.0, min_seen=0.3)
        ),
    }
    run = config(package, cameras=cameras, group_ms=8.0)
    result = run_session(run, tmp_path / "session", rigs.register, HostClock())
    assert result.ok, result.status
    session = Session.read(tmp_path / "session")
    seen: dict[int, set[str]] = {}
    for observation in session.observations:
        seen.setdefault(observation.stages.t_inferred_ns, set()).add(observation.camera)
    assert max(map(len, seen.values())) == 2, "no call of the network served both cameras"
    windows = {o.camera: set() for o in session.observations}  # type: ignore[var-annotated]
    for observation in session.observations:
        windows[observation.camera].add(observation.window is not None)
    assert windows["left"] == {False}
    counts = result.summary["cameras"]["right"]["crop"]
    assert counts["followed"] == sum(o.window is not None for o in session.observations) > 0
    assert sum(counts.values()) == result.summary["cameras"]["right"]["processed"]
    assert replay(tmp_path / "session").identical


class TimedObserver(ScriptedObserver):
    """Notes when each warning came, as seconds since it acted, and ends the run some frames after it."""

    def __init__(self, act: Callable[[dict[str, Any]], None], awaited: str) -> None:
        def timed(description: dict[str, Any]) -> None:
            act(description)
            self.acted = time.monotonic()
            wait_until(lambda: any(awaited in message for message in self.warnings))
            seen = self.last["frames"]["processed"]
            wait_until(lambda: self.last["frames"]["processed"] > seen + 10)  # the run goes on
            send_orders(description, "stop")

        super().__init__(timed)
        self.acted = math.inf
        self.warned: list[tuple[str, float]] = []

    def warn(self, message: str) -> None:
        super().warn(message)
        self.warned.append((message, time.monotonic() - self.acted))

    def delay_of(self, words: str) -> float:
        """After how many seconds a warning with these words came."""
        return next(seconds for message, seconds in self.warned if words in message)


@pytest.mark.alone
def test_a_recorder_that_is_ended_from_outside_is_told(package: Path, tmp_path: Path) -> None:
    said = "the recorder ends: it was told to end; the run goes on"
    watch = TimedObserver(lambda _: os.kill(child("rt-pose-recorder"), signal.SIGTERM), said)
    result = run(config(package, seconds=60.0), tmp_path / "session", watch)
    assert watch.delay_of(said) < 5.0
    assert result.exit_code == ExitCode.INCOMPLETE
    session = Session.read(tmp_path / "session")
    processed = result.summary["cameras"]["top"]["processed"]
    assert 30 < len(session.observations) < processed
    assert f"{processed - len(session.observations)} of {processed} observations" in result.status
    assert session.info.status == result.status


@pytest.mark.alone
def test_a_recorder_that_hangs_is_told_and_what_it_cost(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_pose.session.reporting_process.SILENT_NS", round(1.5 * NS_PER_S))
    monkeypatch.setattr("rt_pose.session.supervision.RECORDER_END_S", 1.0)
    said = "the recorder hangs: no word of it for "
    watch = TimedObserver(lambda _: os.kill(child("rt-pose-recorder"), signal.SIGSTOP), said)
    result = run(config(package, seconds=60.0), tmp_path / "session", watch)
    assert watch.delay_of(said) < 5.0
    assert any("the recorder hung: it did not end within 1 s and was killed" in w for w in result.warnings)
    assert result.exit_code == ExitCode.INCOMPLETE
    assert "observations" in result.status
    assert json.loads((tmp_path / "session" / "session.json").read_text())["missing"] == result.missing


def test_a_recorder_that_was_put_aside_and_goes_on_loses_nothing(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_pose.session.reporting_process.SILENT_NS", round(1.5 * NS_PER_S))

    def put_aside(description: dict[str, Any]) -> None:
        recorder = child("rt-pose-recorder")
        os.kill(recorder, signal.SIGSTOP)
        wait_until(lambda: any(w.startswith("the recorder hangs") for w in watch.warnings))
        os.kill(recorder, signal.SIGCONT)
        wait_until(lambda: any("the recorder goes on" in w for w in watch.warnings))
        send_orders(description, "stop")

    watch = ScriptedObserver(put_aside)
    result = run(config(package, seconds=60.0), tmp_path / "session", watch)
    assert next(w for w in result.warnings if "recorder" in w).startswith("the recorder hangs")
    assert any("the recorder goes on" in w for w in result.warnings)
    assert (result.status, result.exit_code) == ("complete", ExitCode.DONE)


def test_films_that_cannot_be_written_are_told(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "session"
    claim = SessionFolder.claim
    in_the_way = {
        "top.times.csv": "camera 'top' is not filmed: no film could be begun",
        "side.mkv": "camera 'side' is not filmed: the film could not be written on",
    }

    def claim_and_be_in_the_way(path: Path, info: dict[str, Any]) -> SessionFolder:
        folder = claim(path, info)
        for name in in_the_way:
            (out / name).mkdir()
        return folder

    monkeypatch.setattr(SessionFolder, "claim", staticmethod(claim_and_be_in_the_way))
    watch = ScriptedObserver()
    cameras = {name: CameraConfig("simulated", {"rate_hz": 30, "world": "w"}) for name in ("top", "side")}
    result = run(config(package, cameras=cameras, record=RecordConfig(video=True)), out, watch)
    for why in in_the_way.values():
        assert any(why in w for w in watch.warnings), watch.warnings
    assert result.status.startswith("incomplete: camera '")
    assert all(f"camera '{name}' is not filmed" in result.status for name in cameras)
    assert result.exit_code == ExitCode.INCOMPLETE
    processed = sum(result.summary["cameras"][name]["processed"] for name in cameras)
    assert len(Session.read(out).observations) == processed


@pytest.mark.alone
def test_a_disk_that_fills_up_is_told(package: Path, tmp_path: Path, capfd: Any) -> None:
    with mounted(tmp_path / "disk", "size=40m") as disk:

        def fill(_: dict[str, Any]) -> None:
            with (disk / "full").open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

        def act(description: dict[str, Any]) -> None:
            wait_until(lambda: watch.last["events"]["slow"]["fired"])
            with pytest.raises(OSError, match="No space"):
                fill(description)

        said = "No space left on device; the run goes on"
        watch = TimedObserver(act, said)
        result = run(config(package, seconds=60.0), disk / "session", watch)
        assert watch.delay_of(said) < 5.0
        assert result.exit_code == ExitCode.INCOMPLETE
        info = json.loads((disk / "session" / "session.json").read_text())
        assert info["status"] == result.status
        assert "No space left" in info["status"]
        assert not list((disk / "session").glob("*.part"))
        assert len(Session.read(disk / "session").observations) > 20
        assert result.summary["events"]["slow"]["fired"] > 0
    messages = capfd.readouterr().err
    assert "Traceback" not in messages
    assert "Exception ignored" not in messages


@pytest.mark.alone
def test_a_folder_that_is_removed_is_told(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "session"
    said = "the session's log was removed"
    watch = TimedObserver(lambda _: shutil.rmtree(out), said)
    result = run(config(package, seconds=60.0), out, watch)
    assert watch.delay_of(said) < 5.0
    assert result.exit_code == ExitCode.INCOMPLETE
    assert said in result.status
    assert not out.exists()


@pytest.mark.alone
def test_a_folder_that_is_moved_is_told_and_whole(package: Path, tmp_path: Path) -> None:
    out, moved = tmp_path / "session", tmp_path / "moved"
    said = "the session's log was moved"
    watch = TimedObserver(lambda _: out.rename(moved), said)
    result = run(config(package, seconds=60.0), out, watch)
    assert watch.delay_of(said) < 5.0
    assert (result.status, result.session) == ("complete", moved)
    assert json.loads((moved / "session.json").read_text())["status"] == "complete"
    assert not out.exists()
    assert replay(moved).identical


def test_a_run_that_comes_too_late_for_its_folder_deletes_nothing(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "session"

    class Late(ScriptedObserver):
        def ready(self, description: dict[str, Any]) -> None:
            out.mkdir()
            (out / "session.json").write_text("of another run")

    with pytest.raises(UserError, match="exists already and is not empty"):
        run(config(package), out, Late())
    assert (out / "session.json").read_text() == "of another run"


def test_two_programs_with_one_folder(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs_begin_warm(monkeypatch.setattr)
    out = tmp_path / "session"
    command = [sys.executable, "-m", "rt_pose.cli", "run", "--camera", "sim", "--model", str(package)]
    words = [*command, *RIG, "--out", str(out), "--seconds", "1", "--report", "false"]
    programs = [
        subprocess.Popen([*words, "--seed", str(i)], stderr=subprocess.PIPE, text=True) for i in range(2)
    ]
    said = [program.communicate(timeout=120)[1] for program in programs]
    codes = [program.returncode for program in programs]
    assert sorted(codes) == [0, 2], said
    winner = codes.index(0)
    assert "exists already and is not empty" in said[1 - winner]
    session = Session.read(out)
    assert (session.info.status, session.info.config["seed"]) == ("complete", winner)
    assert len(session.observations) > 0


def test_after_a_kill_the_next_command_concludes_the_session(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "session"
    program = begin(package, out)
    children = [
        int(pid) for pid in Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    ]
    program.kill()
    program.wait()
    left = [f for f in Path(tempfile.gettempdir()).glob("rt-pose-run-*") if (f / "records").exists()]
    assert left
    end = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < end:
        time.sleep(0.1)
    assert json.loads((out / "session.json").read_text())["status"] == "running"
    assert main(["replay", str(out)]) == ExitCode.DONE
    assert json.loads((out / "session.json").read_text())["status"] == KILLED
    assert not any(folder.exists() for folder in left)
    assert Session.read(out).cut == ""
